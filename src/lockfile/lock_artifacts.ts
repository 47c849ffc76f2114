import type { StowageError } from "../errors/mod.ts";
import { lockedArtifact } from "../graph/artifact_draft.ts";
import type { Lock, LockedArtifact } from "../graph/lock_schema.ts";
import type { ArtifactNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { ArtifactDownloads } from "../sources/artifacts.ts";
import { formatLocation } from "../transports/mod.ts";

/** What locking has changed of an artifact. */
export interface ArtifactChange {
  /** Name of the source. */
  readonly name: string;
  /** What became of its entry. */
  readonly change: "added" | "moved" | "removed";
  /** What was locked. */
  readonly from?: LockedArtifact;
  /** What is locked now. */
  readonly to?: LockedArtifact;
}

/** What locking artifacts has made. */
export interface LockedArtifacts {
  /** What the lock has of them then. */
  readonly artifacts: Readonly<Record<string, LockedArtifact>>;
  /** What is different. */
  readonly changes: readonly ArtifactChange[];
  /** Why some could not be locked, by key. */
  readonly failures: Readonly<Record<string, StowageError>>;
  /** How many manifests were read from registries. */
  readonly requests: number;
}

/**
 * Locks artifacts; what is locked already stays, unless it is to be updated.
 *
 * @param nodes All artifacts, without the lock.
 * @param before The lock that is there.
 * @param scope Which are asked for, whether also those that are locked, and which entries stay as
 * nobody knows what their rule stands for.
 * @param run The run.
 * @returns What the lock has of them.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function lockArtifacts(
  nodes: readonly ArtifactNode[],
  before: Lock,
  { isMeant, update, isKept }: {
    readonly isMeant: (node: ArtifactNode) => boolean;
    readonly update: boolean;
    readonly isKept: (name: string) => boolean;
  },
  run: Run,
): Promise<LockedArtifacts> {
  const downloads = new ArtifactDownloads(run);
  const isLocked = (node: ArtifactNode) => {
    const entry = lockedArtifact(node.source, before);
    return entry?.reference === formatLocation(node.locations[0]) &&
      (node.digest === undefined || node.digest === entry.digest);
  };
  const open = nodes.filter((node) => isMeant(node) && (update || !isLocked(node)));
  const failures: Record<string, StowageError> = {};
  const found = new Map<string, LockedArtifact>();
  for (const outcome of await downloads.resolve(open)) {
    const { item } = outcome;
    if ("error" in outcome) {
      failures[item.key] = outcome.error;
      continue;
    }
    const { digest, manifest: { mediaType }, kind, size } = outcome.value;
    found.set(item.source, {
      reference: formatLocation(item.locations[0]),
      ...(item.tag !== undefined && { tag: item.tag }),
      ...{ digest, mediaType, kind, size },
    });
  }
  const artifacts: Record<string, LockedArtifact> = {};
  for (const { source } of nodes) {
    const entry = found.get(source) ?? lockedArtifact(source, before);
    if (entry) artifacts[source] = entry;
  }
  for (const [name, entry] of Object.entries(before.artifacts ?? {})) {
    if (isKept(name)) artifacts[name] ??= entry;
  }
  const changes = changesOf(before.artifacts ?? {}, artifacts);
  return { artifacts, changes, failures, requests: downloads.manifestReads };
}

function changesOf(
  before: Readonly<Record<string, LockedArtifact>>,
  after: Readonly<Record<string, LockedArtifact>>,
): ArtifactChange[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name): ArtifactChange[] => {
    const [from, to] = [before[name], after[name]];
    if (!from) return to ? [{ name, change: "added", to }] : [];
    if (!to) return [{ name, change: "removed", from }];
    const facts = ({ reference, tag, digest }: LockedArtifact) =>
      JSON.stringify([reference, tag, digest]);
    return facts(from) === facts(to) ? [] : [{ name, change: "moved", from, to }];
  });
}
