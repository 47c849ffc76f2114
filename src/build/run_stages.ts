import { join, resolve } from "@std/path";
import { StageError, ToolError } from "../errors/mod.ts";
import { type MadeImage, nameOf } from "../events.ts";
import { KeyedMutex } from "../lib/async/keyed_mutex.ts";
import { guard } from "../lib/fs/files.ts";
import type { Run } from "../run.ts";
import { keepsTree, stageKind } from "../stages/mod.ts";
import { Scratch } from "../store/scratch.ts";
import type { TreeRecord } from "../store/trees.ts";
import { disinherit, treeDigest } from "../tools/tar.ts";
import { copyInto, fingerprint, syncFileSystem } from "../tools/tree.ts";
import type { ReadyStage } from "./run_pipeline.ts";
import { runOne } from "./run_stage.ts";

/** The stages of a pipeline that have to run. */
export interface OpenStages {
  /** Those whose trees are there, and that do something elsewhere each time. */
  readonly again: readonly ReadyStage[];
  /** Those whose trees are not. */
  readonly rest: readonly ReadyStage[];
  /** The tree that the first of the rest continues. */
  readonly base: string | undefined;
  /** Takes the images that each stage makes, by its id. */
  readonly images: Record<string, MadeImage[]>;
}

/** Folders of other tools: of the stages that change one, one is at work at a time. */
const SHARED = new KeyedMutex();

/**
 * Runs stages, and keeps the tree of the last.
 *
 * @param stages The stages.
 * @param run The run.
 * @returns The tree; `undefined` where none is kept.
 * @throws {StageError} If a stage fails; nothing is kept.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function runStages(
  { again, rest, base, images }: OpenStages,
  run: Run,
): Promise<string | undefined> {
  const { store, emit } = run;
  await using workspace = await store.workspace();
  await disinherit(workspace.path);
  await using scratch = new Scratch(store);
  const runOn = async (stage: ReadyStage, work: string, tree: () => Promise<string>) => {
    const folder = await tree();
    const place = {
      tree: folder,
      scratch: join(await scratch.folder(), stage.id),
      staging: join(workspace.path, "staging", stage.id),
      log: join(work, "log"),
    };
    const start = () => {
      run.signal.throwIfAborted();
      emit({ type: "stage-start", ...nameOf(stage.node) });
      return runOne(stage, place, run);
    };
    const isShared = stageKind(stage.node.stage).into(stage.node.stage) !== undefined;
    images[stage.id] = isShared
      ? await SHARED.take(await Deno.realPath(folder), start)
      : await start();
  };
  for (const [at, stage] of again.entries()) {
    const work = join(workspace.path, `again-${at}`);
    await runOn(
      stage,
      work,
      () => prepareTree(stage, join(work, "tree"), undefined, run),
    );
  }
  const work = join(workspace.path, "stage");
  const last = rest.at(-1);
  let tree: Promise<string> | undefined;
  const prepare = (stage: ReadyStage) => tree ??= prepareTree(stage, join(work, "tree"), base, run);
  for (const stage of rest) await runOn(stage, work, () => prepare(stage));
  if (last && keepsTree(last.node.stage)) {
    return await keep(last, { work, tree: await prepare(last), images }, run);
  }
  return undefined;
}

async function prepareTree(
  { node: { name, stage }, epoch }: ReadyStage,
  tree: string,
  base: string | undefined,
  { root, signal }: Run,
): Promise<string> {
  const into = stageKind(stage).into(stage);
  if (into !== undefined) {
    const folder = resolve(root, into);
    const isFolder = await Deno.stat(folder).then((info) => info.isDirectory, () => false);
    if (!isFolder) throw new StageError(name, `there is no folder "${folder}" to install into`);
    return folder;
  }
  const make = () => Deno.mkdir(tree, { recursive: true, mode: 0o755 });
  await guard("make the folder", tree, make);
  if (base !== undefined) await copyInto(base, tree, { signal });
  else await Deno.utime(tree, epoch, epoch);
  return tree;
}

async function keep(
  { node: { name, stage }, id }: ReadyStage,
  { work, tree, images }: {
    readonly work: string;
    readonly tree: string;
    readonly images: TreeRecord["images"];
  },
  { store, signal }: Run,
): Promise<string> {
  const [digest] = await Promise.all([digestIfReadable(tree, signal), syncFileSystem(work)]);
  const print = (tree: string) => fingerprint(tree, { signal });
  const made = new Date().toISOString();
  const told = { stage: name, type: stage.type, made, images, ...(digest && { digest }) };
  const record = { ...told, fingerprint: await print(tree) };
  return await store.trees.commit(work, id, record, print);
}

/** A tree may have files that its own maker cannot read. */
async function digestIfReadable(tree: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await treeDigest(tree, { signal });
  } catch (error) {
    if (error instanceof ToolError) return undefined;
    throw error;
  }
}
