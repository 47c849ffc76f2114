import { resolve } from "@std/path";
import type { ConfigIssue } from "../errors/mod.ts";
import { type Filled, stageKind } from "../stages/mod.ts";
import { imagesOf, isSameImage } from "./check_names.ts";
import type { Node, StageNode } from "./node.ts";

/** Who takes a place of a tree, and for which image. */
interface Owner {
  readonly stage: string;
  readonly source: string | undefined;
}

/**
 * Finds stages that put something else where an earlier stage of the same tree has put what it
 * makes: the tree would have what the last one puts there.
 *
 * @param nodes All nodes by key, each behind those that it needs.
 * @returns What is wrong.
 */
export function checkFilled(nodes: ReadonlyMap<string, Node>): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  /** Of each stage's tree, by its key, and of each folder that stages change in place. */
  const trees = new Map<string, ReadonlyMap<string, Owner>>();
  for (const node of nodes.values()) {
    if (node.kind !== "stage") continue;
    const into = stageKind(node.stage).into(node.stage);
    const tree = into === undefined ? node.key : `into ${resolve("/", into)}`;
    const before = trees.get(into === undefined ? node.on ?? "" : tree);
    const all = filledBy(node, nodes);
    if (all.length === 0) {
      if (before) trees.set(tree, before);
      continue;
    }
    const owners = new Map(before);
    for (const { filled, source } of all) {
      const path = resolve("/", filled.path);
      const { name } = filled;
      const place = name === undefined ? path : `${name} in ${path}`;
      const owner = owners.get(place);
      owners.set(place, { stage: node.name, source });
      if (owner === undefined || owner.stage === node.name) continue;
      if (name !== undefined && isSame(owner.source, source, nodes)) continue;
      issues.push({
        path: `stages.${node.name}`,
        value: place,
        expected: name === undefined
          ? `another file than stages.${owner.stage} writes into the same tree`
          : `another name than stages.${owner.stage} gives an image in the same tree`,
      });
    }
    trees.set(tree, owners);
  }
  return issues;
}

function filledBy(
  node: StageNode,
  nodes: ReadonlyMap<string, Node>,
): { readonly filled: Filled; readonly source?: string }[] {
  const kind = stageKind(node.stage);
  if (kind.reads !== "images") {
    return kind.fills(node.stage).map((filled) => ({ filled }));
  }
  return node.inputs.flatMap((key) => imagesOf(key, nodes)).flatMap((image) =>
    kind.fills(node.stage, image).map((filled) => ({ filled, source: image.source }))
  );
}

function isSame(
  one: string | undefined,
  other: string | undefined,
  nodes: ReadonlyMap<string, Node>,
): boolean {
  if (one === undefined || other === undefined) return false;
  return one === other || isSameImage(nodes.get(one), nodes.get(other));
}
