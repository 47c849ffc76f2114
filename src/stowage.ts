import { type Config, formatPlatform, parsePlatform } from "../config/mod.ts";
import type { Ahead } from "./build/ahead.ts";
import type { Kept } from "./build/pipeline.ts";
import type { FarRequest } from "./carry/far_registry.ts";
import type { BundleInfo } from "./carry/look_into_bundle.ts";
import type { PushRequest } from "./carry/push.ts";
import type { Receipt } from "./carry/receipt.ts";
import { throwIfFailed, UsageError } from "./errors/mod.ts";
import { emitTo, type StartEvent } from "./events.ts";
import { compile } from "./graph/compile.ts";
import { requireTags } from "./graph/expand_tags.ts";
import type { Lock } from "./graph/lock_schema.ts";
import type { ArtifactNode, Node, NodeKind, SourceNode, TagsNode } from "./graph/node.ts";
import { select } from "./graph/select.ts";
import { ofShard } from "./graph/shard.ts";
import { ofSystem } from "./lib/typed_error.ts";
import { checkConfig, checkFrozen } from "./lockfile/compare_lock.ts";
import type { LockResult } from "./lockfile/make_lock.ts";
import { checkOptions } from "./options.ts";
import type { OpenRun, Run, StoreUse } from "./run.ts";
import type {
  BundleOptions,
  FarOptions,
  FetchOptions,
  FetchResult,
  LockOptions,
  PushOptions,
  ReceiptOptions,
  RunOptions,
  Stowage,
  StowageOptions,
  Timed,
  WorkerOptions,
  WorkerResult,
} from "./sdk.ts";

/**
 * Makes a config ready to run.
 *
 * @param config A config, of `defineConfig()` or of JSON.
 * @param options What the config leaves to its surroundings.
 * @returns The config, compiled; nothing has run yet.
 * @throws {ConfigError} If the config is wrong.
 * @throws {UsageError} If an option is wrong.
 *
 * @example Usage
 * ```ts
 * import { docker, stowage } from "@stowage/stowage";
 *
 * const images = stowage({ sources: { web: docker("docker.io/library/nginx:1.27") } });
 * const fetchThem = () => images.fetch({ onEvent: (event) => console.log(event.type) });
 * ```
 */
export function stowage(config: Config, options: StowageOptions = {}): Stowage {
  const checked = checkOptions(options);
  const platform = options.platform ?? formatPlatform(parsePlatform(Deno.build.arch));
  const { lock, store } = checked;
  const graph = compile(config, { platform, ...(lock && { lock }) });
  const sources = [...graph.nodes.values()].filter(isSource);
  const rules = () => [...compile(config, { platform }).nodes.values()].filter(isTags);
  /** The sources without the lock, which says no more than which tags there are. */
  const unlocked = (tags: Lock["tags"] = lock?.tags) =>
    compile(config, { platform, ...(tags && { lock: { schema: 1, sources: {}, tags } }) });
  const open = async ({ onEvent, signal }: RunOptions, use: StoreUse) => {
    const { openRun } = await import("./run.ts");
    const emit = emitTo(onEvent);
    return await openRun({ settings: graph.settings, options: checked, emit, signal }, use);
  };
  const opening = (run: RunOptions): OpenRun => (use) => open(run, use);
  const start = (action: StartEvent["action"], nodes: readonly Node[], run: RunOptions) => {
    const names = nodes.filter(({ key }) => key.startsWith("source/")).map(({ name }) => name);
    const keys = nodes.map(({ key }) => key);
    emitTo(run.onEvent)({ type: "start", action, sources: names, keys, store });
  };
  const choose = (action: StartEvent["action"], kinds: readonly NodeKind[], run: RunOptions) => {
    const named = select(graph, kinds, run.names ?? []);
    const nodes = run.shard ? ofShard(named, graph, run.shard) : named;
    requireTags(nodes);
    start(action, nodes, run);
    checkFrozen(nodes, checked);
    return nodes;
  };
  const chooseSources = (action: StartEvent["action"], run: RunOptions) =>
    choose(action, ["source"], run).filter(isCarried);
  // Each loads what it needs. They may be taken apart: `const { fetch } = stowage(config)`.
  return {
    graph,
    plan: timed(async (options = {}) => {
      const nodes = choose("plan", ["stage", "source"], options);
      await using run = await open(options, { hold: "read" });
      const { makePlan } = await import("./build/plan.ts");
      return await makePlan(nodes, options.names ?? [], await withTreeCache(run));
    }),
    fetch: timed(async (options = {}) => {
      const nodes = chooseSources("fetch", options);
      const { fetchSources, recordRun } = await import("./fetch_engine.ts");
      await using run = await open(options, { hold: "write" });
      return await recordRun(
        "fetch",
        graph,
        run,
        (run) => filling(run, async () => fetchSources(nodes, run, await aheadOf(options, []))),
      );
    }),
    build: timed(async (options = {}) => {
      const nodes = choose("build", ["stage", "source"], options);
      const { build, recordRun } = await import("./build_engine.ts");
      await using run = await open(options, { hold: "write" });
      const { names = [], keepStages = false } = options;
      const ahead = await aheadOf(options, keepStages ? "all" : names);
      const request = { ...options, nodes, names, ahead };
      return await recordRun(
        "build",
        graph,
        await withTreeCache(run),
        (run) => filling(run, () => build(request, run)),
      );
    }),
    push: timed(async (options) => {
      const { push } = await import("./carry/push.ts");
      const request = await readPush(options);
      await using run = await open(options, { hold: "write" });
      return await push(request, run);
    }),
    planPush: timed(async (options) => {
      const { planPush } = await import("./carry/push.ts");
      const request = await readPush(options);
      await using run = await open(options, { hold: "read" });
      return await planPush(request, run);
    }),
    createBundle: timed(async (path, options = {}) => {
      const { names: _, onEvent: _on, signal: _end, since = [], ...how } = options;
      const nodes = chooseSources("bundle", options);
      const { createBundle } = await import("./carry/create_bundle.ts");
      await using run = await open(options, { hold: "write" });
      return await createBundle({ ...how, nodes, lock, out: path, since }, run);
    }),
    loadBundle: timed(async (paths, options = {}) => {
      const { requireFiles } = await import("./carry/look_into_bundle.ts");
      const { loadBundle } = await import("./carry/load_bundle.ts");
      const { from: _, ...others } = options;
      const far = await readFar(options);
      const request = { ...others, store, paths: requireFiles(paths), ...(far && { from: far }) };
      return await loadBundle(request, opening(options));
    }),
    receipt: coded(async (options = {}) => {
      const { out } = options;
      const { writeReceipt } = await import("./carry/receipt.ts");
      const far = await readFar(options);
      const receipt = far ? await farReceipt(far, options) : await ownReceipt(options);
      if (out !== undefined) await writeReceipt(out, receipt);
      return receipt;
    }),
    lock: timed(async (path, options = {}) => {
      const { updateLock } = await import("./lockfile/update_lock.ts");
      return await updateLock(path, options, (before) => makeLock(before, options));
    }),
    makeLock: timed((options = {}) => makeLock(lock, options)),
    checkLock: coded(({ names = [] } = {}) =>
      Promise.try(() => {
        const named = select(graph, ["source"], names);
        const all = names.length > 0 ? undefined : [...unlocked().nodes.values()];
        checkConfig(named, all, lock);
      })
    ),
    outdated: timed(async (options = {}) => {
      const nodes = select(graph, ["source"], options.names ?? []);
      start("outdated", nodes, options);
      await using run = await open(options, { hold: "none" });
      const { findOutdated } = await import("./lockfile/outdated.ts");
      const families = new Set(nodes.map((node) => isSource(node) ? node.family : node.name));
      const asked = rules().filter(({ name }) => families.has(name));
      const { failures, total, ...result } = await findOutdated(nodes, asked, lock, run);
      throwIfFailed(failures, total, result);
      return result;
    }),
    list: coded(async (options = {}) => {
      await using run = await open({}, { hold: "none" });
      const { findImages } = await import("./maintain/choose_images.ts");
      const { requireStore } = await import("./maintain/require_store.ts");
      await requireStore(store);
      return await findImages(run, sources, options.names ?? []);
    }),
    listArtifacts: coded(async () => {
      await using run = await open({}, { hold: "none" });
      const { listArtifacts } = await import("./maintain/list_artifacts.ts");
      const { requireStore } = await import("./maintain/require_store.ts");
      await requireStore(store);
      const nodes = [...graph.nodes.values()].filter((node) => node.kind === "artifact");
      return await listArtifacts(run, nodes);
    }),
    verify: timed(async (options = {}) => {
      const { verifyAndRepair } = await import("./maintain/look_after.ts");
      return await verifyAndRepair(store, sources, options, opening(options));
    }),
    report: coded(async (options = {}) => {
      const { reportOn } = await import("./report/make_report.ts");
      return await reportOn(graph, store, options, opening(options));
    }),
    gc: timed(async (options = {}) => {
      start("gc", [...graph.nodes.values()], options);
      const { collectGarbage } = await import("./maintain/gc.ts");
      return await collectGarbage({ ...checked, graph, platform }, options, opening(options));
    }),
    pruneCache: timed(async (options) => {
      const { pruneCache } = await import("./fleet/prune_cache.ts");
      return await pruneCache(options, opening(options));
    }),
  };

  async function aheadOf({ on }: FetchOptions, kept: Kept): Promise<Ahead | undefined> {
    if (!on) return undefined;
    const { onWorkers } = await import("./fleet/workers/on_workers.ts");
    return onWorkers(on, { config, graph, lock, platform, kept });
  }

  async function ownReceipt(options: ReceiptOptions): Promise<Receipt> {
    await using run = await open(options, { hold: "read" });
    const { requireStore } = await import("./maintain/require_store.ts");
    const { makeReceipt } = await import("./carry/receipt.ts");
    await requireStore(store);
    return await makeReceipt(run.store);
  }

  async function farReceipt(far: FarRequest, options: ReceiptOptions): Promise<Receipt> {
    const nodes = select(graph, ["source"], options.names ?? []);
    requireTags(nodes);
    await using run = await open(options, { hold: "none" });
    const { FarRegistry } = await import("./carry/far_registry.ts");
    return await new FarRegistry(far, run).receipt(nodes.filter(isCarried));
  }

  async function readFar(options: FarOptions): Promise<FarRequest | undefined> {
    if (options.from === undefined) return undefined;
    const { parseDestination, parseMap } = await import("./carry/target.ts");
    const destination = parseDestination(options.from);
    return { destination, maps: (options.map ?? []).map(parseMap), how: howOf(options) };
  }

  async function readPush(options: PushOptions): Promise<PushRequest> {
    const { parseDestination, parseMap } = await import("./carry/target.ts");
    const { parseMirrorFormat } = await import("./carry/mirror_config.ts");
    const destination = parseDestination(options.to);
    const maps = (options.map ?? []).map(parseMap);
    const nodes = chooseSources("push", options);
    const how = howOf(options);
    const mirrors = options.mirrors === undefined ? {} : {
      mirrors: parseMirrorFormat(options.mirrors),
    };
    const { state, prune = false } = options;
    if (prune && options.names && options.names.length > 0) {
      throw new UsageError(`Cannot prune for "${options.names[0]}" only: all else would go`, {
        hint: "leave the names out: what the config has stays",
      });
    }
    const kept = { prune, ...(state !== undefined && { state }) };
    return { nodes, destination, maps, how, ...mirrors, ...kept };
  }

  async function makeLock(before: Lock | undefined, options: LockOptions): Promise<LockResult> {
    const names = options.names ?? [];
    start("lock", select(graph, ["source"], names), options);
    await using run = await open(options, { hold: "none" });
    const { makeLock } = await import("./lockfile/make_lock.ts");
    const context = { ...run, digests: "ignore" } as const;
    const scope = { names, update: options.update ?? false };
    const request = { rules: rules(), compile: unlocked, scope };
    const { failures, total, ...result } = await makeLock(request, before, context);
    throwIfFailed(failures, total, result);
    return result;
  }
}

/** Has what runs or plans stages ask caches for their trees. */
async function withTreeCache(run: Run): Promise<Run> {
  if (run.caches.length === 0 || run.offline) return run;
  const { TreeCaches } = await import("./fleet/tree_caches.ts");
  return { ...run, treeCache: new TreeCaches(run) };
}

/** Writes what a run has to the caches that are written to. */
async function filling<Result extends FetchResult>(
  run: Run,
  action: () => Promise<Result>,
): Promise<Result> {
  if (run.offline || !run.caches.some(({ mode }) => mode === "write")) return await action();
  const { fillCaches } = await import("./fleet/fill_caches.ts");
  return await fillCaches(run, action);
}

/**
 * Tells what a bundle has. Its contents are compared with its sums, where they are beside it; what
 * else is in it is not read, and only the first piece has to be there. No store is needed.
 *
 * @param paths Its file, or pieces of it.
 * @param options The key, cancellation.
 * @returns What it has.
 * @throws {BundleError} If it is damaged, not signed by the key, or not there.
 * @throws {UsageError} If no file is named, or the key is none.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function inspectBundle(
  paths: string | readonly string[],
  options: BundleOptions = {},
): Promise<BundleInfo & Timed> {
  const { inspectBundle } = await import("./carry/look_into_bundle.ts");
  return await timed(inspectBundle)(paths, options);
}

/**
 * Verifies a bundle without a store: its signature, its pieces, every byte of it. What its layers
 * unpack to is compared with the configs of the images when it is loaded.
 *
 * @param paths Its file, or pieces of it; the others are found beside them.
 * @param options The key, events, cancellation.
 * @returns What it has.
 * @throws {BundleError} If it is damaged, not signed by the key, or something of it is not at hand.
 * @throws {UsageError} If no file is named, or the key is none.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function verifyBundle(
  paths: string | readonly string[],
  options: BundleOptions = {},
): Promise<BundleInfo & Timed> {
  const { verifyBundle } = await import("./carry/look_into_bundle.ts");
  return await timed(verifyBundle)(paths, options);
}

/**
 * Works for others: takes jobs of `fetch` and `build` with `on` from a queue, until its signal is
 * aborted, and puts what it makes into the cache.
 *
 * @param options The queue, the cache, what it can do.
 * @returns What it has done.
 * @throws {UsageError} If there is no cache to write to, or an option is wrong.
 * @throws {QueueError} If the queue does not answer.
 */
export async function runWorker(options: WorkerOptions): Promise<WorkerResult & Timed> {
  const { work } = await import("./fleet/workers/worker.ts");
  return await timed(work)(options);
}

/** The only place that measures how long an operation takes. */
function timed<Args extends readonly unknown[], Result>(
  method: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result & Timed> {
  const run = coded(method);
  return async (...args) => {
    const start = performance.now();
    const result = await run(...args);
    return { ...result, duration: Math.round(performance.now() - start) };
  };
}

/** What this system refuses, wherever that is, has a code like all else. */
function coded<Args extends readonly unknown[], Result>(
  method: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  return async (...args) => {
    try {
      return await method(...args);
    } catch (error) {
      throw ofSystem(error);
    }
  };
}

function isSource(node: Node): node is SourceNode {
  return node.kind === "source";
}

/** How a registry is reached, as far as it is said. */
function howOf({ tlsVerify, authFile, certDir }: FarOptions): FarRequest["how"] {
  return {
    ...(tlsVerify !== undefined && { tlsVerify }),
    ...(authFile !== undefined && { authFile }),
    ...(certDir !== undefined && { certDir }),
  };
}

function isCarried(node: Node): node is SourceNode | ArtifactNode {
  return node.kind === "source" || node.kind === "artifact";
}

function isTags(node: Node): node is TagsNode {
  return node.kind === "tags";
}
