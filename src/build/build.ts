import { resolve } from "@std/path";
import type { Run } from "../run.ts";
import { type Failures, StowageError, throwIfFailed } from "../errors/mod.ts";
import {
  type ArtifactResult,
  type Emit,
  type ImageResult,
  type ItemName,
  nameOf,
  type StageResult,
} from "../events.ts";
import type { ArtifactNode, InputNode, Node, SourceNode, StageNode } from "../graph/node.ts";
import { inputKind, type InputNote } from "../inputs/mod.ts";
import type { ArtifactDownloads } from "../sources/artifacts.ts";
import { serverOf } from "../sources/image_item.ts";
import { tellUnpinned } from "../sources/pins.ts";
import { SkopeoSource } from "../sources/skopeo.ts";
import { besides } from "../sources/source.ts";
import type { ResolvedInput } from "../stage_input.ts";
import { keepsTree } from "../stages/mod.ts";
import { type Ahead, nothingAhead } from "./ahead.ts";
import type { Forbidden } from "./place_results.ts";
import { joinStages, type Kept, type Pipeline } from "./pipeline.ts";
import { runNodes, type UnitOutcome } from "./run_nodes.ts";
import { type FinishedTree, runPipeline } from "./run_pipeline.ts";

/** What a build has made. */
export interface BuildOutcome {
  /** The images that are in the store. */
  readonly images: readonly ImageResult[];
  /** The artifacts that are in the store. */
  readonly artifacts: readonly ArtifactResult[];
  /** The stages that have run, or whose trees were there already. */
  readonly stages: readonly StageResult[];
  /** The error of each item that failed, by its key. */
  readonly failures: Failures;
  /** Keys of the items that were skipped, as something that they need failed. */
  readonly skipped: readonly string[];
}

type Unit = SourceNode | ArtifactNode | InputNode | Pipeline;

/** What a unit of a build has made. */
export type Made =
  | { readonly kind: "source"; readonly image: ImageResult }
  | { readonly kind: "artifact"; readonly artifact: ArtifactResult }
  | { readonly kind: "input"; readonly input: ResolvedInput }
  | { readonly kind: "stage"; readonly stages: readonly StageResult[]; readonly epoch: number };

/**
 * Fetches sources and runs stages, each as soon as what it needs is done.
 *
 * @param nodes What is built, each node behind those that it needs.
 * @param kept Which trees are wanted in any case.
 * @param run The run.
 * @param sources Fetches sources; a run that builds again and again keeps it.
 * @returns What was made, and what was not.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function buildNodes(
  nodes: readonly Node[],
  kept: Kept,
  run: Run,
  sources: SkopeoSource = new SkopeoSource(run),
): Promise<BuildOutcome> {
  tellUnpinned(nodes.filter((node): node is SourceNode => node.kind === "source"), run);
  await sources.setup();
  await using _ahead = sources.lookAhead(nodes.filter((node) => node.kind === "source"));
  const artifacts = await openArtifacts(nodes, run);
  const pipelines = new Map(joinStages(nodes, kept).map((each) => [each.key, each]));
  const units = nodes.flatMap((node): Unit[] => {
    if (node.kind === "tags") {
      throw new TypeError(`Cannot run "${node.key}": its tags are not known`);
    }
    if (node.kind !== "stage") return [node];
    const pipeline = pipelines.get(node.key);
    return pipeline ? [pipeline] : [];
  });
  const notes: Noted[] = [];
  // Keys of the stages that have begun last, by key of their pipeline.
  const begun = new Map<string, string>();
  const work = async (unit: Unit, made: ReadonlyMap<string, Made>): Promise<Made> => {
    if ("stages" in unit) {
      const emit: Emit = (event) => {
        if (event.type === "stage-start") begun.set(unit.key, event.key);
        run.emit(event);
      };
      return await buildStages(unit, made, { ...run, emit });
    }
    if (unit.kind === "source") return { kind: "source", image: await sources.fetch(unit) };
    if (unit.kind === "artifact") {
      return { kind: "artifact", artifact: await (await artifacts()).fetch(unit) };
    }
    const note = (note: InputNote) => void notes.push({ name: unit.name, note });
    return { kind: "input", input: await resolveInput(unit, made, run, note) };
  };
  const onOutcome = (unit: Unit, outcome: UnitOutcome<Made>) => tell(unit, outcome, begun, run);
  const kindOf = (unit: Unit) =>
    "stages" in unit ? "stage" : "locations" in unit ? serverOf(unit) : unit.kind;
  const outcomes = await runNodes(units, work, {
    ...{ jobs: run.jobs, signal: run.signal, kindOf, onOutcome },
    waiting: besides(run.jobs),
    waits: (unit) => "locations" in unit,
  });
  tellNotes(notes, run);
  return summarize(units, outcomes, begun);
}

/** Few configs have artifacts: what fetches them is loaded when one does. */
async function openArtifacts(
  nodes: readonly Node[],
  run: Run,
): Promise<() => Promise<ArtifactDownloads>> {
  const found = nodes.filter((node) => node.kind === "artifact");
  const load = async () => await import("../sources/artifacts.ts");
  let opened: Promise<ArtifactDownloads> | undefined;
  if (found.length > 0) (await load()).tellUnpinnedArtifacts(found, run);
  return () => opened ??= load().then(({ ArtifactDownloads }) => new ArtifactDownloads(run));
}

/** What is built, and what becomes of it. */
export interface BuildRequest {
  /** The nodes, each behind those that it needs. */
  readonly nodes: readonly Node[];
  /** Names that were asked for; each stage of them is a result. */
  readonly names: readonly string[];
  /** Folder that results are put into, each in a folder of its stage's name. */
  readonly out?: string | undefined;
  /** Whether the tree of every stage is kept, not only the last on each tree. */
  readonly keepStages?: boolean | undefined;
  /** Does some of it elsewhere first. */
  readonly ahead?: Ahead | undefined;
}

/**
 * Builds nodes, and puts results where they were asked for.
 *
 * @param request What is built.
 * @param run The run.
 * @returns The images, the stages, and where results are, by name of the stage; and what is done and
 * stays where it is.
 * @throws {RunError} If something failed; all that does not need it is done.
 * @throws {UsageError} If something else is where a result belongs.
 * @throws {StoreError} If results cannot be written.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function build(
  { nodes, names, out: folder, keepStages = false, ahead = nothingAhead }: BuildRequest,
  run: Run,
): Promise<
  & Pick<BuildOutcome, "images" | "stages">
  & Partial<Pick<BuildOutcome, "artifacts">>
  & { readonly out: Record<string, string>; readonly cached?: readonly string[] }
> {
  const wanted = nodes.flatMap((node) =>
    node.kind === "stage" && isResult(node, names) ? [node] : []
  );
  const trees = wanted.filter(({ stage }) => keepsTree(stage)).map(({ name }) => name);
  const place = await openOut(folder, nodes, trees, run);
  const kept = keepStages ? "all" : names;
  const before = await ahead(nodes, run);
  const { images, artifacts, stages, ...rest } = await buildNodes(before.nodes, kept, run);
  const failures = { ...before.failures, ...rest.failures };
  const skipped = [...before.skipped, ...rest.skipped];
  const made = {
    ...{ images, stages },
    ...(artifacts.length > 0 && { artifacts }),
    ...(before.cached.length > 0 && { cached: before.cached }),
  };
  const keys = new Set(wanted.map(({ key }) => key));
  const results = stages.filter(({ key }) => keys.has(key));
  let out: Record<string, string> = {};
  try {
    out = await place(results);
  } catch (error) {
    // What failed before must not be lost behind it.
    if (!(error instanceof StowageError) || Object.keys(failures).length === 0) throw error;
    const all = { ...failures, [folder ?? ""]: error };
    throwIfFailed(all, nodes.length, { ...made, out, skipped });
  }
  throwIfFailed(failures, nodes.length, { ...made, out, skipped });
  return { ...made, out };
}

/** Makes sure that results may be put into a folder, if there is one; without one, none is put. */
async function openOut(
  folder: string | undefined,
  nodes: readonly Node[],
  results: readonly string[],
  run: Run,
): Promise<(results: readonly StageResult[]) => Promise<Record<string, string>>> {
  if (folder === undefined) return () => Promise.resolve({});
  const { placeResults, refuseForeign, refuseWithin } = await import("./place_results.ts");
  await refuseWithin(folder, forbiddenBy(nodes, run));
  await refuseForeign(results, folder);
  return (results) => placeResults(results, folder, run.signal);
}

/** Where results would change what the next build makes. */
function forbiddenBy(nodes: readonly Node[], { store, root }: Run): Forbidden[] {
  const read = nodes.flatMap((node): Forbidden[] => {
    const path = node.kind === "input" ? inputKind(node.input).folder?.(node.input) : undefined;
    return path === undefined
      ? []
      : [{ path: resolve(root, path), what: `what the input "${node.name}" reads` }];
  });
  return [{ path: store.path, what: "the store" }, ...read];
}

/** What was noted of an input. */
interface Noted {
  readonly name: string;
  readonly note: InputNote;
}

function tellNotes(notes: readonly Noted[], { emit }: Run): void {
  const [users, names] = [new Set<number>(), new Set<string>()];
  const leftOut: string[] = [];
  const doubts = new Map<string, string[]>();
  for (const { name, note } of notes.toSorted((a, b) => a.name < b.name ? -1 : 1)) {
    if (note.code === "LEFT_OUT") {
      leftOut.push(`"${name}" leaves out sockets: ${note.sockets}`);
    } else if (note.code === "UNDATED") {
      doubts.set(note.doubt, [...doubts.get(note.doubt) ?? [], `"${name}"`]);
    } else {
      names.add(`"${name}"`);
      users.add(note.user);
    }
  }
  if (names.size > 0) {
    const [all, who] = [[...names].join(", "), [...users].join(", ")];
    const message =
      `Files of ${all} belong to another user of this machine (${who}), and so will ` +
      'what is made of them: say owner: 0, group: 0 and mode: "normal" in the config if root is meant';
    emit({ type: "notice", code: "FOREIGN_OWNER", message });
  }
  for (const [doubt, names] of doubts) {
    const message = `Another checkout may date the files of ${names.join(", ")} otherwise, as ` +
      `${doubt}, or set SOURCE_DATE_EPOCH`;
    emit({ type: "notice", code: "UNDATED", message });
  }
  if (leftOut.length > 0) emit({ type: "notice", code: "LEFT_OUT", message: leftOut.join("; ") });
}

/** A stage is a result if no other continues it, or if it was asked for by name. */
function isResult({ name, isResult }: StageNode, names: readonly string[]): boolean {
  return isResult || names.includes(name);
}

/**
 * Finds out what an input gives.
 *
 * @param node The input.
 * @param made What has been made of what it needs, by key.
 * @param run The run.
 * @param note Takes what is worth to be told of it; nobody if absent.
 * @returns What it gives.
 * @throws {StageError} If it gives nothing.
 */
export async function resolveInput(
  { name, input, images, needs }: InputNode,
  made: ReadonlyMap<string, Made>,
  run: Run,
  note: (note: InputNote) => void = () => {},
): Promise<ResolvedInput> {
  const { root, store, platform, signal, scratch, epoch } = run;
  return await inputKind(input).resolve(input, {
    ...{ name, images, needs, root, store: store.path, platform, signal, epoch },
    scratch: () => scratch.folder(),
    note,
    image(key) {
      const found = made.get(key);
      return found?.kind === "source" ? found.image : undefined;
    },
    async host(image) {
      const { HostImages } = await import("../sources/host_images.ts");
      return await new HostImages(name, run).look(image);
    },
    artifact(key) {
      const found = made.get(key);
      return found?.kind === "artifact" ? found.artifact : undefined;
    },
    tree: (key) => treeOf(key, made),
  });
}

async function buildStages(
  pipeline: Pipeline,
  made: ReadonlyMap<string, Made>,
  run: Run,
): Promise<Made> {
  const inputs = new Map<string, ResolvedInput>();
  for (const key of pipeline.needs) {
    const found = made.get(key);
    if (found?.kind === "input") inputs.set(key, found.input);
  }
  const base = treeOf(pipeline.base, made);
  return { kind: "stage", ...await runPipeline(pipeline, inputs, base, run) };
}

function treeOf(
  key: string | undefined,
  made: ReadonlyMap<string, Made>,
): FinishedTree | undefined {
  const found = key === undefined ? undefined : made.get(key);
  if (found?.kind !== "stage") return undefined;
  const last = found.stages.at(-1);
  return last?.tree === undefined
    ? undefined
    : { id: last.id, tree: last.tree, epoch: found.epoch };
}

function tell(
  unit: Unit,
  outcome: UnitOutcome<Made>,
  begun: ReadonlyMap<string, string>,
  { emit }: Run,
): void {
  if (outcome.status === "done") return;
  if (outcome.status === "skipped") {
    const because = begun.get(outcome.because) ?? outcome.because;
    for (const item of itemsOf(unit)) emit({ type: "skipped", ...nameOf(item), because });
    return;
  }
  const [failed, ...later] = unfinished(unit, begun);
  emit({ type: "failed", ...nameOf(failed), error: outcome.error.toJSON() });
  for (const item of later) emit({ type: "skipped", ...nameOf(item), because: failed.key });
}

function itemsOf(unit: Unit): readonly [ItemName, ...ItemName[]] {
  return "stages" in unit ? unit.stages : [unit];
}

/** What is left of a unit that failed: first what has failed, then the stages behind it. */
function unfinished(
  unit: Unit,
  begun: ReadonlyMap<string, string>,
): readonly [ItemName, ...ItemName[]] {
  const items = itemsOf(unit);
  const at = items.findIndex(({ key }) => key === begun.get(unit.key));
  const [failed = items[0], ...later] = items.slice(Math.max(at, 0));
  return [failed, ...later];
}

function summarize(
  units: readonly Unit[],
  outcomes: ReadonlyMap<string, UnitOutcome<Made>>,
  begun: ReadonlyMap<string, string>,
): BuildOutcome {
  const images: ImageResult[] = [];
  const artifacts: ArtifactResult[] = [];
  const stages: StageResult[] = [];
  const skipped: string[] = [];
  const failures: Record<string, StowageError> = {};
  for (const unit of units) {
    const outcome = outcomes.get(unit.key);
    if (outcome?.status === "skipped") skipped.push(...itemsOf(unit).map(({ key }) => key));
    if (outcome?.status === "failed") {
      const [failed, ...later] = unfinished(unit, begun);
      failures[failed.key] = outcome.error;
      skipped.push(...later.map(({ key }) => key));
    }
    if (outcome?.status !== "done") continue;
    if (outcome.value.kind === "source") images.push(outcome.value.image);
    if (outcome.value.kind === "artifact") artifacts.push(outcome.value.artifact);
    if (outcome.value.kind === "stage") stages.push(...outcome.value.stages);
  }
  return { images, artifacts, stages, failures, skipped };
}
