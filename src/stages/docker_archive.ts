import { join } from "@std/path";
import type { DockerArchiveStage } from "../../config/mod.ts";
import { archiveFileName, tagged } from "./file_names.ts";
import { defineKind } from "./stage_kind.ts";

/** Images into docker archives. */
export const dockerArchive = defineKind<DockerArchiveStage>({
  format: 4,
  reads: "images",
  fills: ({ path = "/", compression }, image) =>
    (image?.names ?? []).map((name) => ({
      path: join(path, archiveFileName(tagged(name), compression)),
    })),
  archives: async (stage, context) =>
    (await import("./run/archive_names.ts")).archiveIds(stage, context),
  run: async (stage, context) =>
    (await import("./run/docker_archive.ts")).dockerArchive(stage, context),
});
