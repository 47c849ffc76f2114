import { type ContainerLoaderStage, parseReference } from "../../config/mod.ts";
import { defineKind } from "./stage_kind.ts";

/** Images and the unit that loads them. */
export const containerLoader = defineKind<ContainerLoaderStage>({
  format: 3,
  reads: "images",
  // A docker archive has tags alone: what a unit names by digest would not be there.
  checkNames: (_, names) =>
    names.filter((name) => parseReference(name).digest !== undefined).map((name) => ({
      path: "inputs",
      value: name,
      expected: "names without a digest: engines do not find what they load by it",
    })),
  archives: async (stage, context) =>
    (await import("./run/archive_names.ts")).archiveIds(stage, context),
  run: async (stage, context) =>
    (await import("./run/container_loader.ts")).containerLoader(stage, context),
});
