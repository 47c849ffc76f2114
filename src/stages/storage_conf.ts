import type { StorageConfStage } from "../../config/mod.ts";
import { defineKind } from "./stage_kind.ts";

/** Settings of a tree's container storage. */
export const storageConf = defineKind<StorageConfStage>({
  format: 1,
  reads: "anything",
  run: async (stage, context) =>
    (await import("./run/storage_conf.ts")).storageConf(stage, context),
});
