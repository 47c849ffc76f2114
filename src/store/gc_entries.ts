import { join } from "@std/path";
import { HEX } from "../lib/hash/hash.ts";
import { digestOf, list } from "../lib/fs/files.ts";
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
 * @returns Names of the parts, there or not: blobs by their hex digits, indexes by their digests,
 * and what refers to them, or to the image, by the digest that it refers to.
 */
export async function partsOf(store: Store, id: string): Promise<ReadonlySet<string>> {
  const image = store.imagePath(id);
  const bytes = await readRegular(join(image, "manifest.json"), MAX_JSON);
  const read = bytes && readManifest(bytes);
  // What is damaged is repaired with what the manifest names, or else with what is there.
  const named = read?.kind === "image" ? [...blobsOf(read.manifest).keys()].map(hexOf) : [];
  const there = (await list(image)).filter((name) => HEX.test(name));
  const origins = await store.origins(id);
  const indexes = origins.flatMap(({ index }) => index ?? []);
  const images = [
    ...origins.flatMap(({ digest }) => digest ?? []),
    ...bytes ? [digestOf(bytes)] : [],
  ];
  return new Set([...named, ...there, ...indexes, ...[...indexes, ...images].map(referrersOf)]);
}

/**
 * Finds what the entries of a store may share: the blobs of the pool, each with what is known of
 * it, the indexes that an entry came from, and what refers to those and to images.
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
  for (const subject of await store.referrers.subjects()) {
    const paths = [store.referrers.folder(subject)];
    parts.set(referrersOf(subject), { paths, isFirst: false });
  }
  return parts;
}

/** The name of the part that refers to something. */
function referrersOf(subject: string): string {
  return `referrers/${subject}`;
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}
