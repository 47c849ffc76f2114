import { type StowageError, throwIfFailed } from "../errors/mod.ts";
import type { ImageResult } from "../events.ts";
import type { SourceNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { tellUnpinned } from "../sources/pins.ts";
import { SkopeoSource } from "../sources/skopeo.ts";

/**
 * Fetches sources into the store.
 *
 * @param sources The sources.
 * @param run The run.
 * @returns The images, in the order of the sources.
 * @throws {RunError} If some could not be fetched; the others are in the store.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function fetchSources(
  sources: readonly SourceNode[],
  run: Run,
): Promise<{ readonly images: readonly ImageResult[] }> {
  tellUnpinned(sources, run);
  const images: ImageResult[] = [];
  const failures: Record<string, StowageError> = {};
  for (const outcome of await new SkopeoSource(run).download(sources)) {
    if ("error" in outcome) failures[outcome.item.key] = outcome.error;
    else images.push(outcome.value);
  }
  throwIfFailed(failures, sources.length, { images });
  return { images };
}
