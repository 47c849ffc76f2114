import { UsageError } from "../errors/mod.ts";
import { hashOf } from "../lib/hash/hash.ts";
import type { Graph, Node } from "./node.ts";

/** A part of a graph, of several that are the whole together. */
export interface Shard {
  /** Which part, from 1. */
  readonly index: number;
  /** How many parts there are. */
  readonly of: number;
}

/** So much more than its share a part may have, before others take what would be its. */
const SLACK = 1.25;

/**
 * Chooses the nodes of a shard. What needs each other is in one shard, so that none waits for another;
 * so are images of one repository, which mostly share layers. A change of the config moves little
 * from shard to shard.
 *
 * @param nodes The nodes to choose from.
 * @param graph The graph that they are of.
 * @param shard Which part.
 * @returns Those of the shard, in their order.
 * @throws {UsageError} If there is no such part.
 */
export function ofShard(
  nodes: readonly Node[],
  graph: Graph,
  { index, of }: Shard,
): readonly Node[] {
  const isWhole = [index, of].every(Number.isSafeInteger);
  if (!isWhole || index < 1 || of < index) {
    throw new UsageError(`Cannot use shard ${index}/${of}: expected one from 1/N to N/N`);
  }
  const shards = assign(group([...graph.nodes.values()]), of);
  return nodes.filter(({ key }) => shards.get(key) === index);
}

/** Puts together what needs each other or shares a repository. */
function group(nodes: readonly Node[]): string[][] {
  const groups = new Map<string, Set<string>>();
  const join = (keys: readonly string[]) => {
    const joined = new Set(keys.flatMap((key) => [...groups.get(key) ?? [key]]));
    for (const key of joined) groups.set(key, joined);
  };
  for (const node of nodes) join([node.key, ...node.needs]);
  const repositories = Map.groupBy(
    nodes.filter((node) => node.kind === "source"),
    ({ key, locations: [own] }) =>
      "reference" in own ? `${own.reference.domain}/${own.reference.path}` : key,
  );
  for (const same of repositories.values()) join(same.map(({ key }) => key));
  return [...new Set(groups.values())].map((keys) => [...keys].sort());
}

/** Each group has an order of shards of its own, and takes the first that has room. */
function assign(groups: readonly string[][], of: number): Map<string, number> {
  const total = groups.reduce((sum, keys) => sum + keys.length, 0);
  const room = Math.ceil(total / of * SLACK);
  const loads = Array.from({ length: of }, () => 0);
  const shards = new Map<string, number>();
  const ranked = groups.map((keys) => ({ keys, rank: hashOf(keys[0]) }))
    .sort((a, b) => b.keys.length - a.keys.length || (a.rank < b.rank ? -1 : 1));
  for (const { keys, rank } of ranked) {
    const order = loads.map((_, at) => ({ at, rank: hashOf([rank, at]) }))
      .sort((a, b) => a.rank < b.rank ? -1 : 1).map(({ at }) => at);
    const isFree = (at: number) => (loads[at] ?? 0) + keys.length <= room;
    const emptiest = order.toSorted((a, b) => (loads[a] ?? 0) - (loads[b] ?? 0))[0] ?? 0;
    const at = order.find(isFree) ?? emptiest;
    loads[at] = (loads[at] ?? 0) + keys.length;
    for (const key of keys) shards.set(key, at + 1);
  }
  return shards;
}
