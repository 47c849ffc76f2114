import type { ConfigIssue } from "../errors/mod.ts";
import type { InputImage } from "../inputs/mod.ts";
import { stageKind } from "../stages/mod.ts";
import { under } from "./issues.ts";
import type { Node, StageNode } from "./node.ts";

/**
 * Finds stages that cannot give images the names that they are to have.
 *
 * @param nodes All nodes by key.
 * @returns What is wrong.
 */
export function checkNames(nodes: ReadonlyMap<string, Node>): ConfigIssue[] {
  return [...nodes.values()].flatMap((node) => {
    if (node.kind !== "stage") return [];
    const kind = stageKind(node.stage);
    if (kind.reads !== "images") return [];
    const names = node.inputs.flatMap((key) => imagesOf(key, nodes).flatMap(({ names }) => names));
    const found = [...findClashes(node, nodes), ...kind.checkNames(node.stage, names)];
    return found.map((issue) => under(`stages.${node.name}`, issue));
  });
}

/**
 * Finds names that several images would have: the last would take the name, or a loader could not
 * tell them apart. Two sources that are pinned to one image may share a name.
 */
function findClashes({ inputs }: StageNode, nodes: ReadonlyMap<string, Node>): ConfigIssue[] {
  const owners = new Map<string, string>();
  return inputs.flatMap((key, index) =>
    imagesOf(key, nodes).flatMap(({ source, names }) =>
      names.flatMap((name): ConfigIssue[] => {
        const owner = owners.get(name) ?? source;
        owners.set(name, owner);
        if (owner === source || isSameImage(nodes.get(owner), nodes.get(source))) return [];
        return [{
          path: `inputs.${index}`,
          value: nodes.get(key)?.name,
          expected: `another name for ${say(source)} than "${name}", which is that of ` +
            `${say(owner)} as well`,
        }];
      })
    )
  );
}

/**
 * The images of an input.
 *
 * @param key Key of the input.
 * @param nodes All nodes by key.
 * @returns The images; none of an input that gives something else.
 */
export function imagesOf(key: string, nodes: ReadonlyMap<string, Node>): readonly InputImage[] {
  const node = nodes.get(key);
  return node?.kind === "input" ? node.images : [];
}

/**
 * Whether two sources are pinned to one image.
 *
 * @param one A source.
 * @param other Another one.
 * @returns Whether they are.
 */
export function isSameImage(one: Node | undefined, other: Node | undefined): boolean {
  return one?.kind === "source" && other?.kind === "source" && one.imageId !== undefined &&
    one.imageId === other.imageId;
}

/** A node as a config has it, such as `sources.web`. */
function say(key: string): string {
  return key.replace("/", "s.");
}
