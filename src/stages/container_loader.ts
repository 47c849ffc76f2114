import { type ContainerLoaderStage, parseReference } from "../../config/mod.ts";
import { defineKind } from "./stage_kind.ts";

/** Images and the unit that loads them. */
export const containerLoader = defineKind<ContainerLoaderStage>({
  format: 4,
  reads: "images",
  check({ engine, namespace, ...rest }) {
    const loadsItself = engine === "k3s" || engine === "rke2";
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
    engine !== "docker" ? [] : names.filter((name) => parseReference(name).digest !== undefined)
      .map((name) => ({
        path: "inputs",
        value: name,
        expected: "names without a digest: docker does not find what it loads by it",
      })),
  archives: async (stage, context) =>
    (await import("./run/container_loader.ts")).loaderArchiveIds(stage, context),
  run: async (stage, context) =>
    (await import("./run/container_loader.ts")).containerLoader(stage, context),
});
