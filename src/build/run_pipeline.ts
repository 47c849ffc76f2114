import { dirname } from "@std/path";
import type { Run } from "../run.ts";
import { formatPlatform } from "../../config/mod.ts";
import { type MadeImage, nameOf, type StageResult } from "../events.ts";
import type { StageNode } from "../graph/node.ts";
import { hashOf } from "../lib/hash/hash.ts";
import { markUsed } from "../store/last_use.ts";
import type { ResolvedInput } from "../stage_input.ts";
import { keepsTree, stageKind } from "../stages/mod.ts";
import { fingerprint } from "../tools/tree.ts";
import type { Pipeline } from "./pipeline.ts";

/** A finished tree. */
export interface FinishedTree {
  /** Id of the stage that made it, 64 hex digits. */
  readonly id: string;
  /** Its folder. */
  readonly tree: string;
  /** The time that what was new in it was dated to, in seconds since 1970. */
  readonly epoch: number;
}

/** A stage whose inputs are known, so that its id says all that its tree depends on. */
export interface ReadyStage {
  /** The stage. */
  readonly node: StageNode;
  /** Its id, 64 hex digits. */
  readonly id: string;
  /** The time that it dates what is new to, in seconds since 1970. */
  readonly epoch: number;
  /** What it reads, in the order of the config. */
  readonly inputs: readonly ResolvedInput[];
}

/**
 * Runs the stages of a pipeline on one tree, from the last one whose tree is there already, and
 * keeps the tree of the last.
 *
 * @param pipeline The pipeline.
 * @param inputs Its inputs by key.
 * @param base The tree that it continues.
 * @param run The run.
 * @returns What became of each stage, and the time that the last one dates what is new to.
 * @throws {StageError} If a stage fails; nothing of the pipeline is kept.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function runPipeline(
  pipeline: Pipeline,
  inputs: ReadonlyMap<string, ResolvedInput>,
  base: FinishedTree | undefined,
  run: Run,
): Promise<{ readonly stages: readonly StageResult[]; readonly epoch: number }> {
  const { store, emit } = run;
  const ready = identify(pipeline.stages, inputs, base, run);
  const found = await findFinished(ready, run) ?? await findInCache(ready, run);
  if (found) await markUsed(dirname(found.tree));
  const finished = found ?? { at: -1, ...base };
  const rest = ready.slice(finished.at + 1);
  const again = ready.slice(0, finished.at + 1).filter(({ node }) => isRepeated(node));
  const known = found && await store.trees.record(found.id);
  const images: Record<string, MadeImage[]> = { ...known?.images };
  let kept: string | undefined;
  if (again.length + rest.length > 0) {
    // Where every tree is there, none of this is loaded.
    const { runStages } = await import("./run_stages.ts");
    kept = await runStages({ again, rest, base: finished.tree, images }, run);
  }
  for (
    const { node, id } of ready.filter((_, at) =>
      at === finished.at || (kept !== undefined && at === ready.length - 1)
    )
  ) {
    await run.treeCache?.keep(id, nameOf(node));
  }
  const results = ready.map(({ node, id }, at): StageResult => {
    const isFound = at <= finished.at;
    const status = isFound && !isRepeated(node) ? "cached" : "ran";
    const tree = isFound ? finished.tree : kept;
    const made = images[id] ?? [];
    return {
      ...nameOf(node),
      status,
      id,
      ...(tree !== undefined && { tree }),
      ...(made.length > 0 && { images: made }),
    };
  });
  for (const result of results) emit({ type: "stage", ...result });
  return { stages: results, epoch: ready.at(-1)?.epoch ?? 0 };
}

/**
 * Makes the ids of stages whose inputs are known. Without a time for all, each dates what is new to
 * the newest of what it is made of, which is in the ids of its inputs.
 *
 * @param stages Stages that follow each other on one tree.
 * @param inputs Their inputs by key.
 * @param base The stage whose tree the first one continues.
 * @param run What else their trees depend on.
 * @returns The stages with their ids.
 */
export function identify(
  stages: readonly StageNode[],
  inputs: ReadonlyMap<string, ResolvedInput>,
  base: Pick<FinishedTree, "id" | "epoch"> | undefined,
  { epoch: told, platform }: Pick<Run, "epoch" | "platform">,
): ReadyStage[] {
  let on = base;
  return stages.map((node) => {
    const { format, seesInputNames, meaning } = stageKind(node.stage);
    const own = node.inputs.flatMap((key) => inputs.get(key) ?? []);
    const epoch = told ?? Math.max(on?.epoch ?? 0, ...own.map(({ date = 0 }) => date));
    const read = own.map(({ id, input }) => seesInputNames ? [input.name, id] : id);
    const id = hashOf({
      ...{ format, epoch, platform: formatPlatform(platform) },
      ...{ ...meaning(node.stage, platform), inputs: read, on: on?.id },
    });
    on = { id, epoch };
    return { node, id, epoch, inputs: own };
  });
}

/**
 * Finds the last stage whose tree is in the store.
 *
 * @param ready Stages that follow each other on one tree.
 * @param run The run.
 * @returns Where it stands among them, its id, its time and its tree.
 */
export async function findFinished(
  ready: readonly ReadyStage[],
  { store, signal }: Pick<Run, "store" | "signal">,
): Promise<(FinishedTree & { readonly at: number }) | undefined> {
  const found = await findLast(
    ready,
    ({ id }) => store.trees.find(id, (tree) => fingerprint(tree, { signal })),
  );
  return found && { at: found.at, id: found.id, epoch: found.epoch, tree: found.value };
}

/**
 * Finds the last stage whose tree there is.
 *
 * @param ready Stages that follow each other on one tree.
 * @param find Looks for the tree of one.
 * @returns Where it stands among them, its id, its time, and what was found.
 */
export async function findLast<Value>(
  ready: readonly ReadyStage[],
  find: (stage: ReadyStage) => Promise<Value | undefined>,
): Promise<
  | {
    readonly at: number;
    readonly id: string;
    readonly epoch: number;
    readonly value: Value;
  }
  | undefined
> {
  for (const [at, stage] of [...ready.entries()].reverse()) {
    const value = keepsTree(stage.node.stage) ? await find(stage) : undefined;
    if (value !== undefined) return { at, id: stage.id, epoch: stage.epoch, value };
  }
  return undefined;
}

/** Has a cache bring the last tree that it has. */
async function findInCache(
  ready: readonly ReadyStage[],
  { store, treeCache }: Run,
): Promise<(FinishedTree & { readonly at: number }) | undefined> {
  const found = await findLast(
    ready,
    async ({ node, id }) => await treeCache?.fetch(id, nameOf(node)) || undefined,
  );
  return found && { ...found, tree: store.trees.treePath(found.id) };
}

/** Whether a stage does something outside its tree, which has to be done each time. */
export function isRepeated({ stage }: StageNode): boolean {
  const kind = stageKind(stage);
  return kind.into(stage) !== undefined || kind.isElsewhere(stage);
}
