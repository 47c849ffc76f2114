import type { Run } from "../run.ts";
import { StageError } from "../errors/mod.ts";
import { type ArtifactResult, type ImageResult, nameOf } from "../events.ts";
import type { Node, StageNode } from "../graph/node.ts";
import { stageKind } from "../stages/mod.ts";
import type { ResolvedInput } from "../stage_input.ts";
import type { Made } from "../build/build.ts";
import { lookAt } from "../build/plan_stages.ts";
import { identify, type ReadyStage } from "../build/run_pipeline.ts";

/** What stages need of a store. */
export interface NeededByStages {
  /** Ids of their trees. */
  readonly trees: ReadonlySet<string>;
  /** Ids of their archives. */
  readonly archives: ReadonlySet<string>;
  /** Names of the stages whose trees and archives are not known, as what they read is not there. */
  readonly unknown: ReadonlySet<string>;
  /** Whether one of the stages that are not known makes archives. */
  readonly hasUnknownArchives: boolean;
}

/**
 * Finds out which trees and archives a build would use if they were there.
 *
 * @param nodes The nodes, each behind those that it needs.
 * @param images The images of the sources, by key; those that are in the store.
 * @param artifacts The artifacts that are in the store.
 * @param run What the build would take.
 * @returns Their ids.
 */
export async function neededByStages(
  nodes: readonly Node[],
  images: ReadonlyMap<string, ImageResult>,
  artifacts: readonly ArtifactResult[],
  run: Run,
): Promise<NeededByStages> {
  const made = new Map<string, Made>();
  for (const [key, image] of images) made.set(key, { kind: "source", image });
  for (const artifact of artifacts) made.set(artifact.key, { kind: "artifact", artifact });
  const inputs = new Map<string, ResolvedInput>();
  const known = new Map<string, ReadyStage>();
  const archives = new Set<string>();
  const unknown: StageNode[] = [];
  let isUnsure = false;
  for (const node of nodes) {
    if (node.kind === "input") {
      const input = await lookAt(node, made, run);
      if (input) inputs.set(node.key, input);
    }
    if (node.kind !== "stage") continue;
    const base = node.on === undefined ? undefined : known.get(node.on);
    const isKnown = node.inputs.every((key) => inputs.has(key)) &&
      (node.on === undefined || base !== undefined);
    const [ready] = isKnown ? identify([node], inputs, base, run) : [];
    if (!ready) {
      unknown.push(node);
      continue;
    }
    known.set(node.key, ready);
    const found = await archivesOf(node, ready.inputs);
    for (const id of found ?? []) archives.add(id);
    isUnsure ||= found === undefined;
    const tree = run.store.trees.treePath(ready.id);
    if (!await Deno.stat(tree).then((info) => info.isDirectory, () => false)) continue;
    const stage = { ...nameOf(node), status: "cached", id: ready.id, tree } as const;
    made.set(node.key, { kind: "stage", stages: [stage], epoch: ready.epoch });
  }
  return {
    trees: new Set([...known.values()].map(({ id }) => id)),
    archives,
    unknown: new Set(unknown.map(({ name }) => name)),
    hasUnknownArchives: isUnsure || unknown.some(makesArchives),
  };
}

function makesArchives({ stage }: StageNode): boolean {
  return stageKind(stage).archives !== undefined;
}

/** `undefined` where only a copy of an image of this machine would tell. */
async function archivesOf(
  { name, stage }: StageNode,
  resolved: readonly ResolvedInput[],
): Promise<string[] | undefined> {
  const kind = stageKind(stage);
  if (!kind.archives) return [];
  const inputs = resolved.flatMap(({ input }) => input.kind === "host-image" ? [] : [input]);
  if (inputs.length < resolved.length) return undefined;
  try {
    return await kind.archives(stage, { name, inputs });
  } catch (error) {
    if (error instanceof StageError) return []; // no build would get that far
    throw error;
  }
}
