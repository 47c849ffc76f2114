import { type Config, formatPlatform, parsePlatform } from "../config/mod.ts";
import { throwIfFailed, UsageError } from "./errors/mod.ts";
import {
  emitTo,
  type ImageResult,
  type Listener,
  type StageResult,
  type StartEvent,
} from "./events.ts";
import type { Ahead } from "./build/ahead.ts";
import type { Kept } from "./build/pipeline.ts";
import type { Plan } from "./build/plan.ts";
import type { CreatedBundle } from "./carry/create_bundle.ts";
import type { LoadedBundle } from "./carry/load_bundle.ts";
import type { BundleInfo, BundleOptions } from "./carry/look_into_bundle.ts";
import type { MirrorFormat } from "./carry/mirror_config.ts";
import type { PushPlan, PushRequest, PushResult } from "./carry/push.ts";
import type { Receipt } from "./carry/receipt.ts";
import type { Workers } from "./fleet/workers/on_workers.ts";
import type { WorkerOptions, WorkerResult } from "./fleet/workers/worker.ts";
import { compile } from "./graph/compile.ts";
import { requireTags } from "./graph/expand_tags.ts";
import type { Lock } from "./graph/lock_schema.ts";
import type { Graph, Node, NodeKind, SourceNode, TagsNode } from "./graph/node.ts";
import { select } from "./graph/select.ts";
import { ofShard, type Shard } from "./graph/shard.ts";
import type { OutdatedResult } from "./lockfile/outdated.ts";
import { checkConfig, checkFrozen } from "./lockfile/compare_lock.ts";
import type { LockResult } from "./lockfile/make_lock.ts";
import type { GcOptions, GcResult } from "./maintain/gc.ts";
import type { StoredImage } from "./maintain/list_images.ts";
import type { StoreOptions, VerifyOptions } from "./maintain/look_after.ts";
import type { VerifyResult } from "./maintain/verify.ts";
import type { Report, ReportOptions } from "./report/report.ts";
import { ofSystem } from "./lib/typed_error.ts";
import { checkOptions, type StowageOptions } from "./options.ts";
import type { OpenRun, Run, StoreUse } from "./run.ts";

export type {
  BundleOptions,
  GcOptions,
  ReportOptions,
  StoreOptions,
  StowageOptions,
  VerifyOptions,
  WorkerOptions,
  WorkerResult,
  Workers,
};

/** What one run takes. */
export interface RunOptions {
  /** Names of the sources (and, but for `fetch`, stages) that are meant; all if absent. */
  readonly names?: readonly string[];
  /** Which part of that is meant; all of it if absent. */
  readonly shard?: Shard;
  /** Takes events while the run goes on. */
  readonly onEvent?: Listener;
  /** Ends the run, and the programs that it has started. */
  readonly signal?: AbortSignal;
}

/** What `fetch` takes. */
export interface FetchOptions extends RunOptions {
  /** Workers that do what they can of it, before this machine takes that from the cache. */
  readonly on?: Workers;
}

/** How long an operation took. */
export interface Timed {
  /** From the call to its end, in ms. */
  readonly duration: number;
}

/** What `fetch` has done. */
export interface FetchResult {
  /** The images that are in the store, in the order of the config. */
  readonly images: readonly ImageResult[];
  /** Keys of what workers have done and only the cache has; absent where there is nothing. */
  readonly cached?: readonly string[];
}

/** What `lock` takes. */
export interface LockOptions extends Omit<RunOptions, "shard"> {
  /** Whether the sources that are named, or all, are asked for again, although they are locked. */
  readonly update?: boolean;
}

/** What `build` takes. */
export interface BuildOptions extends FetchOptions {
  /** Folder that results are put into, each in a folder of its stage's name. */
  readonly out?: string;
  /** Whether the tree of every stage is kept, not only the last on each tree. */
  readonly keepStages?: boolean;
}

/** What `build` has done. */
export interface BuildResult extends FetchResult {
  /** The stages, in the order in which they depend on each other. */
  readonly stages: readonly StageResult[];
  /** Where results were put, by name of the stage. */
  readonly out: Readonly<Record<string, string>>;
}

/** What `push` takes. */
export interface PushOptions extends RunOptions {
  /** The registry, or a path in it: `REGISTRY[/path]`. */
  readonly to: string;
  /**
   * Other names there, `FROM=TO`: FROM is a reference, its beginning or the name of a source; the
   * longest that fits counts.
   */
  readonly map?: readonly string[];
  /**
   * Whether TLS is required there and its certificates checked. What the config says in
   * `registries` counts if absent, and `true` without that; so it is with the files below.
   */
  readonly tlsVerify?: boolean;
  /** File with credentials, as containers-auth.json(5) has it; the machine's own if absent. */
  readonly authFile?: string;
  /** Folder with the CA and client certificates; `/etc/containers/certs.d/…` if absent. */
  readonly certDir?: string;
  /**
   * In which words the result says how the old names lead to what was pushed: of registries.conf,
   * of OpenShift (`idms`), of k3s and rke2, of containerd; it does not if absent.
   */
  readonly mirrors?: MirrorFormat;
  /**
   * File that says what pushes have written to that registry; it is made where it is not there. The
   * same one has to be named at each push, for the registry to be pruned.
   */
  readonly state?: string;
  /**
   * Whether what earlier pushes wrote, as `state` says, and the config no longer has is deleted. It
   * takes the whole config, and nothing is deleted if something could not be pushed.
   */
  readonly prune?: boolean;
}

/** What `createBundle` takes. */
export interface CreateBundleOptions extends RunOptions {
  /** Receipts of who it is for: layers that all of them have are left out. */
  readonly since?: readonly string[];
  /** How many bytes a piece of it has at most, from 1 MiB; it is one file if absent. */
  readonly chunk?: number;
  /**
   * What its sums are signed with: the file of an OpenSSH key (its `.pub` where ssh-agent has it),
   * or what gpg finds a key by; it is not signed if absent.
   */
  readonly sign?: string;
}

/** What `receipt` takes. */
export interface ReceiptOptions {
  /** The file that it is written to; it is only returned if absent. */
  readonly out?: string;
}

/** A config, ready to run. */
export interface Stowage {
  /** The graph of the config. */
  readonly graph: Graph;
  /**
   * Finds out what a build would do; nothing is downloaded but manifests and
   * configs, nothing is stored.
   *
   * @param options What the run takes.
   * @returns The plan; a source that cannot be had is part of it.
   * @throws {UsageError} If a name means nothing.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If a symbolic link leads out of the store.
   * @throws {InterruptedError} If the run was interrupted.
   */
  plan(options?: RunOptions): Promise<Plan & Timed>;
  /**
   * Fetches sources into the store.
   *
   * @param options What the run takes.
   * @returns The images, each of them in the store and verified.
   * @throws {RunError} If some could not be fetched; the others are in the store.
   * @throws {UsageError} If a name means nothing.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {QueueError} If the queue of its workers does not answer.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If a symbolic link leads out of the store.
   * @throws {InterruptedError} If the run was interrupted.
   */
  fetch(options?: FetchOptions): Promise<FetchResult & Timed>;
  /**
   * Fetches sources and runs stages.
   *
   * @param options What the run takes.
   * @returns The images, the stages, and where results are.
   * @throws {RunError} If something failed; all that does not need it is done.
   * @throws {UsageError} If a name means nothing, or something else is where a result belongs.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {QueueError} If the queue of its workers does not answer.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If a symbolic link leads out of the store, or results cannot be written.
   * @throws {InterruptedError} If the run was interrupted.
   */
  build(options?: BuildOptions): Promise<BuildResult & Timed>;
  /**
   * Pushes sources to a registry, each under its own path there: `docker.io/library/nginx:1.27`
   * becomes `REGISTRY/library/nginx:1.27`. Manifests and indexes are the same bytes, with the same
   * digests; a source of several platforms is its index. What the store does not have is fetched
   * first. Only blobs that are missing are sent, each once; tags come last, and are read back.
   *
   * @param options What the run takes.
   * @returns What is in the registry.
   * @throws {RunError} If some could not be fetched or pushed; the others are there.
   * @throws {UsageError} If a name means nothing, two sources would have the same name there, or
   * mirrors cannot be written in these words.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If a symbolic link leads out of the store.
   * @throws {InterruptedError} If the run was interrupted; no tag stands for half an image.
   */
  push(options: PushOptions): Promise<PushResult & Timed>;
  /**
   * Finds out what a push would send; nothing is downloaded but manifests, nothing is sent.
   *
   * @param options What the run takes.
   * @returns The plan, with bytes.
   * @throws {RunError} If some sources cannot be had, or the registry does not answer.
   * @throws {UsageError} If a name means nothing, two sources would have the same name there, or
   * mirrors cannot be written in these words.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {InterruptedError} If the run was interrupted.
   */
  planPush(options: PushOptions): Promise<PushPlan & Timed>;
  /**
   * Makes a bundle: sources in one file, or in pieces, for a site without network. It is an OCI
   * image layout in a tar archive, with a `bundle.json` that says what it has. What the store does
   * not have is fetched first. The same content makes the same bytes.
   *
   * @param path The file; its sums, and their signature, are beside it.
   * @param options What the run takes.
   * @returns The bundle.
   * @throws {RunError} If some sources could not be fetched; there is no bundle then.
   * @throws {ContentError} If the store's copy of something is damaged.
   * @throws {UsageError} If a name means nothing, or a receipt, the key or the file is none.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {ToolError} If it cannot be signed; there is no bundle then.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If it cannot be written.
   * @throws {InterruptedError} If the run was interrupted.
   */
  createBundle(path: string, options?: CreateBundleOptions): Promise<CreatedBundle & Timed>;
  /**
   * Loads a bundle into the store. Its signature, its pieces and what it builds on are checked
   * first, every byte is verified as in `fetch`, and what is in the store is skipped.
   *
   * @param paths Its file, or pieces of it; the others are found beside them.
   * @param options The key, events, cancellation.
   * @returns What is in the store.
   * @throws {BundleError} If it is damaged, not signed by the key, or something is not at hand.
   * @throws {ContentError} If an image is not what its config says.
   * @throws {UsageError} If no file is named, or the key is none.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If the store cannot be written.
   * @throws {InterruptedError} If it was interrupted; run it again to go on.
   */
  loadBundle(
    paths: string | readonly string[],
    options?: BundleOptions,
  ): Promise<LoadedBundle & Timed>;
  /**
   * Says what the store holds, for who makes a bundle for it.
   *
   * @param options Where it is written to.
   * @returns What it holds.
   * @throws {UsageError} If there is no store.
   * @throws {StoreError} If the store cannot be read, or the file not written.
   */
  receipt(options?: ReceiptOptions): Promise<Receipt>;
  /**
   * Writes a lock of what the tags of the config stand for, or completes the one that is there. What
   * could be locked is written, also where some sources could not.
   *
   * @param path The file, usually `images.lock.json`; another process that writes it is waited for.
   * @param options What the run takes.
   * @returns The lock, and what has changed; where nothing has, the file stays as it is.
   * @throws {RunError} If some sources could not be locked; its result has the lock of the others.
   * @throws {LockError} If the file is no lock.
   * @throws {UsageError} If a name means nothing.
   * @throws {StoreError} If the file cannot be read or written.
   * @throws {InterruptedError} If the run was interrupted.
   */
  lock(path: string, options?: LockOptions): Promise<LockResult & Timed>;
  /**
   * Makes a lock of what the tags of the config stand for; nothing is downloaded but manifests
   * and configs.
   *
   * @param options What the run takes.
   * @returns The lock, with what was locked already as it was, and what has changed.
   * @throws {RunError} If some sources could not be locked; its result has the lock of the others.
   * @throws {UsageError} If a name means nothing.
   * @throws {InterruptedError} If the run was interrupted.
   */
  makeLock(options?: LockOptions): Promise<LockResult & Timed>;
  /**
   * Compares the lock with the config; no registry is asked.
   *
   * @param options Which sources; all of them, and nothing else in the lock, without names.
   * @returns Nothing; it throws where they differ.
   * @throws {LockError} If something is not locked, or locked as something else.
   * @throws {UsageError} If a name means nothing.
   */
  checkLock(options?: Pick<RunOptions, "names">): Promise<void>;
  /**
   * Asks which tags stand for something else than what is pinned.
   *
   * @param options What the run takes.
   * @returns The sources whose tags moved, and how many manifests were read.
   * @throws {RunError} If some sources could not be asked for; its result has the others.
   * @throws {InterruptedError} If the run was interrupted.
   */
  outdated(options?: RunOptions): Promise<OutdatedResult & Timed>;
  /**
   * Lists the images of the store.
   *
   * @param options Which images.
   * @returns The images, by id; their bytes are not hashed.
   * @throws {UsageError} If there is no store, or a name means no image, or several.
   * @throws {StoreError} If the store cannot be read.
   */
  list(options?: Pick<StoreOptions, "names">): Promise<readonly StoredImage[]>;
  /**
   * Hashes what is in the store, and puts aside what is not what it has to be. A repair puts it back
   * from what the store has, or else from where it came.
   *
   * @param options Which images, with all that they share; all of the store without names.
   * @returns What was found, if anything, and with `repair` what became of it; nothing is thrown for
   * that.
   * @throws {UsageError} If there is no store, or a name means no image, or several.
   * @throws {StoreBusyError} If gc has the store for longer than a run waits.
   * @throws {StoreError} If the store cannot be read.
   * @throws {InterruptedError} If the run was interrupted.
   */
  verify(options?: VerifyOptions): Promise<VerifyResult & Timed>;
  /**
   * Says what a reviewer of the config wants to know: the graph, and of each image that the store
   * has for it what it is, what it shares, where it came from, and what accepted it. No registry is
   * asked.
   *
   * @param options Which sources, and whether the store is verified for it.
   * @returns The report, which `formatReport()` makes a page of.
   * @throws {UsageError} If there is no store, or a name means no image, or several.
   * @throws {StoreBusyError} If gc has the store for longer than a run waits.
   * @throws {StoreError} If the store cannot be read.
   * @throws {InterruptedError} If the run was interrupted.
   */
  report(options?: ReportOptions): Promise<Report>;
  /**
   * Removes from the store what neither this config, nor its lock, nor what is to be kept needs. No
   * registry is asked: what a tag needs is the image that was fetched by it last.
   *
   * @param options What the run takes.
   * @returns What is gone, or would be.
   * @throws {UsageError} If nothing is named that could need anything, unless `all` may go.
   * @throws {StoreBusyError} If others work with the store for longer than `wait`.
   * @throws {StoreError} If the store cannot be read or written.
   * @throws {InterruptedError} If the run was interrupted; what is left is whole.
   */
  gc(options?: GcOptions): Promise<GcResult & Timed>;
}

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
    const names = nodes.filter(isSource).map(({ name }) => name);
    const keys = nodes.map(({ key }) => key);
    emitTo(run.onEvent)({ type: "start", action, sources: names, keys, store });
  };
  const choose = (action: StartEvent["action"], kinds: readonly NodeKind[], run: RunOptions) => {
    const named = select(graph, kinds, run.names ?? []);
    const nodes = run.shard ? ofShard(named, graph, run.shard) : named;
    requireTags(nodes);
    start(action, nodes, run);
    return nodes;
  };
  // Each loads what it needs.
  const methods: Untimed<Stowage> = {
    graph,
    async plan(options = {}) {
      const nodes = choose("plan", ["stage", "source"], options);
      checkFrozen(nodes.filter(isSource), checked);
      await using run = await open(options, { hold: "read" });
      const { makePlan } = await import("./build/plan.ts");
      return await makePlan(nodes, options.names ?? [], await withTreeCache(run));
    },
    async fetch(options = {}) {
      const nodes = choose("fetch", ["source"], options).filter(isSource);
      checkFrozen(nodes, checked);
      const loading = import("./build/fetch.ts"); // beside what the run needs
      await using run = await open(options, { hold: "write" });
      const { fetchSources } = await loading;
      const { recordRun } = await import("./build/record_run.ts");
      return await recordRun(
        "fetch",
        graph,
        run,
        (run) => filling(run, async () => fetchSources(nodes, run, await aheadOf(options, []))),
      );
    },
    async build(options = {}) {
      const nodes = choose("build", ["stage", "source"], options);
      checkFrozen(nodes.filter(isSource), checked);
      await using run = await open(options, { hold: "write" });
      const { build } = await import("./build/build.ts");
      const { recordRun } = await import("./build/record_run.ts");
      const { names = [], keepStages = false } = options;
      const ahead = await aheadOf(options, keepStages ? "all" : names);
      const request = { ...options, nodes, names, ahead };
      return await recordRun(
        "build",
        graph,
        await withTreeCache(run),
        (run) => filling(run, () => build(request, run)),
      );
    },
    async push(options) {
      const { push } = await import("./carry/push.ts");
      const request = await readPush(options);
      await using run = await open(options, { hold: "write" });
      return await push(request, run);
    },
    async planPush(options) {
      const { planPush } = await import("./carry/push.ts");
      const request = await readPush(options);
      await using run = await open(options, { hold: "read" });
      return await planPush(request, run);
    },
    async createBundle(path, options = {}) {
      const { names: _, onEvent: _on, signal: _end, since = [], ...how } = options;
      const nodes = choose("bundle", ["source"], options).filter(isSource);
      checkFrozen(nodes, checked);
      const { createBundle } = await import("./carry/create_bundle.ts");
      await using run = await open(options, { hold: "write" });
      return await createBundle({ ...how, nodes, lock, out: path, since }, run);
    },
    async loadBundle(paths, options = {}) {
      const { requireFiles } = await import("./carry/look_into_bundle.ts");
      const { loadBundle } = await import("./carry/load_bundle.ts");
      const request = { ...options, paths: requireFiles(paths) };
      return await loadBundle(request, opening(options));
    },
    async receipt({ out } = {}) {
      await using run = await open({}, { hold: "read" });
      const { requireStore } = await import("./maintain/require_store.ts");
      const { makeReceipt, writeReceipt } = await import("./carry/receipt.ts");
      await requireStore(store);
      const receipt = await makeReceipt(run.store);
      if (out !== undefined) await writeReceipt(out, receipt);
      return receipt;
    },
    async lock(path, options = {}) {
      const { updateLock } = await import("./lockfile/update_lock.ts");
      return await updateLock(path, options, (before) => makeLock(before, options));
    },
    makeLock: (options = {}) => makeLock(lock, options),
    checkLock({ names = [] } = {}) {
      return Promise.try(() => {
        const named = select(graph, ["source"], names);
        const all = names.length > 0 ? undefined : [...unlocked().nodes.values()];
        checkConfig(named, all, lock);
      });
    },
    async outdated(options = {}) {
      const nodes = select(graph, ["source"], options.names ?? []);
      start("outdated", nodes, options);
      await using run = await open(options, { hold: "none" });
      const { findOutdated } = await import("./lockfile/outdated.ts");
      const families = new Set(nodes.map((node) => isSource(node) ? node.family : node.name));
      const asked = rules().filter(({ name }) => families.has(name));
      const { failures, total, ...result } = await findOutdated(nodes, asked, lock, run);
      throwIfFailed(failures, total, result);
      return result;
    },
    async list(options = {}) {
      await using run = await open({}, { hold: "none" });
      const { findImages } = await import("./maintain/choose_images.ts");
      const { requireStore } = await import("./maintain/require_store.ts");
      await requireStore(store);
      return await findImages(run, sources, options.names ?? []);
    },
    async verify(options = {}) {
      const { verifyAndRepair } = await import("./maintain/look_after.ts");
      return await verifyAndRepair(store, sources, options, opening(options));
    },
    async report(options = {}) {
      const { reportOn } = await import("./report/make_report.ts");
      return await reportOn(graph, store, options, opening(options));
    },
    async gc(options = {}) {
      start("gc", [...graph.nodes.values()], options);
      const { collectGarbage } = await import("./maintain/gc.ts");
      return await collectGarbage({ ...checked, graph, platform }, options, opening(options));
    },
  };
  // They may be taken apart: `const { fetch } = stowage(config)`.
  return {
    graph,
    plan: timed(methods.plan),
    fetch: timed(methods.fetch),
    build: timed(methods.build),
    lock: timed(methods.lock),
    makeLock: timed(methods.makeLock),
    checkLock: coded(methods.checkLock),
    outdated: timed(methods.outdated),
    list: coded(methods.list),
    verify: timed(methods.verify),
    report: coded(methods.report),
    gc: timed(methods.gc),
    push: timed(methods.push),
    planPush: timed(methods.planPush),
    createBundle: timed(methods.createBundle),
    loadBundle: timed(methods.loadBundle),
    receipt: coded(methods.receipt),
  };

  async function aheadOf({ on }: FetchOptions, kept: Kept): Promise<Ahead | undefined> {
    if (!on) return undefined;
    const { onWorkers } = await import("./fleet/workers/on_workers.ts");
    return onWorkers(on, { config, graph, lock, platform, kept });
  }

  async function readPush(options: PushOptions): Promise<PushRequest> {
    const { parseDestination, parseMap } = await import("./carry/target.ts");
    const { parseMirrorFormat } = await import("./carry/mirror_config.ts");
    const destination = parseDestination(options.to);
    const maps = (options.map ?? []).map(parseMap);
    const nodes = choose("push", ["source"], options).filter(isSource);
    checkFrozen(nodes, checked);
    const { tlsVerify, authFile, certDir } = options;
    const how = {
      ...(tlsVerify !== undefined && { tlsVerify }),
      ...(authFile !== undefined && { authFile }),
      ...(certDir !== undefined && { certDir }),
    };
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

/** Methods whose time is measured outside of them. */
type Untimed<Methods> = {
  readonly [Name in keyof Methods]: Methods[Name] extends
    (...args: infer Args) => Promise<infer Result & Timed> ? (...args: Args) => Promise<Result>
    : Methods[Name];
};

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

function isTags(node: Node): node is TagsNode {
  return node.kind === "tags";
}
