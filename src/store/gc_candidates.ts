import { join } from "@std/path";
import { isDigest } from "../../config/mod.ts";
import type { GarbageEvent } from "../events.ts";
import { HEX } from "../lib/hash/hash.ts";
import { isLocked, list, sizeOf } from "../lib/fs/files.ts";
import { findParts, partsOf, type SharedParts } from "./gc_entries.ts";
import { lastUse } from "./last_use.ts";
import { isPartial } from "./blobs.ts";
import { KeptBundles } from "./kept_bundles.ts";
import { isQuarantined } from "./quarantine.ts";
import type { Store } from "./store.ts";
import { isWorkspace } from "./workspace.ts";

/** What has to stay. */
export interface Needed {
  /** Ids of images. */
  readonly images: ReadonlySet<string>;
  /** Digests of artifacts. */
  readonly artifacts: ReadonlySet<string>;
  /** Whether a tree has to stay, by its id and the name of the stage that it says has made it. */
  needsTree(id: string, stage: string | undefined): boolean;
  /** Whether an archive has to stay, by its id. */
  needsArchive(id: string): boolean;
}

/** Something of the store that nothing needs. */
export interface Candidate {
  /** What it is. */
  readonly kind: GarbageEvent["kind"];
  /** Its image id, digest, or the name of its file. */
  readonly name: string;
  /** Where it came from, such as the reference of an image. */
  readonly origin?: string;
  /** When it was used last. */
  readonly used: Date;
  /** Where it is. */
  readonly path: string;
  /** Names of the parts that it shares with others. */
  readonly parts: ReadonlySet<string>;
}

/** What nothing needs, and what shares parts with it. */
export interface Candidates {
  /** The things, in no order. */
  readonly things: readonly Candidate[];
  /** What entries share. */
  readonly parts: SharedParts;
  /** How many entries have each part, those that stay too. */
  readonly uses: ReadonlyMap<string, number>;
}

/** A download that was broken off may go on for so long. */
const PARTIAL_MS = 24 * 60 * 60 * 1000;
/** The discs of a bundle may be on their way for so long. */
const BUNDLE_MS = 7 * 24 * 60 * 60 * 1000;

/**
 * Finds what nothing needs.
 *
 * @param store The store.
 * @param needed What has to stay.
 * @returns All of it, whenever it was used last.
 */
export async function findCandidates(store: Store, needed: Needed): Promise<Candidates> {
  const partsById = new Map<string, ReadonlySet<string>>();
  for (const id of await store.ids()) partsById.set(id, await partsOf(store, id));
  const uses = new Map<string, number>();
  for (const part of partsById.values().flatMap((parts) => parts)) {
    uses.set(part, (uses.get(part) ?? 0) + 1);
  }
  const parts = await findParts(store, new Set(uses.keys()));
  const things = await Promise.all([
    findImages(store, needed, partsById),
    findArtifacts(store, needed),
    findTrees(store, needed),
    findArchives(store, needed),
    findBlobs(parts, uses, await awaitedLayers(store)),
    findPartials(store),
    findBundles(store),
    findQuarantined(store),
    findWorkspaces(store),
  ]);
  return { things: things.flat(), parts, uses };
}

async function findImages(
  store: Store,
  { images }: Needed,
  partsById: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<Candidate[]> {
  const unneeded = [...partsById].filter(([id]) => !images.has(id));
  return await Promise.all(unneeded.map(async ([id, parts]) => {
    const path = store.entryPath(id);
    const origin = (await store.origins(id)).at(-1)?.reference;
    return {
      ...await candidate("image", path),
      ...{ parts, name: id },
      ...(origin !== undefined && { origin }),
    };
  }));
}

async function findArtifacts({ artifacts }: Store, needed: Needed): Promise<Candidate[]> {
  const unneeded = (await artifacts.digests()).filter((digest) => !needed.artifacts.has(digest));
  return await Promise.all(unneeded.map(async (digest) => {
    const origin = (await artifacts.origins(digest)).at(-1)?.reference;
    const found = await candidate("artifact", artifacts.folder(digest));
    return { ...found, ...(origin !== undefined && { origin }) };
  }));
}

async function findTrees({ path, trees }: Store, { needsTree }: Needed): Promise<Candidate[]> {
  const found = await Promise.all((await trees.ids()).map(async (id): Promise<Candidate[]> => {
    const stage = (await trees.record(id))?.stage;
    if (needsTree(id, stage)) return [];
    const tree = await candidate("tree", join(path, "trees", id));
    return [{ ...tree, ...(stage !== undefined && { origin: stage }) }];
  }));
  return found.flat();
}

async function findArchives({ archives }: Store, { needsArchive }: Needed): Promise<Candidate[]> {
  const isId = (name: string) => HEX.test(name); // all else is somebody else's
  const ids = (await list(archives)).filter((id) => isId(id) && !needsArchive(id));
  return await Promise.all(ids.map((id) => candidate("archive", join(archives, id))));
}

/** What no entry has: a run that was broken off may have left it. */
async function findBlobs(
  parts: SharedParts,
  uses: ReadonlyMap<string, number>,
  awaited: ReadonlySet<string>,
): Promise<Candidate[]> {
  const unused = [...parts].filter(([name]) => !uses.has(name) && !awaited.has(name));
  return await Promise.all(unused.map(async ([name, { paths: [path = ""] }]) => ({
    ...await candidate("blob", path),
    parts: new Set([name]),
  })));
}

/** What goes on from where it was broken off: not where the pool has the layer by now. */
async function findPartials({ path, blobs }: Store): Promise<Candidate[]> {
  const folder = join(path, "blobs", "partial");
  const names = (await list(folder)).filter(isPartial);
  const found = await Promise.all(names.map(async (name): Promise<Candidate[]> => {
    if (await isLocked(join(folder, name))) return [];
    const partial = await candidate("partial", join(folder, name));
    const digest = `sha256:${name}`;
    const isOver = isDigest(digest) && await sizeOf(blobs.blobPath(digest)) !== undefined;
    const isOld = Date.now() - partial.used.getTime() >= PARTIAL_MS;
    return isOver || isOld ? [partial] : [];
  }));
  return found.flat();
}

/** Layers of bundles of which some pieces have come: their images come with the last one. */
async function awaitedLayers({ path }: Store): Promise<ReadonlySet<string>> {
  const bundles = new KeptBundles(path);
  const digests = await bundles.digests();
  const kept = await Promise.all(digests.map(async (digest) => {
    return isOver(await candidate("bundle", bundles.folder(digest)))
      ? []
      : (await bundles.read(digest))?.layers ?? [];
  }));
  return new Set(kept.flat().map((digest) => digest.slice("sha256:".length)));
}

/** Bundles of which some pieces have come, and the others not for long. */
async function findBundles({ path }: Store): Promise<Candidate[]> {
  const bundles = new KeptBundles(path);
  const found = (await bundles.digests()).map((digest) => bundles.folder(digest));
  const all = await Promise.all(found.map((folder) => candidate("bundle", folder)));
  return all.filter(isOver);
}

function isOver({ used }: Candidate): boolean {
  return Date.now() - used.getTime() >= BUNDLE_MS;
}

async function findQuarantined({ path }: Store): Promise<Candidate[]> {
  const folder = join(path, "quarantine");
  const found = await Promise.all((await list(folder)).map(async (name): Promise<Candidate[]> => {
    const path = join(folder, name);
    if (!await isQuarantined(path)) return [];
    // Its own time is that of what was found broken; it was put there later.
    const { ctime } = await Deno.lstat(path);
    const each = await candidate("quarantine", path);
    return [{ ...each, used: notAhead(ctime ?? each.used) }];
  }));
  return found.flat();
}

async function findWorkspaces({ path }: Store): Promise<Candidate[]> {
  const folder = join(path, "tmp");
  const names = (await list(folder)).filter(isWorkspace);
  const found = await Promise.all(names.map(async (name): Promise<Candidate[]> => {
    const workspace = join(folder, name);
    return await isLocked(workspace) ? [] : [await candidate("workspace", workspace)];
  }));
  return found.flat();
}

async function candidate(kind: Candidate["kind"], path: string): Promise<Candidate> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  // What something else has just removed is found to be gone again later.
  const used = notAhead(await lastUse(path) ?? new Date());
  return { kind, name, path, used, parts: new Set() };
}

/** Clocks are set back: what was used in the future was used now. */
function notAhead(date: Date): Date {
  return new Date(Math.min(date.getTime(), Date.now()));
}
