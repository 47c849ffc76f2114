import { formatLocation, formatPlatform } from "../../config/mod.ts";
import { LockError, type LockProblem, type StowageError } from "../errors/mod.ts";
import type { SourceNode } from "../graph/node.ts";
import type { Lock } from "../graph/lock_schema.ts";
import { SkopeoSource } from "../sources/skopeo.ts";
import type { SourceContext } from "../sources/source.ts";

/** What asking for tags has found. */
export interface OutdatedResult {
  /** The sources whose tags moved. */
  readonly outdated: readonly OutdatedSource[];
  /** Names of sources that have a tag, and that nothing pins: they were not asked for. */
  readonly unpinned: readonly string[];
  /** How many manifests were asked for in registries. */
  readonly requests: number;
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
 * Finds what a lock does not say of sources.
 *
 * @param nodes The sources, pinned by the lock.
 * @param lock The lock.
 * @returns What is wrong, a source or a platform each.
 */
export function findUnlocked(nodes: readonly SourceNode[], lock: Lock | undefined): LockProblem[] {
  return nodes.flatMap(({ name, unlocked, isPinned }): LockProblem[] => {
    if (!lock) return isPinned ? [] : [{ name, reason: "there is no lock" }];
    return unlocked === undefined ? [] : [{ name, reason: unlocked }];
  });
}

/**
 * Refuses a run whose sources are not all pinned.
 *
 * @param nodes The sources, pinned by the lock.
 * @param options Whether the run is frozen, and the lock.
 * @throws {LockError} If it is, and one is not in the lock, or in the config without one.
 */
export function checkFrozen(
  nodes: readonly SourceNode[],
  { frozen = false, lock }: { readonly frozen?: boolean; readonly lock?: Lock | undefined },
): void {
  if (!frozen) return;
  const open = nodes.filter(({ isPinned, unlocked }) => lock ? unlocked !== undefined : !isPinned);
  if (open.length === 0) return;
  const problems = open.map(({ name, unlocked = "there is no lock" }) => ({
    name,
    reason: unlocked,
  }));
  throw new LockError("LOCK_MISSING", "Cannot run frozen: the lock does not say all", problems, {
    hint: "run `stowage lock` and keep images.lock.json under version control",
  });
}

/**
 * Finds what a lock says of what is not in the config.
 *
 * @param nodes All sources, without the lock.
 * @param lock The lock.
 * @returns What is left over, a source or a platform each.
 */
export function findLeftOver(nodes: readonly SourceNode[], lock: Lock | undefined): LockProblem[] {
  const known = Map.groupBy(nodes, ({ source }) => source);
  return Object.entries(lock?.sources ?? {}).flatMap(([name, { platforms }]): LockProblem[] => {
    const group = known.get(name);
    if (!group) return [{ name, reason: "it is in the lock, and not in the config" }];
    if (!group[0]?.platformIsGiven) return [];
    const named = new Set(group.map(({ platform }) => formatPlatform(platform)));
    return Object.keys(platforms).filter((platform) => !named.has(platform)).map((platform) => ({
      name,
      reason: `it is in the lock for ${platform}, and not in the config`,
    }));
  });
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
): Promise<OutdatedResult & { readonly failures: Readonly<Record<string, StowageError>> }> {
  const source = new SkopeoSource(context);
  const entryOf = ({ source, unlocked }: SourceNode) =>
    lock && unlocked === undefined && Object.hasOwn(lock.sources, source)
      ? lock.sources[source]
      : undefined;
  const pinnedTo = (node: SourceNode) => entryOf(node)?.index?.digest ?? node.digest;
  const expected = (node: SourceNode) => {
    const digest = pinnedTo(node);
    // A lock has what the tag itself stood for; a config may pin an image of an index.
    const isWhole = entryOf(node) !== undefined && !node.isPinned;
    return digest === undefined ? undefined : { digest, isWhole };
  };
  const bySource = new Map(
    nodes.filter((node) => node.tag && pinnedTo(node)).map((
      node,
    ) => [node.source, { ...node, name: node.source }]),
  );
  const failures: Record<string, StowageError> = {};
  const outdated: OutdatedSource[] = [];
  for (const outcome of await source.readTags([...bySource.values()], expected)) {
    const { item } = outcome;
    if ("error" in outcome) {
      failures[item.name] = outcome.error;
      continue;
    }
    const pinned = pinnedTo(item);
    const current = outcome.value;
    if (!current || !pinned || current.includes(pinned)) continue;
    const [digest = ""] = current;
    const reference = formatLocation(item.locations[0]);
    outdated.push({ name: item.source, reference, pinned, current: digest });
  }
  const unpinned = nodes.filter((node) => node.tag && !pinnedTo(node)).map(({ source }) => source);
  return {
    outdated,
    unpinned: [...new Set(unpinned)],
    requests: source.manifestReads,
    failures,
  };
}
