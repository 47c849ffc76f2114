import { type OciArchiveStage, parsePlatform } from "../../config/mod.ts";
import { defineKind } from "./stage_kind.ts";

/** Trees into an OCI archive. */
export const ociArchive = defineKind<OciArchiveStage>({
  format: 9,
  reads: "trees",
  meaning: (stage, platform) => ({
    ...stage,
    platform: stage.platform === undefined ? platform : parsePlatform(stage.platform),
  }),
  fills: ({ filename }) => [{ path: `/${filename}` }],
  imageName: ({ name }) => name,
  run: async (stage, context) => (await import("./run/oci_archive.ts")).ociArchive(stage, context),
});
