import { join } from "@std/path";
import pLimit from "p-limit";
import { formatPlatform } from "../../config/mod.ts";
import { StoreError } from "../errors/mod.ts";
import type { ReferrerResult } from "../events.ts";
import type { SourceNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { digestOf, guard, sizeOf } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON } from "../lib/json.ts";
import { blobPath, readDirImage } from "../store/image.ts";
import { lastUse } from "../store/last_use.ts";
import { blobsOf, platformOfConfig, readImageConfig, readManifest } from "../store/manifest.ts";
import { type Candidate, candidates, isFrom } from "../store/candidates.ts";
import type { Store } from "../store/store.ts";
import { queryOf } from "../sources/image_item.ts";

/** In which form the store has an image. */
export type StoredFormat = "dir" | "docker-archive" | "index";

/** What refers to an image of the store, or to its index. */
export type ListedReferrer = Omit<ReferrerResult, "status">;

/** An image of the store. */
export interface StoredImage {
  /** Image id. */
  readonly id: string;
  /** Digest of its manifest, where there is one. */
  readonly digest?: string;
  /** Names of the config's sources that it is what was fetched for. */
  readonly names: readonly string[];
  /** Where it came from, the latest last. */
  readonly references: readonly string[];
  /** Its platform, where that is known. */
  readonly platform?: string;
  /** In which forms it is there. */
  readonly formats: readonly StoredFormat[];
  /** Whether all of it is there; its bytes are not hashed for that. */
  readonly complete: boolean;
  /** Size of all its parts, in bytes. */
  readonly size: number;
  /** Size of the parts that no other image has, in bytes. */
  readonly own: number;
  /** When it was fetched last, as ISO 8601 has it, where that is recorded. */
  readonly fetched?: string;
  /** When it was used last, as ISO 8601 has it. */
  readonly used?: string;
  /** What refers to it, or to an index that it came with; absent where nothing does. */
  readonly referrers?: readonly ListedReferrer[];
  /** The folder of its entry. */
  readonly path: string;
}

/** How many entries are read side by side. */
const READS = 16;

/** An entry as it was read. */
interface Entry extends Candidate {
  readonly image: Omit<StoredImage, "names" | "size" | "own">;
  /** Sizes of blobs by digest. */
  readonly blobs: ReadonlyMap<string, number>;
  /** Size of what no other entry can share, in bytes. */
  readonly rest: number;
}

/**
 * Lists the images of a store.
 *
 * @param run The store, and the folder that relative paths start from.
 * @param nodes The sources of the config.
 * @returns The images, by id.
 * @throws {StoreError} If the store cannot be read.
 */
export async function listImages(
  { store, root }: Pick<Run, "store" | "root">,
  nodes: readonly SourceNode[],
): Promise<StoredImage[]> {
  const limit = pLimit(READS);
  const ids = await store.ids();
  const entries = await Promise.all(
    ids.map((id) =>
      limit(() => readEntry(store, id).catch((error) => unreadEntry(store, id, error)))
    ),
  );
  const shares = new Map<string, number>();
  for (const { blobs } of entries) {
    for (const digest of blobs.keys()) shares.set(digest, (shares.get(digest) ?? 0) + 1);
  }
  const names = new Map<string, Set<string>>();
  for (const [name, id] of nodes.flatMap((node) => namesOf(node, root, entries))) {
    names.set(id, (names.get(id) ?? new Set()).add(name));
  }
  return entries.map(({ image, blobs, rest }) => {
    const sizes = [...blobs];
    const own = sizes.filter(([digest]) => shares.get(digest) === 1);
    const sum = (blobs: typeof sizes) => blobs.reduce((sum, [, size]) => sum + size, rest);
    return { ...image, names: [...names.get(image.id) ?? []], size: sum(sizes), own: sum(own) };
  });
}

/** One that cannot be read keeps no other from being listed; `verify` says why. */
function unreadEntry(store: Store, id: string, error: unknown): Entry {
  if (!(error instanceof StoreError)) throw error;
  const what = { id, path: store.entryPath(id), references: [], formats: [], complete: false };
  return { id, image: what, origins: [], blobs: new Map(), rest: 0 };
}

async function readEntry(store: Store, id: string): Promise<Entry> {
  const path = store.entryPath(id);
  return await guard("read", path, async () => {
    const folder = store.imagePath(id);
    const [bytes, origins, archive, image, used] = await Promise.all([
      readRegular(join(folder, "manifest.json"), MAX_JSON),
      store.origins(id),
      sizeOf(join(path, "container-image.tar")),
      readDirImage(folder),
      lastUse(path),
    ]);
    const read = bytes && readManifest(bytes);
    const blobs = read?.kind === "image" ? blobsOf(read.manifest) : new Map<string, number>();
    const config = await readRegular(blobPath(folder, id), MAX_JSON);
    const known = config && readImageConfig(config);
    const own = known && platformOfConfig(known);
    const latest = origins.at(-1);
    const platform = latest?.platform ?? (own ? formatPlatform(own) : latest?.chosenFor);
    const index = origins.findLast((origin) => origin.index)?.index;
    const isWhole = !("missing" in image) && image.id === id;
    const formats: StoredFormat[] = [
      ...(bytes ? ["dir" as const] : []),
      ...(archive === undefined ? [] : ["docker-archive" as const]),
      ...(index && await store.findFile(index) ? ["index" as const] : []),
    ];
    const digests = origins.flatMap(({ digest, index }) => [digest, index]);
    const referrers = await readReferrers(store, [...digests, bytes && digestOf(bytes)]);
    const fetched = origins.map((origin) => origin.fetched).sort().at(-1);
    return {
      id,
      digest: "missing" in image ? undefined : image.digest,
      image: {
        id,
        ...(!("missing" in image) && { digest: image.digest }),
        references: origins.map(({ reference }) => reference),
        ...(platform !== undefined && { platform }),
        formats,
        complete: isWhole || (!bytes && archive !== undefined),
        ...(fetched !== undefined && { fetched }),
        ...(used && { used: used.toISOString() }),
        ...(referrers.length > 0 && { referrers }),
        path,
      },
      origins,
      blobs,
      rest: (bytes?.length ?? 0) + (archive ?? 0),
    };
  });
}

async function readReferrers(
  store: Store,
  subjects: readonly (string | undefined)[],
): Promise<ListedReferrer[]> {
  const found = await Promise.all([...new Set(subjects)].map(async (subject) => {
    if (subject === undefined) return [];
    const kept = await store.referrers.of(subject) ?? [];
    return kept.map(({ digest, kind, tag, size, blobs }): ListedReferrer => ({
      ...{ subject, digest, kind, size: blobs.reduce((sum, { size }) => sum + size, size) },
      ...(tag && { tag }),
    }));
  }));
  return found.flat();
}

/** What images are called that a source has: its own and, where it wants all, those of its index. */
function namesOf(
  node: SourceNode,
  root: string,
  entries: readonly Entry[],
): (readonly [string, string])[] {
  const query = queryOf(node, root);
  const [own] = candidates(entries, query);
  if (!own) return [];
  const { name, wantsAll } = node;
  const platform = formatPlatform(query.platform);
  const index = wantsAll && own.origins.findLast((origin) => isFrom(origin, query))?.index;
  const others = !index
    ? []
    : entries.flatMap(({ image, origins }) =>
      origins.filter((origin) => origin.index === index && origin.chosenFor !== platform)
        .map((origin) => [`${name}@${origin.chosenFor}`, image.id] as const)
    );
  return [[name, own.id], ...others];
}
