import type { QuadletStage } from "../../config/mod.ts";
import { defineKind } from "./stage_kind.ts";

/** Units of podman. */
export const quadlet = defineKind<QuadletStage>({
  format: 1,
  reads: "anything",
  run: async (stage, context) => (await import("./run/quadlet.ts")).quadlet(stage, context),
});
