import { formatPlatform } from "../../config/mod.ts";
import { formatLocation } from "../transports/mod.ts";
import { inputKind } from "../inputs/mod.ts";
import type { Node } from "./node.ts";

/**
 * Says what a node is, in a line.
 *
 * @param node The node.
 * @returns Text such as `docker://docker.io/library/nginx:latest (linux/amd64)`.
 */
export function describe(node: Node): string {
  // Paths may have any character but NUL; a picture has one line for them.
  return describeKind(node).replace(/\p{Cc}/gu, (char) => JSON.stringify(char).slice(1, -1));
}

function describeKind(node: Node): string {
  switch (node.kind) {
    case "source":
      return `${formatLocation(node.locations[0])} (${formatPlatform(node.platform)})`;
    case "input":
      return inputKind(node.input).describe(node.input);
    case "stage":
      return node.stage.type;
  }
}
