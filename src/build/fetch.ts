import { type StowageError, throwIfFailed } from "../errors/mod.ts";
import type { ArtifactResult, ImageResult } from "../events.ts";
import type { Node } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { type Ahead, nothingAhead } from "./ahead.ts";
import { tellUnpinned } from "../sources/pins.ts";
import { SkopeoSource } from "../sources/skopeo.ts";

/** What was fetched. */
export interface Fetched {
  /** The images, in the order of the sources. */
  readonly images: readonly ImageResult[];
  /** The artifacts, in that order; absent where no source is one. */
  readonly artifacts?: readonly ArtifactResult[];
  /** Keys of what workers have done and only the cache has; absent where there is nothing. */
  readonly cached?: readonly string[];
}

/**
 * Fetches sources into the store.
 *
 * @param nodes The sources.
 * @param run The run.
 * @param ahead Does some of it elsewhere first.
 * @returns What is in the store; and what is done and stays where it is.
 * @throws {RunError} If some could not be fetched; the others are in the store.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function fetchSources(
  nodes: readonly Node[],
  run: Run,
  ahead: Ahead = nothingAhead,
): Promise<Fetched> {
  const sources = nodes.filter((node) => node.kind === "source");
  const artifacts = nodes.filter((node) => node.kind === "artifact");
  tellUnpinned(sources, run);
  const { nodes: open, failures: before, cached } = await ahead(sources, run);
  const left = open.filter((node) => node.kind === "source");
  const images: ImageResult[] = [];
  const failures: Record<string, StowageError> = { ...before };
  for (const outcome of await new SkopeoSource(run).download(left)) {
    if ("error" in outcome) failures[outcome.item.key] = outcome.error;
    else images.push(outcome.value);
  }
  const fetched = { images, ...(cached.length > 0 && { cached }) };
  if (artifacts.length === 0) {
    throwIfFailed(failures, nodes.length, fetched);
    return fetched;
  }
  const { ArtifactDownloads, tellUnpinnedArtifacts, valuesOf } = await import(
    "../sources/artifacts.ts"
  );
  tellUnpinnedArtifacts(artifacts, run);
  const outcomes = await new ArtifactDownloads(run).download(artifacts);
  const all = { ...fetched, artifacts: valuesOf(outcomes, failures) };
  throwIfFailed(failures, nodes.length, all);
  return all;
}
