import { formatPlatform, type Platform } from "../../config/mod.ts";
import { platformOfEntry, readManifest } from "../store/manifest.ts";

/**
 * The platforms of an index beside one of them.
 *
 * @param bytes The index.
 * @param platform The one.
 * @returns The others, each once, by their names; attestations are for none.
 */
export function otherPlatforms(bytes: Uint8Array, platform: Platform): Map<string, Platform> {
  const found = readManifest(bytes);
  if (found.kind !== "index") return new Map();
  const others = new Map(
    found.index.manifests.flatMap((entry) => {
      const read = platformOfEntry(entry);
      return read ? [[formatPlatform(read), read] as const] : [];
    }),
  );
  others.delete(formatPlatform(platform));
  return others;
}
