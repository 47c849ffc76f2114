import { resolve } from "@std/path";
import type { Platform } from "../../config/mod.ts";
import { StageError, type StowageError } from "../errors/mod.ts";
import type { ImageResult, Listener, StageResult } from "../events.ts";
import type { InputNode, Node, SourceNode } from "../graph/node.ts";
import { type NamedResult, resolveImages } from "../inputs/images.ts";
import { resolveOutput } from "../inputs/output.ts";
import { resolveTree } from "../inputs/tree.ts";
import { serverOf } from "../sources/image_item.ts";
import { SkopeoSource } from "../sources/skopeo.ts";
import type { SourceContext } from "../sources/source.ts";
import type { ResolvedInput } from "../stage_input.ts";
import { joinStages, type Pipeline } from "./pipeline.ts";
import { runNodes, type UnitOutcome } from "./run_nodes.ts";
import { runPipeline } from "./run_pipeline.ts";

/** What a build takes, beside what its sources take. */
export interface BuildContext extends SourceContext {
  /** Names of stages whose trees are wanted in any case, or `"all"`. */
  readonly kept: readonly string[] | "all";
  /** The time that everything new is dated to, in seconds since 1970. */
  readonly epoch: number;
  /** This machine's platform. */
  readonly platform: Platform;
}

/** What a build has made. */
export interface BuildOutcome {
  /** The images that are in the store. */
  readonly images: readonly ImageResult[];
  /** The stages that have run, or whose trees were there already. */
  readonly stages: readonly StageResult[];
  /** The error of each item that failed, by name. */
  readonly failures: Readonly<Record<string, StowageError>>;
  /** Names of the items that were skipped, as something that they need failed. */
  readonly skipped: readonly string[];
}

type Unit = SourceNode | InputNode | Pipeline;

/** What a unit of a build has made. */
export type Made =
  | { readonly kind: "source"; readonly image: ImageResult }
  | { readonly kind: "input"; readonly input: ResolvedInput }
  | { readonly kind: "stage"; readonly stages: readonly StageResult[] };

/**
 * Fetches sources and runs stages, each as soon as what it needs is done.
 *
 * @param nodes What is built, each node behind those that it needs.
 * @param context What the build takes.
 * @returns What was made, and what was not.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function buildNodes(
  nodes: readonly Node[],
  context: BuildContext,
): Promise<BuildOutcome> {
  const sources = new SkopeoSource(context);
  await sources.setup();
  const pipelines = new Map(joinStages(nodes, context.kept).map((each) => [each.key, each]));
  const units = nodes.flatMap((node): Unit[] => {
    if (node.kind !== "stage") return [node];
    const pipeline = pipelines.get(node.key);
    return pipeline ? [pipeline] : [];
  });
  // Which stage of each pipeline has begun last.
  const begun = new Map<string, string>();
  const work = async (unit: Unit, made: ReadonlyMap<string, Made>): Promise<Made> => {
    if ("stages" in unit) {
      const emit: Listener = (event) => {
        if (event.type === "stage-start") begun.set(unit.key, event.name);
        context.emit(event);
      };
      return await buildStages(unit, made, { ...context, emit });
    }
    if (unit.kind === "source") return { kind: "source", image: await sources.fetch(unit) };
    return { kind: "input", input: await resolveInput(unit, made, context) };
  };
  const onOutcome = (unit: Unit, outcome: UnitOutcome<Made>) => tell(unit, outcome, begun, context);
  const kindOf = (unit: Unit) =>
    "stages" in unit ? "stage" : unit.kind === "source" ? serverOf(unit) : unit.kind;
  const outcomes = await runNodes(units, work, { ...context, kindOf, onOutcome });
  return summarize(units, outcomes, begun);
}

/**
 * Finds out what an input gives.
 *
 * @param node The input.
 * @param made What has been made of what it needs, by key.
 * @param context What the build takes.
 * @returns What it gives.
 * @throws {StageError} If it gives nothing.
 */
export async function resolveInput(
  { name, input, images }: InputNode,
  made: ReadonlyMap<string, Made>,
  context: BuildContext,
): Promise<ResolvedInput> {
  switch (input.type) {
    case "images":
      return resolveImages(
        name,
        images.flatMap(({ source, names }): NamedResult[] => {
          const found = made.get(source);
          return found?.kind === "source" ? [{ image: found.image, names }] : [];
        }),
      );
    case "tree": {
      const path = resolve(context.root, input.path);
      if (context.store.path === path || context.store.path.startsWith(`${path}/`)) {
        throw new StageError(name, `the store is in the folder "${path}"`, {
          kind: "input",
          hint: "choose a folder beside it, or another store with --store or STOWAGE_STORE",
        });
      }
      return await resolveTree(name, path, context.signal);
    }
    case "output": {
      const [image] = images;
      const found = treeOf(image?.source, made);
      if (!image || !found) {
        throw new StageError(name, `stage "${input.stage}" keeps no tree`, { kind: "input" });
      }
      const { stage, names } = { stage: input.stage, names: image.names };
      return await resolveOutput(
        name,
        { stage, stageId: found.id, tree: found.tree, file: input.name, names },
        { ...context, scratch: await context.scratch.folder() },
      );
    }
  }
}

async function buildStages(
  pipeline: Pipeline,
  made: ReadonlyMap<string, Made>,
  context: BuildContext,
): Promise<Made> {
  const inputs = new Map<string, ResolvedInput>();
  for (const key of pipeline.needs) {
    const found = made.get(key);
    if (found?.kind === "input") inputs.set(key, found.input);
  }
  const base = treeOf(pipeline.base, made);
  return { kind: "stage", stages: await runPipeline(pipeline, inputs, base, context) };
}

function treeOf(
  key: string | undefined,
  made: ReadonlyMap<string, Made>,
): { readonly id: string; readonly tree: string } | undefined {
  const found = key === undefined ? undefined : made.get(key);
  const last = found?.kind === "stage" ? found.stages.at(-1) : undefined;
  return last?.tree === undefined ? undefined : { id: last.id, tree: last.tree };
}

function tell(
  unit: Unit,
  outcome: UnitOutcome<Made>,
  begun: ReadonlyMap<string, string>,
  { emit }: BuildContext,
): void {
  if (outcome.status === "done") return;
  const names = namesOf(unit);
  if (outcome.status === "failed") {
    const name = failedIn(unit, begun);
    emit({ type: "failed", name, error: outcome.error.toJSON() });
    for (const later of names.slice(names.indexOf(name) + 1)) {
      emit({ type: "skipped", name: later, because: name });
    }
  } else {
    const because = begun.get(outcome.because) ?? outcome.because.replace(/^\w+\//, "");
    for (const name of names) emit({ type: "skipped", name, because });
  }
}

function namesOf(unit: Unit): string[] {
  return "stages" in unit ? unit.stages.map(({ name }) => name) : [unit.name];
}

/** Which of the stages of a pipeline has failed. */
function failedIn(unit: Unit, begun: ReadonlyMap<string, string>): string {
  return begun.get(unit.key) ?? namesOf(unit)[0] ?? "";
}

function summarize(
  units: readonly Unit[],
  outcomes: ReadonlyMap<string, UnitOutcome<Made>>,
  begun: ReadonlyMap<string, string>,
): BuildOutcome {
  const images: ImageResult[] = [];
  const stages: StageResult[] = [];
  const skipped: string[] = [];
  const failures: Record<string, StowageError> = {};
  for (const unit of units) {
    const outcome = outcomes.get(unit.key);
    const names = namesOf(unit);
    if (outcome?.status === "skipped") skipped.push(...names);
    if (outcome?.status === "failed") {
      const name = failedIn(unit, begun);
      failures[name] = outcome.error;
      skipped.push(...names.slice(names.indexOf(name) + 1));
    }
    if (outcome?.status !== "done") continue;
    if (outcome.value.kind === "source") images.push(outcome.value.image);
    if (outcome.value.kind === "stage") stages.push(...outcome.value.stages);
  }
  return { images, stages, failures, skipped };
}
