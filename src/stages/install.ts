import type { InstallStage } from "../../config/mod.ts";
import { destinationKind } from "./destinations.ts";
import { apart } from "./file_names.ts";
import { defineKind } from "./stage_kind.ts";

/** Images into a tree, an archive or a registry. */
export const install = defineKind<InstallStage>({
  ability: "install",
  format: 6,
  reads: "images",
  check({ on, into, destination, additionalImageStore }) {
    const both = on !== undefined && into !== undefined;
    const isNone = additionalImageStore &&
      destinationKind(destination).storagePath(destination) === undefined;
    return [
      ...(both ? [{ path: "into", value: into, expected: "no other tree beside `on`" }] : []),
      ...(isNone
        ? [{
          path: "additionalImageStore",
          value: true,
          expected: "a destination of type containers-storage with a path of its own, such as " +
            '"/usr/share/containers/storage"',
        }]
        : []),
    ];
  },
  checkNames({ destination }, names) {
    if (names.length < 2 || destinationKind(destination).holdsSeveral) return [];
    return [{
      path: "inputs",
      value: names.join(", "),
      expected: `one image with one name for ${destination.type}; others get stages of their own`,
    }];
  },
  fills: ({ destination }, image) =>
    (image?.names ?? []).flatMap(apart).flatMap((name) =>
      destinationKind(destination).fills(destination, name)
    ),
  into: ({ into }) => into,
  isElsewhere: ({ destination }) => destinationKind(destination).isElsewhere,
  run: async (stage, context) => (await import("./run/install.ts")).install(stage, context),
});
