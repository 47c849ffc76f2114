import type { UnpackStage } from "../../config/mod.ts";
import { defineKind } from "./stage_kind.ts";

/** An image into a tree. */
export const unpack = defineKind<UnpackStage>({
  format: 1,
  reads: "images",
  checkNames: (_, names) =>
    names.length < 2 ? [] : [{
      path: "inputs",
      value: names.join(", "),
      expected: "one image with one name; others get stages of their own",
    }],
  run: async (stage, context) => (await import("./run/unpack.ts")).unpack(stage, context),
});
