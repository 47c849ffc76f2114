import type { ArtifactNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { lastUse } from "../store/last_use.ts";
import { formatLocation } from "../transports/mod.ts";

/** An artifact of the store. */
export interface ListedArtifact {
  /** Digest of its manifest. */
  readonly digest: string;
  /** Names of the config's sources that it is what was fetched for. */
  readonly names: readonly string[];
  /** What it was asked for by, the latest last. */
  readonly references: readonly string[];
  /** What it is: its `artifactType`, or the media type of its config; absent where it is not whole. */
  readonly kind?: string;
  /** Whether all of it is there; its bytes are not hashed for that. */
  readonly complete: boolean;
  /** Size of manifest, config and layers, in bytes; 0 where it is not whole. */
  readonly size: number;
  /** When it was fetched last, as ISO 8601 has it, where that is recorded. */
  readonly fetched?: string;
  /** When it was used last, as ISO 8601 has it. */
  readonly used?: string;
  /** Its folder. */
  readonly path: string;
}

/**
 * Lists the artifacts of a store.
 *
 * @param run The store.
 * @param nodes The artifacts of the config.
 * @returns The artifacts, by digest.
 * @throws {StoreError} If the store cannot be read.
 */
export async function listArtifacts(
  { store: { artifacts } }: Pick<Run, "store">,
  nodes: readonly ArtifactNode[],
): Promise<ListedArtifact[]> {
  const names = new Map<string, string[]>();
  for (const node of nodes) {
    const digest = await artifactOf(node, artifacts);
    if (digest !== undefined) names.set(digest, [...names.get(digest) ?? [], node.name]);
  }
  return await Promise.all((await artifacts.digests()).map(async (digest) => {
    const found = await artifacts.find(digest);
    const path = artifacts.folder(digest);
    const origins = await artifacts.origins(digest);
    const fetched = origins.map(({ fetched }) => fetched).sort().at(-1);
    const used = await lastUse(path);
    return {
      digest,
      names: names.get(digest) ?? [],
      references: origins.map(({ reference }) => reference),
      ...(found && { kind: found.kind }),
      complete: found !== undefined,
      size: found?.size ?? 0,
      ...(fetched !== undefined && { fetched }),
      ...(used && { used: used.toISOString() }),
      path,
    };
  }));
}

/**
 * Tells which artifact of a store a source means; no registry is asked.
 *
 * @param node The source.
 * @param artifacts The artifacts of the store.
 * @returns The digest: of what is pinned, or else of what was fetched for it last.
 * @throws {StoreError} If the store cannot be read.
 */
export async function artifactOf(
  { digest, locations: [location] }: ArtifactNode,
  artifacts: Run["store"]["artifacts"],
): Promise<string | undefined> {
  return digest ?? (await artifacts.findBy(formatLocation(location)))?.digest;
}
