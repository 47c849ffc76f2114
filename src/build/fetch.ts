import { type StowageError, throwIfFailed } from "../errors/mod.ts";
import type { ImageResult } from "../events.ts";
import type { SourceNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { type Ahead, nothingAhead } from "./ahead.ts";
import { tellUnpinned } from "../sources/pins.ts";
import { SkopeoSource } from "../sources/skopeo.ts";

/**
 * Fetches sources into the store.
 *
 * @param sources The sources.
 * @param run The run.
 * @param ahead Does some of it elsewhere first.
 * @returns The images, in the order of the sources; and what is done and stays where it is.
 * @throws {RunError} If some could not be fetched; the others are in the store.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function fetchSources(
  sources: readonly SourceNode[],
  run: Run,
  ahead: Ahead = nothingAhead,
): Promise<{ readonly images: readonly ImageResult[]; readonly cached?: readonly string[] }> {
  tellUnpinned(sources, run);
  const { nodes, failures: before, cached } = await ahead(sources, run);
  const left = nodes.filter((node) => node.kind === "source");
  const images: ImageResult[] = [];
  const failures: Record<string, StowageError> = { ...before };
  for (const outcome of await new SkopeoSource(run).download(left)) {
    if ("error" in outcome) failures[outcome.item.key] = outcome.error;
    else images.push(outcome.value);
  }
  const result = { images, ...(cached.length > 0 && { cached }) };
  throwIfFailed(failures, sources.length, result);
  return result;
}
