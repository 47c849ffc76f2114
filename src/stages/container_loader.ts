import type { ContainerLoaderStage } from "../../config/mod.ts";
import { archiveIds } from "./archive_names.ts";
import { defineKind } from "./stage_kind.ts";

/** Images and the unit that loads them. */
export const containerLoader = defineKind<ContainerLoaderStage>({
  format: 2,
  reads: "images",
  archives: archiveIds,
  run: async (stage, context) =>
    (await import("./run/container_loader.ts")).containerLoader(stage, context),
});
