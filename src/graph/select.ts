import { UsageError } from "../errors/mod.ts";
import { nearest } from "./nearest.ts";
import type { Graph, Node, NodeKind, SourceNode } from "./node.ts";

/**
 * Chooses nodes by name, and all that they need.
 *
 * @param graph The graph.
 * @param kinds The kinds of nodes that a name may mean, the likelier first.
 * @param names The names; every node of these kinds if empty.
 * @returns The nodes, each behind those that it needs.
 * @throws {UsageError} If a name means no node; it says the nearest that does.
 */
export function select(
  graph: Graph,
  kinds: readonly NodeKind[],
  names: readonly string[],
): readonly Node[] {
  const nodes = [...graph.nodes.values()];
  const eligible = nodes.filter(({ key }) => kinds.some((kind) => key.startsWith(`${kind}/`)));
  const starts = names.length === 0 ? eligible : names.flatMap((name) => {
    const found = kinds.map((kind) => graph.nodes.get(`${kind}/${name}`)).find(Boolean);
    if (found) return [found];
    const several = eligible.filter((node) => node.kind === "source" && isOf(node, name));
    if (several.length > 0) return several;
    const names = new Set(
      eligible.map((node) => node.kind === "source" ? node.family ?? node.source : node.name),
    );
    const near = nearest(name, [...names, ...eligible.map((node) => node.name)]);
    const what = kinds.join(" or ");
    throw new UsageError(`Cannot find "${name}": the config has no ${what} of that name`, {
      hint: near !== undefined
        ? `did you mean "${near}"?`
        : `names: ${[...names].join(", ") || "there are none"}`,
    });
  });
  const wanted = new Set<string>();
  const queue = starts.map((node) => node.key);
  for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
    if (wanted.has(key)) continue;
    wanted.add(key);
    queue.push(...graph.nodes.get(key)?.needs ?? []);
  }
  return nodes.filter((node) => wanted.has(node.key));
}

/**
 * Whether a name means a source.
 *
 * @param source The source, or one platform or one tag of it.
 * @param name Its name in the config, with a tag and a platform or without.
 * @returns Whether it does.
 */
export function isOf(
  { name: own, source, family }: Pick<SourceNode, "name" | "source" | "family">,
  name: string,
): boolean {
  return own === name || source === name || family === name;
}
