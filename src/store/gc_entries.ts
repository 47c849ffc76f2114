import { join } from "@std/path";
import { HEX } from "../lib/hash/hash.ts";
import { list } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON } from "../lib/json.ts";
import { blobsOf, readManifest } from "./manifest.ts";
import { FILES, type Store } from "./store.ts";

/** What may be shared by several entries: it goes when the last of them does. */
export interface SharedPart {
  /** Its files. */
  readonly paths: readonly string[];
  /** Whether it goes before the last entry that has it: what is left of it without would stay. */
  readonly isFirst: boolean;
}

/** What entries share, by a name of each part. */
export type SharedParts = ReadonlyMap<string, SharedPart>;

/**
 * Finds out which parts an image's entry shares with others.
 *
 * @param store The store.
 * @param id Image id.
 * @returns Names of the parts, there or not: blobs by their hex digits, indexes by their digests.
 */
export async function partsOf(store: Store, id: string): Promise<ReadonlySet<string>> {
  const image = store.imagePath(id);
  const bytes = await readRegular(join(image, "manifest.json"), MAX_JSON);
  const read = bytes && readManifest(bytes);
  // What is damaged is repaired with what the manifest names, or else with what is there.
  const named = read?.kind === "image" ? [...blobsOf(read.manifest).keys()].map(hexOf) : [];
  const there = (await list(image)).filter((name) => HEX.test(name));
  const indexes = (await store.origins(id)).flatMap(({ index }) => index ?? []);
  return new Set([...named, ...there, ...indexes]);
}

/**
 * Finds what the entries of a store may share: the blobs of the pool, each with what is known of
 * it, and the indexes that an entry came from.
 *
 * @param store The store.
 * @param named Names of the parts that entries have; other files are not this store's.
 * @returns The parts, by their names.
 */
export async function findParts(store: Store, named: ReadonlySet<string>): Promise<SharedParts> {
  const parts = new Map<string, SharedPart>();
  const pool = ["sha256", "diff-ids"].map((folder) => join(store.path, "blobs", folder));
  for (const folder of pool) {
    for (const name of await list(folder)) {
      if (!HEX.test(name)) continue; // somebody else's
      const { paths = [] } = parts.get(name) ?? {};
      parts.set(name, { paths: [...paths, join(folder, name)], isFirst: false });
    }
  }
  const files = join(store.sources, FILES);
  for (const name of await list(files)) {
    if (named.has(name)) parts.set(name, { paths: [join(files, name)], isFirst: true });
  }
  return parts;
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}
