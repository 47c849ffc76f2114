import { dirname, join } from "@std/path";
import { InterruptedError } from "../errors/mod.ts";
import { measure, type OnUnseen, Release, sizeOnDisk } from "../lib/fs/disk_usage.ts";
import { codeOf, guard, isFull, sync } from "../lib/fs/files.ts";
import { type Candidate, type Candidates, findCandidates, type Needed } from "./gc_candidates.ts";
import type { SharedPart } from "./gc_entries.ts";
import { makeFolder } from "../lib/fs/modes.ts";
import { removeTree } from "../lib/fs/remove_tree.ts";
import type { Store } from "./store.ts";
import { workspaceName } from "./workspace.ts";

/** What of all that nothing needs has to go. */
export interface GarbageLimits {
  /** Only what was used longer ago than that, in ms; all if absent. */
  readonly olderThan?: number;
  /** The oldest use first, until the store takes no more than that, in bytes; all if absent. */
  readonly maxSize?: number;
}

/** Something that goes. */
export interface Garbage {
  /** What it is. */
  readonly kind: Candidate["kind"];
  /** Its image id, digest, or the name of its file. */
  readonly name: string;
  /** Where it came from, such as the reference of an image. */
  readonly origin?: string;
  /** When it was used last. */
  readonly used: Date;
  /** What is freed when it goes after those before it, in bytes on disk. */
  readonly bytes: number;
  /** What is removed, in this order. */
  readonly paths: readonly string[];
}

/** What would go, and what the store takes before. */
export interface FoundGarbage {
  /** What goes, in the order in which it does. */
  readonly garbage: readonly Garbage[];
  /** What the store takes on disk, in bytes. */
  readonly size: number;
}

/**
 * Finds what goes; nothing is changed.
 *
 * @param store The store.
 * @param needed What has to stay.
 * @param limits What of the rest has to go.
 * @param onUnseen Takes what cannot be looked at, and is not counted.
 * @returns What goes, the oldest use first, and the size of the store.
 * @throws {StoreError} If the store cannot be read.
 */
export async function findGarbage(
  store: Store,
  needed: Needed,
  limits: GarbageLimits = {},
  onUnseen: OnUnseen = () => {},
): Promise<FoundGarbage> {
  return await guard("read", store.path, async () => {
    const candidates = await findCandidates(store, needed);
    // The store's own folder may be a link to another disk.
    const size = sizeOnDisk(await measure(`${store.path}/`, onUnseen));
    return { garbage: await choose(candidates, size, limits), size };
  });
}

async function choose(
  { things, parts, uses }: Candidates,
  size: number,
  { olderThan = 0, maxSize = -1 }: GarbageLimits,
): Promise<Garbage[]> {
  const latest = Date.now() - olderThan;
  const release = new Release();
  const left = new Map(uses);
  const chosen: Garbage[] = [];
  let freed = 0;
  for (const thing of things.toSorted(inOrder)) {
    // What a dead process has left serves nobody, however new it is.
    const isDue = thing.kind === "workspace" ||
      (thing.used.getTime() <= latest && size - freed > maxSize);
    if (!isDue) continue;
    const paths = withParts(thing, leave(thing, left).flatMap((name) => parts.get(name) ?? []));
    let bytes = 0;
    for (const path of paths) bytes += release.add(await measure(path));
    freed += bytes;
    const { parts: _, path: _path, ...rest } = thing;
    chosen.push({ ...rest, bytes, paths });
  }
  return chosen;
}

function inOrder(a: Candidate, b: Candidate): number {
  const rank = ({ kind }: Candidate) => kind === "workspace" ? 0 : 1;
  return rank(a) - rank(b) || a.used.getTime() - b.used.getTime() || (a.name < b.name ? -1 : 1);
}

/** Names of the parts that nothing else has once a thing is gone. */
function leave({ parts }: Candidate, left: Map<string, number>): string[] {
  return [...parts].filter((part) => {
    const others = (left.get(part) ?? 1) - 1;
    left.set(part, others);
    return others === 0;
  });
}

function withParts({ path }: Candidate, parts: readonly SharedPart[]): string[] {
  const before = parts.filter(({ isFirst }) => isFirst).flatMap(({ paths }) => paths);
  const after = parts.filter(({ isFirst }) => !isFirst).flatMap(({ paths }) => paths);
  return [...new Set([...before, path, ...after])];
}

/** How garbage is removed. */
export interface RemoveOptions {
  /** Is told what is gone. */
  readonly onRemoved: (garbage: Garbage) => void;
  /** Takes what cannot be removed; all else is. */
  readonly onLeft: (path: string, error: Error) => void;
  /** Ends it; what is left is whole. */
  readonly signal: AbortSignal;
}

/**
 * Removes garbage: all of it is moved out of the way first, each thing at once, so that what is in
 * its place is whole at any moment. That takes no more room than names do, as a disk may be full.
 *
 * @param store The store, which nothing else may work with.
 * @param garbage What goes.
 * @param options How it is removed.
 * @returns What was freed, in bytes.
 * @throws {StoreError} If something cannot be removed.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function removeGarbage(
  store: Store,
  garbage: readonly Garbage[],
  { onRemoved, onLeft, signal }: RemoveOptions,
): Promise<number> {
  if (garbage.length === 0) return 0;
  const tmp = join(store.path, "tmp");
  await guard("write to the store, in", tmp, () => makeFolder(tmp));
  let freed = 0;
  const moved: Moved[] = [];
  const empty = async () => {
    const folders = new Set(moved.map(({ from }) => dirname(from)));
    for (const folder of folders) await guard("remove from", folder, () => sync(folder));
    for (const { each, to, isLast } of moved) {
      if (signal.aborted) throw new InterruptedError(signal.reason);
      const isGone = await isDone(each, to, () => removeTree(to)).catch((error) => {
        onLeft(to, error); // it is out of the way, and the next run tries it again
        return false;
      });
      if (!isGone || !isLast) continue;
      freed += each.bytes;
      onRemoved(each);
    }
    moved.length = 0;
  };
  try {
    for (const each of garbage) {
      for (const from of each.paths) {
        if (signal.aborted) throw new InterruptedError(signal.reason);
        // Called as what a dead process leaves there, it goes with the next run if this one ends.
        const to = join(tmp, workspaceName());
        const move = () => isDone(each, from, () => Deno.rename(from, to));
        const isMoved = await move().catch(async (error) => {
          if (!isFull(error) || moved.length === 0) throw error;
          await empty(); // there was no room for one more name
          return await move();
        });
        if (isMoved) moved.push({ each, from, to, isLast: from === each.paths.at(-1) });
      }
    }
    await empty();
  } finally {
    for (const { to } of moved) await removeTree(to).catch(() => {});
  }
  return freed;
}

/** Something that goes, out of its place. */
interface Moved {
  readonly each: Garbage;
  readonly from: string;
  readonly to: string;
  /** Whether that is all of it. */
  readonly isLast: boolean;
}

/** Something else may have been there first; and what a dead process has left may be in use yet. */
async function isDone(
  { kind }: Garbage,
  path: string,
  remove: () => Promise<void>,
): Promise<boolean> {
  try {
    await remove();
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT" || kind === "workspace") return false;
    return await guard("remove", path, () => Promise.reject(error));
  }
}
