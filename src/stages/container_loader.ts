import type { ContainerLoaderStage } from "../../config/mod.ts";
import { defineKind } from "./stage_kind.ts";

/** Images and the unit that loads them. */
export const containerLoader = defineKind<ContainerLoaderStage>({
  format: 3,
  reads: "images",
  archives: async (stage, context) =>
    (await import("./run/archive_names.ts")).archiveIds(stage, context),
  run: async (stage, context) =>
    (await import("./run/container_loader.ts")).containerLoader(stage, context),
});
