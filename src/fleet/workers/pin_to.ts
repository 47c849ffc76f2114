import type { SourceNode } from "../../graph/node.ts";

/**
 * Pins a source to what was found out of it, so that all machines mean the same image.
 *
 * @param node The source.
 * @param pins Digests by key.
 * @returns The source with its digest, if there is one; what its config pins stays.
 */
export function pinTo(node: SourceNode, pins: Readonly<Record<string, string>>): SourceNode {
  const digest = Object.hasOwn(pins, node.key) ? pins[node.key] : undefined;
  // A copy: what was found out of a node is kept by the object, and each job asks anew.
  if (digest === undefined || node.digest !== undefined) return { ...node };
  return { ...node, digest, digestIsLocked: true, checksTag: false };
}
