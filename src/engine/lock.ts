import { formatLocation, formatPlatform } from "../../config/mod.ts";
import type { StowageError } from "../errors.ts";
import type { SourceNode } from "../graph/node.ts";
import type { Lock, LockedImage, LockedSource } from "../graph/lock.ts";
import type { LockProblem } from "../lock_error.ts";
import { type PreparedImage, SkopeoSource } from "../sources/skopeo.ts";
import type { SourceContext } from "../sources/source.ts";
import { sizeOfImage } from "../store/manifest.ts";

/** What locking has changed of a source on a platform. */
export interface LockChange {
  /** Name of the source; with its platform, where it has several. */
  readonly name: string;
  /** What became of its entry. */
  readonly change: "added" | "moved" | "removed";
  /** What was locked. */
  readonly from?: LockedImage;
  /** What is locked now. */
  readonly to?: LockedImage;
}

/** What locking has made. */
export interface LockResult {
  /** The lock. */
  readonly lock: Lock;
  /** What is different from the lock that was there. */
  readonly changes: readonly LockChange[];
  /** How many manifests were read from registries. */
  readonly requests: number;
}

/** What asking for tags has found. */
export interface OutdatedResult {
  /** The sources whose tags moved. */
  readonly outdated: readonly OutdatedSource[];
  /** How many manifests were read from registries. */
  readonly requests: number;
}

/** The error of each source that could not be asked for, by name. */
interface Failures {
  readonly failures: Readonly<Record<string, StowageError>>;
}

/** A source whose tag stands for something else now. */
export interface OutdatedSource {
  /** Name of the source. */
  readonly name: string;
  /** What it is asked for by. */
  readonly reference: string;
  /** The digest that the lock or the config pins. */
  readonly pinned: string;
  /** The digest that the tag stands for now. */
  readonly current: string;
}

/**
 * Completes a lock; what it has already stays, unless it is to be updated.
 *
 * @param nodes The sources, without the lock.
 * @param lock The lock that is there.
 * @param isUpdated Tells which sources are asked for again.
 * @param context What the run gives.
 * @returns The lock, and what has changed.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function makeLock(
  nodes: readonly SourceNode[],
  lock: Lock | undefined,
  isUpdated: (node: SourceNode) => boolean,
  context: SourceContext,
): Promise<LockResult & Failures> {
  const old = lock?.sources ?? {};
  const source = new SkopeoSource(context);
  const open = nodes.filter((node) => isUpdated(node) || !entryOf(node, old)?.image);
  const wanted = open.map((node) => asLocked(node, isUpdated(node) ? undefined : old[node.source]));
  const found = new Map<string, PreparedImage>();
  const failures: Record<string, StowageError> = {};
  for (const outcome of await source.resolve(wanted)) {
    if ("error" in outcome) failures[outcome.item.name] = outcome.error;
    else found.set(outcome.item.name, outcome.value);
  }
  const sources: Record<string, LockedSource> = {};
  const changes: LockChange[] = [];
  for (const node of nodes) {
    const before = entryOf(node, old);
    const prepared = found.get(node.name);
    const now = prepared ? lockedOf(node, prepared) : before;
    if (!now?.image) continue;
    sources[node.source] = merge(sources[node.source], node, now);
    if (before?.image?.digest === now.image.digest && before.image.id === now.image.id) continue;
    changes.push({
      name: node.name,
      change: before?.image ? "moved" : "added",
      ...(before?.image && { from: before.image }),
      to: now.image,
    });
  }
  const known = new Set(nodes.map((node) => node.source));
  for (const name of Object.keys(old)) {
    if (!known.has(name)) changes.push({ name, change: "removed" });
  }
  return { lock: { schema: 1, sources }, changes, requests: source.manifestReads, failures };
}

/** What a lock has of a node, where it is about the same place. */
function entryOf(
  node: SourceNode,
  sources: Lock["sources"],
): { readonly entry: LockedSource; readonly image: LockedImage | undefined } | undefined {
  const entry = Object.hasOwn(sources, node.source) ? sources[node.source] : undefined;
  if (!entry || entry.reference !== formatLocation(node.locations[0])) return undefined;
  const image = entry.platforms[formatPlatform(node.platform)];
  const isOther = image && node.digest && node.digest !== image.digest &&
    node.digest !== entry.index?.digest;
  return { entry, image: isOther ? undefined : image };
}

/** A platform that is new to an index that is locked belongs to the same index. */
function asLocked(node: SourceNode, entry: LockedSource | undefined): SourceNode {
  const [first] = node.locations;
  const isSame = entry?.reference === formatLocation(first);
  const digest = node.digest ?? (isSame ? entry?.index?.digest : undefined);
  // A lock is about what the source itself has, not about what a fallback has in its place.
  return { ...node, locations: [first], ...(digest !== undefined && { digest }) };
}

function lockedOf(
  node: SourceNode,
  { found: { digest, index, manifest } }: PreparedImage,
): { readonly entry: LockedSource; readonly image: LockedImage } | undefined {
  if (!manifest) return undefined;
  const [first] = node.locations;
  const image = {
    digest,
    id: manifest.config.digest,
    mediaType: manifest.mediaType,
    size: sizeOfImage(manifest),
  };
  const tag = "reference" in first ? first.reference.tag : undefined;
  const entry = {
    reference: formatLocation(first),
    ...(tag !== undefined && { tag }),
    ...(index && {
      index: { digest: index.digest, mediaType: index.mediaType, size: index.bytes.length },
    }),
    platforms: {},
  };
  return { entry, image };
}

function merge(
  other: LockedSource | undefined,
  { platform }: SourceNode,
  { entry, image }: { readonly entry: LockedSource; readonly image: LockedImage | undefined },
): LockedSource {
  const platforms = { ...other?.platforms, ...(image && { [formatPlatform(platform)]: image }) };
  return { ...entry, platforms };
}

/**
 * Finds what a lock does not say, or says of what is not in the config.
 *
 * @param nodes The sources, pinned by the lock.
 * @param lock The lock.
 * @returns What is wrong; nothing if the lock is complete.
 */
export function findUnlocked(nodes: readonly SourceNode[], lock: Lock | undefined): LockProblem[] {
  const known = new Set(nodes.map((node) => node.source));
  return [
    ...nodes.flatMap(({ name, unlocked, isPinned }): LockProblem[] => {
      if (!lock) return isPinned ? [] : [{ name, reason: "there is no lock" }];
      return unlocked === undefined ? [] : [{ name, reason: unlocked }];
    }),
    ...Object.keys(lock?.sources ?? {}).filter((name) => !known.has(name))
      .map((name) => ({ name, reason: "it is in the lock, and not in the config" })),
  ];
}

/**
 * Asks which tags stand for something else than what is pinned.
 *
 * @param nodes The sources, pinned by the lock.
 * @param lock The lock.
 * @param context What the run gives.
 * @returns The sources whose tags moved, how many manifests were read, and what failed.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function findOutdated(
  nodes: readonly SourceNode[],
  lock: Lock | undefined,
  context: SourceContext,
): Promise<OutdatedResult & Failures> {
  const source = new SkopeoSource(context);
  const bySource = new Map(nodes.map((node) => [node.source, node]));
  const failures: Record<string, StowageError> = {};
  const outdated: OutdatedSource[] = [];
  for (const outcome of await source.readTags([...bySource.values()])) {
    const { item } = outcome;
    if ("error" in outcome) {
      failures[item.name] = outcome.error;
      continue;
    }
    const entry = lock?.sources[item.source];
    const pinned = entry?.index?.digest ?? item.digest;
    const current = outcome.value;
    if (!current || !pinned || current.includes(pinned)) continue;
    const [digest = ""] = current;
    const reference = formatLocation(item.locations[0]);
    outdated.push({ name: item.source, reference, pinned, current: digest });
  }
  return { outdated, requests: source.manifestReads, failures };
}
