import { formatPlatform, formatReference } from "../../config/mod.ts";
import type { Location, Node } from "./node.ts";

/**
 * Says what a node is, in a line.
 *
 * @param node The node.
 * @returns Text such as `docker://docker.io/library/nginx:latest (linux/amd64)`.
 */
export function describe(node: Node): string {
  switch (node.kind) {
    case "source":
      return `${describeLocation(node.locations[0])} (${formatPlatform(node.platform)})`;
    case "input":
      return node.input.type === "tree" ? `tree ${node.input.path}` : node.input.type;
    case "stage":
      return node.stage.type;
  }
}

/**
 * Writes a location as skopeo would be told it, without what it needs to be reached.
 *
 * @param location The location.
 * @returns Text such as `docker://docker.io/library/nginx:latest`.
 */
export function describeLocation(location: Location): string {
  switch (location.transport) {
    case "docker":
      return `docker://${formatReference(location.reference)}`;
    case "containers-storage": {
      const { driver, root, runRoot } = location.storage;
      const place = root
        ? `[${driver ? `${driver}@` : ""}${root}${runRoot ? `+${runRoot}` : ""}]`
        : "";
      return `containers-storage:${place}${formatReference(location.reference)}`;
    }
    default:
      return `${location.transport}:${location.path}${location.image ? `:${location.image}` : ""}`;
  }
}
