import type { Run } from "../run.ts";
import { ContentError, StageError } from "../errors/mod.ts";
import { type ArtifactResult, type ImageResult, nameOf } from "../events.ts";
import type { InputNode, Node } from "../graph/node.ts";
import type { ResolvedInput } from "../stage_input.ts";
import { type Made, resolveInput } from "./build.ts";
import { joinStages, type Kept } from "./pipeline.ts";
import type { PlannedStage } from "./plan.ts";
import { findFinished, findLast, identify, isRepeated } from "./run_pipeline.ts";

/**
 * Finds out which stages a build would run. It reads the trees that inputs name, and asks caches for
 * records of trees; nothing is changed.
 *
 * @param nodes What would be built, each node behind those that it needs.
 * @param images What is known of the images, by key of their sources.
 * @param artifacts Those that are in the store.
 * @param kept Which trees are wanted in any case.
 * @param run The run.
 * @returns The stages, in order; one that depends on what is not known yet would run.
 */
export async function planStages(
  nodes: readonly Node[],
  images: ReadonlyMap<string, ImageResult>,
  artifacts: readonly ArtifactResult[],
  kept: Kept,
  run: Run,
): Promise<PlannedStage[]> {
  const made = new Map<string, Made>();
  for (const [key, image] of images) made.set(key, { kind: "source", image });
  for (const artifact of artifacts) made.set(artifact.key, { kind: "artifact", artifact });
  const inputs = new Map<string, ResolvedInput>();
  const planned = new Map<string, Pick<PlannedStage, "status" | "from" | "bytes">>();
  const byKey = new Map(nodes.map((node) => [node.key, node]));
  for (const { key, needs, base, stages } of joinStages(nodes, kept)) {
    for (const need of needs) {
      const node = byKey.get(need);
      if (node?.kind !== "input" || inputs.has(need)) continue;
      const input = await lookAt(node, made, run);
      if (input) inputs.set(need, input);
    }
    const on = base === undefined ? undefined : made.get(base);
    const last = on?.kind === "stage" ? on.stages.at(-1) : undefined;
    const before = on?.kind === "stage" && last ? { id: last.id, epoch: on.epoch } : undefined;
    const isKnown = stages.every((stage) => stage.inputs.every((need) => inputs.has(need))) &&
      (base === undefined || before !== undefined);
    const ready = isKnown ? identify(stages, inputs, before, run) : [];
    const finished = await findFinished(ready, run);
    const cached = finished ? undefined : await findLast(
      ready,
      async ({ node, id }) => await run.treeCache?.has(id, nameOf(node)),
    );
    const found = finished ?? cached;
    for (const [at, stage] of stages.entries()) {
      if (!found || at > found.at || isRepeated(stage)) continue;
      const { from, bytes } = cached?.value ?? {};
      planned.set(stage.key, {
        status: cached ? "fetch" : "cached",
        ...(from !== undefined && { from }),
        ...(bytes !== undefined && at === found.at && { bytes }),
      });
    }
    if (found?.at !== stages.length - 1) continue;
    // Where a cache has it, what continues it is known by its id, and what reads it is not.
    const tree = finished && { tree: finished.tree };
    const stage = { key, name: key, status: "cached", id: found.id, ...tree } as const;
    made.set(key, { kind: "stage", stages: [stage], epoch: found.epoch });
  }
  return nodes.flatMap((node): PlannedStage[] => {
    if (node.kind !== "stage") return [];
    const { name, stage: { type } } = node;
    return [{ name, type, ...planned.get(node.key) ?? { status: "run" } }];
  });
}

/**
 * Finds out what an input gives, as far as that is known before the build.
 *
 * @param node The input.
 * @param made What there is of what it needs, by key.
 * @param run The run.
 * @returns What it gives, or `undefined` if that is not known yet.
 */
export async function lookAt(
  node: InputNode,
  made: ReadonlyMap<string, Made>,
  run: Run,
): Promise<ResolvedInput | undefined> {
  if (!node.needs.every((need) => made.has(need))) return undefined;
  try {
    return await resolveInput(node, made, run);
  } catch (error) {
    // The build will say so.
    if (error instanceof StageError || error instanceof ContentError) return undefined;
    throw error;
  }
}
