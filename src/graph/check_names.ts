import type { ConfigIssue } from "../errors/mod.ts";
import type { Node } from "./node.ts";

/**
 * Finds stages that would give one name to several images: the last would take the name, or a
 * loader could not tell them apart.
 *
 * @param nodes All nodes by key.
 * @returns What is wrong; two sources that are pinned to one image may share a name.
 */
export function findNameClashes(nodes: ReadonlyMap<string, Node>): ConfigIssue[] {
  return [...nodes.values()].flatMap((node) => {
    if (node.kind !== "stage" || node.stage.type === "exec") return [];
    const owners = new Map<string, string>();
    return node.inputs.flatMap((key, index) => {
      const input = nodes.get(key);
      const images = input?.kind === "input" ? input.images : [];
      return images.flatMap(({ source, names }) =>
        names.flatMap((name): ConfigIssue[] => {
          const owner = owners.get(name) ?? source;
          owners.set(name, owner);
          if (owner === source || isSameImage(nodes.get(owner), nodes.get(source))) return [];
          return [{
            path: `stages.${node.name}.inputs.${index}`,
            value: input?.name,
            expected: `another name for ${say(source)} than "${name}", which is that of ` +
              `${say(owner)} as well`,
          }];
        })
      );
    });
  });
}

/**
 * Finds stages that would install several images, or one by several names, where one may be put.
 *
 * @param nodes All nodes by key.
 * @returns What is wrong.
 */
export function findOverfull(nodes: ReadonlyMap<string, Node>): ConfigIssue[] {
  return [...nodes.values()].flatMap((node): ConfigIssue[] => {
    if (node.kind !== "stage" || node.stage.type !== "install") return [];
    const { destination: { type } } = node.stage;
    if (type === "containers-storage" || type === "docker") return [];
    const names = node.inputs.flatMap((key) => {
      const input = nodes.get(key);
      return input?.kind === "input" ? input.images.flatMap(({ names }) => names) : [];
    });
    if (names.length < 2) return [];
    return [{
      path: `stages.${node.name}.inputs`,
      value: names.join(", "),
      expected: `one image with one name for ${type}; others get stages of their own`,
    }];
  });
}

function isSameImage(one: Node | undefined, other: Node | undefined): boolean {
  return one?.kind === "source" && other?.kind === "source" && one.imageId !== undefined &&
    one.imageId === other.imageId;
}

/** A node as a config has it, such as `sources.web`. */
function say(key: string): string {
  return key.replace("/", "s.");
}
