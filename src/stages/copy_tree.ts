import type { CopyTreeStage } from "../../config/mod.ts";
import { defineKind } from "./stage_kind.ts";

/** Trees into a tree. */
export const copyTree = defineKind<CopyTreeStage>({
  format: 4,
  reads: "trees",
  access: "own",
  run: async (stage, context) => (await import("./run/copy_tree.ts")).copyTree(stage, context),
});
