import { join, resolve } from "@std/path";
import { formatPlatform } from "../../config/mod.ts";
import { StageError } from "../errors.ts";
import type { StageResult } from "../events.ts";
import type { StageNode } from "../graph/node.ts";
import { hashOf } from "../hash.ts";
import { Scratch } from "../sources/scratch.ts";
import type { ResolvedInput } from "../stage_input.ts";
import { runStage } from "../stages/mod.ts";
import { runInSandbox } from "../tools/sandbox.ts";
import { copyInto, fingerprint, syncFileSystem } from "../tools/tree.ts";
import type { BuildContext } from "./build.ts";
import type { Pipeline } from "./pipeline.ts";
import { StageLog } from "./stage_log.ts";

/** A finished tree. */
export interface FinishedTree {
  /** Id of the stage that made it, 64 hex digits. */
  readonly id: string;
  /** Its folder. */
  readonly tree: string;
}

/** A stage whose inputs are known, so that its id says all that its tree depends on. */
export interface ReadyStage {
  /** The stage. */
  readonly node: StageNode;
  /** Its id, 64 hex digits. */
  readonly id: string;
  /** What it reads, in the order of the config. */
  readonly inputs: readonly ResolvedInput[];
}

/** Grows when a stage makes another tree of the same config, so that old trees are not believed. */
const FORMAT = 1;

/**
 * Runs the stages of a pipeline on one tree, from the last one whose tree is there already, and
 * keeps the tree of the last.
 *
 * @param pipeline The pipeline.
 * @param inputs Its inputs by key.
 * @param base The tree that it continues.
 * @param context What the build takes.
 * @returns What became of each stage.
 * @throws {StageError} If a stage fails; nothing of the pipeline is kept.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function runPipeline(
  pipeline: Pipeline,
  inputs: ReadonlyMap<string, ResolvedInput>,
  base: FinishedTree | undefined,
  context: BuildContext,
): Promise<StageResult[]> {
  const { store, emit } = context;
  const ready = identify(pipeline.stages, inputs, base?.id, context);
  const found = await findFinished(ready, context);
  const finished = found ?? { at: -1, ...base };
  const results = ready.slice(0, finished.at + 1).map(({ node, id }): StageResult => ({
    name: node.name,
    status: "cached",
    id,
    ...(finished.tree !== undefined && { tree: finished.tree }),
  }));
  const rest = ready.slice(finished.at + 1);
  const last = rest.at(-1);
  if (last) {
    await using workspace = await store.workspace();
    await using scratch = new Scratch(store);
    const work = join(workspace.path, "stage");
    const tree = await prepareTree(last.node, join(work, "tree"), finished.tree, context);
    for (const stage of rest) {
      emit({ type: "stage-start", name: stage.node.name });
      const folder = join(await scratch.folder(), stage.id);
      await runOne(stage, tree, folder, join(work, "log"), context);
    }
    const kept = isKept(last.node) ? await keep(last, work, tree, context) : undefined;
    for (const { node: { name }, id } of rest) {
      results.push({ name, status: "ran", id, ...(kept !== undefined && { tree: kept }) });
    }
  }
  for (const result of results) emit({ type: "stage", ...result });
  return results;
}

/**
 * Makes the ids of stages whose inputs are known.
 *
 * @param stages Stages that follow each other on one tree.
 * @param inputs Their inputs by key.
 * @param base Id of the stage whose tree the first one continues.
 * @param context What else their trees depend on.
 * @returns The stages with their ids.
 */
export function identify(
  stages: readonly StageNode[],
  inputs: ReadonlyMap<string, ResolvedInput>,
  base: string | undefined,
  { epoch, platform }: Pick<BuildContext, "epoch" | "platform">,
): ReadyStage[] {
  let on = base;
  return stages.map((node) => {
    const own = node.inputs.flatMap((key) => inputs.get(key) ?? []);
    const meaning = { ...node.stage, inputs: own.map(({ id }) => id), on };
    const id = hashOf({ format: FORMAT, epoch, platform: formatPlatform(platform), ...meaning });
    on = id;
    return { node, id, inputs: own };
  });
}

/**
 * Finds the last stage whose tree is in the store.
 *
 * @param ready Stages that follow each other on one tree.
 * @param context What the build takes.
 * @returns Where it stands among them, its id and its tree.
 */
export async function findFinished(
  ready: readonly ReadyStage[],
  { store, signal }: Pick<BuildContext, "store" | "signal">,
): Promise<(FinishedTree & { readonly at: number }) | undefined> {
  for (const [at, { node, id }] of [...ready.entries()].reverse()) {
    if (!isKept(node)) continue;
    const tree = await store.trees.find(id, (tree) => fingerprint(tree, { signal }));
    if (tree !== undefined) return { at, id, tree };
  }
  return undefined;
}

/** What a stage does outside its tree has to be done each time. */
function isKept({ stage }: StageNode): boolean {
  return stage.type !== "install" ||
    (stage.into === undefined && stage.destination.type !== "docker");
}

async function prepareTree(
  { name, stage }: StageNode,
  tree: string,
  base: string | undefined,
  { root, signal }: BuildContext,
): Promise<string> {
  if (stage.type === "install" && stage.into !== undefined) {
    const into = resolve(root, stage.into);
    const isFolder = await Deno.stat(into).then((info) => info.isDirectory, () => false);
    if (!isFolder) throw new StageError(name, `there is no folder "${into}" to install into`);
    return into;
  }
  await Deno.mkdir(tree, { recursive: true, mode: 0o755 });
  if (base !== undefined) await copyInto(base, tree, { signal });
  return tree;
}

async function runOne(
  { node: { name, stage }, inputs }: ReadyStage,
  tree: string,
  scratch: string,
  logFile: string,
  context: BuildContext,
): Promise<void> {
  const { root, epoch, platform, signal, store } = context;
  await Deno.mkdir(scratch, { recursive: true, mode: 0o700 });
  await Deno.mkdir(store.archives, { recursive: true, mode: 0o755 });
  const mounts = inputs.flatMap(({ input }) =>
    input.kind === "tree" ? [input.path] : input.images.map(({ path }) => path)
  );
  await using log = await StageLog.open(logFile, name);
  await runStage(stage, {
    name,
    tree,
    scratch,
    archives: store.archives,
    inputs: inputs.map(({ input }) => input),
    root,
    epoch,
    platform,
    signal,
    log: (line) => log.add(line),
    run: async (program, args, options = {}) => {
      const result = await runInSandbox(program, args, {
        ...options,
        signal,
        // Each is mounted read-only over itself, for this program only.
        mounts: [...new Set(mounts)].map((path) => ({ source: path, target: path })),
        env: { HOME: scratch, TMPDIR: scratch, ...options.env },
      });
      log.add(`$ ${[program, ...args].join(" ")}\n${result.stderr}`);
      if (result.code === 0) return result;
      throw new StageError(name, `${program} exited with ${result.code}`, { log: log.text });
    },
  });
}

async function keep(
  { node: { name, stage }, id }: ReadyStage,
  work: string,
  tree: string,
  { store, signal }: BuildContext,
): Promise<string> {
  await syncFileSystem(work);
  const print = (tree: string) => fingerprint(tree, { signal });
  const made = new Date().toISOString();
  const record = { stage: name, type: stage.type, made, fingerprint: await print(tree) };
  return await store.trees.commit(work, id, record, print);
}
