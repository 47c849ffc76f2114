import { formatPlatform, type Platform } from "../../config/mod.ts";
import { platformOfEntry, readManifest } from "../store/manifest.ts";
import type { ImageItem } from "./image_item.ts";

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

/**
 * The items of the other platforms of an item's index.
 *
 * @param item The item.
 * @param digest Digest of the index.
 * @param bytes The index.
 * @returns An item for each platform but the item's own.
 */
export function otherItems(item: ImageItem, digest: string, bytes: Uint8Array): ImageItem[] {
  return [...otherPlatforms(bytes, item.platform)].map(([name, platform]) => ({
    ...ofIndex(item, name, digest),
    platform,
    platformIsGiven: true,
  }));
}

/**
 * The items of what an item's index has for no platform, as BuildKit's attestations are,
 * https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
 *
 * @param item The item.
 * @param digest Digest of the index.
 * @param bytes The index.
 * @returns An item for each.
 */
export function attestationItems(item: ImageItem, digest: string, bytes: Uint8Array): ImageItem[] {
  const found = readManifest(bytes);
  if (found.kind !== "index") return [];
  const entries = found.index.manifests.filter(({ platform }) => platform?.os === "unknown");
  return [...new Set(entries.map(({ digest }) => digest))].map((entry) => ({
    ...ofIndex(item, entry, digest),
    entry,
    platform: { os: "unknown", architecture: "unknown" },
    platformIsGiven: false,
  }));
}

function ofIndex({ imageId: _id, tag: _tag, ...item }: ImageItem, name: string, digest: string) {
  return {
    ...item,
    key: `${item.key}@${name}`,
    name: `${item.name}@${name}`,
    digest,
    checksTag: false,
    wantsAll: false,
  };
}
