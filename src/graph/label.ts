import { formatPlatform } from "../../config/mod.ts";
import { formatLocation } from "../transports/mod.ts";
import { inputKind } from "../inputs/mod.ts";
import { formatRule } from "./expand_tags.ts";
import type { Node, SourceNode } from "./node.ts";

/**
 * Says what a node is, in a line.
 *
 * @param node The node.
 * @returns Text such as `docker://docker.io/library/nginx:1.27 (linux/amd64)`; of a source that is
 * pinned with as much of the digest as a person compares.
 */
export function describe(node: Node): string {
  // Paths may have any character but NUL; a picture has one line for them.
  return describeKind(node).replace(/\p{Cc}/gu, (char) => JSON.stringify(char).slice(1, -1));
}

function describeKind(node: Node): string {
  switch (node.kind) {
    case "source": {
      const id = node.imageId && !node.digest ? `, id ${shorten(node.imageId)}` : "";
      return `${formatPinned(node)} (${formatPlatform(node.platform)}${id})`;
    }
    case "artifact":
      return `${formatPinned(node)} (artifact)`;
    case "tags":
      return `tags of ${node.repository} by ${formatRule(node.rule)} (not locked)`;
    case "input":
      return inputKind(node.input).describe(node.input);
    case "stage":
      return node.stage.type;
  }
}

function formatPinned(
  { locations: [location], digest, imageId, tag }: Pick<
    SourceNode,
    "locations" | "digest" | "imageId" | "tag"
  >,
): string {
  if (!("reference" in location) || (!digest && !imageId)) return formatLocation(location);
  const { tag: _tag, digest: _digest, ...name } = location.reference;
  // A tag that is only meant by default says less than nothing of what is pinned.
  const reference = {
    ...name,
    ...(tag !== undefined && tag !== "latest" && { tag }),
    ...(digest && { digest: shorten(digest) }),
  };
  return formatLocation({ ...location, reference });
}

function shorten(digest: string): string {
  return `${digest.slice(0, "sha256:".length + 12)}…`;
}
