import { join } from "@std/path";
import type { ContainerLoaderStage } from "../../config/mod.ts";
import { apart, forArchive, hasDigest, loaderFileName } from "./file_names.ts";
import { loaderEngine } from "./loader_engine.ts";
import { defineKind } from "./stage_kind.ts";

/** Images and the unit that loads them. */
export const containerLoader = defineKind<ContainerLoaderStage>({
  format: 4,
  reads: "images",
  check({ engine, namespace, ...rest }) {
    const loadsItself = loaderEngine(engine).folder !== undefined;
    const scripted = ["deleteAfterLoad", "removeReplaced"] as const;
    const odd = loadsItself ? scripted.filter((option) => rest[option]) : [];
    return [
      ...odd.map((path) => ({
        path,
        value: true,
        expected: `no such option with ${engine}, which loads archives from their folder itself`,
      })),
      ...(namespace !== undefined && engine !== "containerd"
        ? [{ path: "namespace", value: namespace, expected: 'a namespace with "containerd" only' }]
        : []),
    ];
  },
  checkNames: ({ engine }, names) =>
    // A docker archive has tags alone: what a unit names by digest would not be there.
    engine !== "docker" ? [] : names.filter(hasDigest).map((name) => ({
      path: "inputs",
      value: name,
      expected: "names without a digest: docker does not find what it loads by it",
    })),
  fills({ engine, compression }, image) {
    const { folder } = loaderEngine(engine);
    // The list of what our script loads is added to, by each loader of the tree.
    if (folder === undefined || !image) return [];
    const names = forArchive(image.names.flatMap(apart));
    return [{ path: join(folder, loaderFileName(names, compression)) }];
  },
  archives: async (stage, context) =>
    (await import("./run/container_loader.ts")).loaderArchiveIds(stage, context),
  run: async (stage, context) =>
    (await import("./run/container_loader.ts")).containerLoader(stage, context),
});
