import type { Run } from "../run.ts";
import { formatLocation } from "../transports/mod.ts";
import type { Failures, StowageError } from "../errors/mod.ts";
import type { SourceNode } from "../graph/node.ts";
import type { Lock } from "../graph/lock_schema.ts";
import { SkopeoSource } from "../sources/skopeo.ts";

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
 * Asks which tags stand for something else than what is pinned.
 *
 * @param nodes The sources, pinned by the lock.
 * @param lock The lock.
 * @param run What the run gives.
 * @returns The sources whose tags moved, how many manifests were read, what failed, and of how many.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function findOutdated(
  nodes: readonly SourceNode[],
  lock: Lock | undefined,
  run: Run,
): Promise<OutdatedResult & { readonly failures: Failures; readonly total: number }> {
  const source = new SkopeoSource(run);
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
    ) => [node.source, { ...node, key: `source/${node.source}`, name: node.source }]),
  );
  const failures: Record<string, StowageError> = {};
  const outdated: OutdatedSource[] = [];
  for (const outcome of await source.readTags([...bySource.values()], expected)) {
    const { item } = outcome;
    if ("error" in outcome) {
      failures[item.key] = outcome.error;
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
    requests: await source.manifestReads(),
    failures,
    total: new Set(nodes.map(({ source }) => source)).size,
  };
}
