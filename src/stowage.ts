import { type Config, formatPlatform, parsePlatform } from "../config/mod.ts";
import type { BuildContext } from "./build/build.ts";
import {
  checkFrozen,
  findLeftOver,
  findOutdated,
  findUnlocked,
  type OutdatedResult,
} from "./lockfile/check_lock.ts";
import type { GcOptions, GcResult } from "./maintain/gc.ts";
import { holdStore } from "./maintain/hold_store.ts";
import type { LockResult } from "./lockfile/make_lock.ts";
import { lookAfter, type StoreKeeper } from "./maintain/look_after.ts";
import type { Plan } from "./build/plan.ts";
import { select } from "./graph/select.ts";
import { LockError, type LockProblem, RunError, StowageError } from "./errors/mod.ts";
import type { ImageResult, Listener, StageResult, StartEvent } from "./events.ts";
import { compile } from "./graph/compile.ts";
import type { Graph, Node, NodeKind, SourceNode } from "./graph/node.ts";
import { type CheckedOptions, checkOptions, type StowageOptions } from "./options.ts";
import { Scratch } from "./store/scratch.ts";
import { SkopeoSource } from "./sources/skopeo.ts";
import { Trust } from "./trust/trust.ts";
import { Store } from "./store/store.ts";

export type { GcOptions, StowageOptions };

/** What one run takes. */
export interface RunOptions {
  /** Names of the sources (and, but for `fetch`, stages) that are meant; all if absent. */
  readonly names?: readonly string[];
  /** Takes events while the run goes on. */
  readonly onEvent?: Listener;
  /** Ends the run, and the programs that it has started. */
  readonly signal?: AbortSignal;
}

/** What `fetch` has done. */
export interface FetchResult {
  /** The images that are in the store, in the order of the config. */
  readonly images: readonly ImageResult[];
}

/** What `lock` takes. */
export interface LockOptions extends RunOptions {
  /** Whether the sources that are named, or all, are asked for again, although they are locked. */
  readonly update?: boolean;
}

/** What `build` takes. */
export interface BuildOptions extends RunOptions {
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

/** A config, ready to run. */
export interface Stowage extends StoreKeeper {
  /** The graph of the config. */
  readonly graph: Graph;
  /**
   * Finds out what a build would do; nothing is downloaded but manifests, nothing is stored.
   *
   * @param options What the run takes.
   * @returns The plan; a source that cannot be had is part of it.
   * @throws {UsageError} If a name means nothing.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If a symbolic link leads out of the store.
   * @throws {InterruptedError} If the run was interrupted.
   */
  plan(options?: RunOptions): Promise<Plan>;
  /**
   * Fetches sources into the store.
   *
   * @param options What the run takes.
   * @returns The images, each of them in the store and verified.
   * @throws {RunError} If some could not be fetched; the others are in the store.
   * @throws {UsageError} If a name means nothing.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If a symbolic link leads out of the store.
   * @throws {InterruptedError} If the run was interrupted.
   */
  fetch(options?: RunOptions): Promise<FetchResult>;
  /**
   * Fetches sources and runs stages.
   *
   * @param options What the run takes.
   * @returns The images, the stages, and where results are.
   * @throws {RunError} If something failed; all that does not need it is done.
   * @throws {UsageError} If a name means nothing, or something else is where a result belongs.
   * @throws {LockError} If the run is frozen, and the lock does not say all.
   * @throws {StoreBusyError} If `gc` is at work in the store for too long.
   * @throws {StoreError} If a symbolic link leads out of the store, or results cannot be written.
   * @throws {InterruptedError} If the run was interrupted.
   */
  build(options?: BuildOptions): Promise<BuildResult>;
  /**
   * Makes a lock of what the tags of the config stand for; nothing is downloaded but manifests.
   *
   * @param options What the run takes.
   * @returns The lock, with what was locked already as it was, and what has changed.
   * @throws {RunError} If some sources could not be locked; its result has the lock of the others.
   * @throws {UsageError} If a name means nothing.
   * @throws {InterruptedError} If the run was interrupted.
   */
  makeLock(options?: LockOptions): Promise<LockResult>;
  /**
   * Compares the lock with the config and, unless offline, with what the registries have.
   *
   * @param options What the run takes.
   * @returns How many manifests were read.
   * @throws {LockError} If something is not locked, or not as it is.
   * @throws {RunError} If some sources could not be asked for.
   * @throws {InterruptedError} If the run was interrupted.
   */
  checkLock(options?: RunOptions): Promise<{ readonly requests: number }>;
  /**
   * Asks which tags stand for something else than what is pinned.
   *
   * @param options What the run takes.
   * @returns The sources whose tags moved, and how many manifests were read.
   * @throws {RunError} If some sources could not be asked for; its result has the others.
   * @throws {InterruptedError} If the run was interrupted.
   */
  outdated(options?: RunOptions): Promise<OutdatedResult>;
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
  gc(options?: GcOptions): Promise<GcResult>;
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
  const session = new Session(config, options);
  // They may be taken apart: `const { fetch } = stowage(config)`.
  return {
    graph: session.graph,
    plan: (run) => session.plan(run),
    fetch: (run) => session.fetch(run),
    build: (run) => session.build(run),
    makeLock: (run) => session.makeLock(run),
    checkLock: (run) => session.checkLock(run),
    outdated: (run) => session.outdated(run),
    ...session.keeper,
    gc: (run) => session.gc(run),
  };
}

/** Each method loads what it needs by itself. */
class Session implements Omit<Stowage, keyof StoreKeeper> {
  readonly graph: Graph;
  readonly keeper: StoreKeeper;
  readonly #options: StowageOptions & CheckedOptions;
  readonly #store: Store;
  readonly #config: Config;
  readonly #platform: string;

  constructor(config: Config, options: StowageOptions) {
    this.#options = { ...options, ...checkOptions(options) };
    this.#config = config;
    this.#platform = options.platform ?? formatPlatform(parsePlatform(Deno.build.arch));
    const { lock } = options;
    this.graph = compile(config, { platform: this.#platform, ...(lock && { lock }) });
    this.#store = new Store(this.#options.store);
    this.keeper = lookAfter(
      this.#store,
      this.graph,
      (run, scratch) => this.#contextOf(run, scratch),
    );
  }

  async plan(run: RunOptions = {}): Promise<Plan> {
    const nodes = this.#select("plan", ["stage", "source"], run);
    checkFrozen(nodes.filter(isSource), this.#options);
    using _held = await holdStore(this.#store, run);
    const { makePlan } = await import("./build/plan.ts");
    // A plan leaves no trace in the store, not even a temporary one.
    await using scratch = new Scratch();
    return await makePlan(nodes, this.#contextOf(run, scratch));
  }

  async fetch(run: RunOptions = {}): Promise<FetchResult> {
    const nodes = this.#select("fetch", ["source"], run);
    checkFrozen(nodes.filter(isSource), this.#options);
    using _held = await holdStore(this.#store, run, true);
    await using scratch = new Scratch(this.#store);
    const source = new SkopeoSource(this.#contextOf(run, scratch));
    const outcomes = await source.download(nodes.filter(isSource));
    const images = outcomes.flatMap((outcome) => "value" in outcome ? [outcome.value] : []);
    const failures: Record<string, StowageError> = {};
    for (const outcome of outcomes) {
      if ("error" in outcome) failures[outcome.item.name] = outcome.error;
    }
    throwIfFailed(failures, outcomes.length, { images });
    return { images };
  }

  async build(run: BuildOptions = {}): Promise<BuildResult> {
    const nodes = this.#select("build", ["stage", "source"], run);
    const { buildNodes } = await import("./build/build.ts");
    const { placeResults, refuseStore } = await import("./build/place_results.ts");
    if (run.out !== undefined) await refuseStore(run.out, this.#store.path);
    checkFrozen(nodes.filter(isSource), this.#options);
    using _held = await holdStore(this.#store, run, true);
    await using scratch = new Scratch(this.#store);
    const context = this.#contextOf(run, scratch);
    const { images, stages, failures, skipped } = await buildNodes(nodes, context);
    const results = stages.filter(({ name }) => this.#isResult(name, run.names));
    let out: Record<string, string> = {};
    try {
      if (run.out !== undefined) out = await placeResults(results, run.out, context.signal);
    } catch (error) {
      // What failed before must not be lost behind it.
      if (!(error instanceof StowageError) || Object.keys(failures).length === 0) throw error;
      const all = { ...failures, [run.out ?? ""]: error };
      throwIfFailed(all, nodes.length, { images, stages, out, skipped });
    }
    throwIfFailed(failures, nodes.length, { images, stages, out, skipped });
    return { images, stages, out };
  }

  async makeLock(run: LockOptions = {}): Promise<LockResult> {
    const graph = compile(this.#config, { platform: this.#platform });
    const nodes = [...graph.nodes.values()].filter(isSource);
    const named = select(graph, ["source"], run.names ?? []).filter(isSource);
    this.#start("lock", named, run);
    const { makeLock } = await import("./lockfile/make_lock.ts");
    await using scratch = new Scratch();
    const context = { ...this.#contextOf(run, scratch), digests: "ignore" } as const;
    const scope = {
      names: new Set(named.map(({ source }) => source)),
      update: run.update ?? false,
    };
    const { failures, total, ...result } = await makeLock(
      nodes,
      this.#options.lock,
      scope,
      context,
    );
    throwIfFailed(failures, total, result);
    return result;
  }

  async checkLock(run: RunOptions = {}): Promise<{ readonly requests: number }> {
    const { lock, offline } = this.#options;
    const named = select(this.graph, ["source"], run.names ?? []).filter(isSource);
    const all = compile(this.#config, { platform: this.#platform }).nodes.values();
    const problems = [
      ...findUnlocked(named, lock),
      ...(run.names?.length ? [] : findLeftOver([...all].filter(isSource), lock)),
    ];
    if (problems.length > 0) {
      const code = lock ? "LOCK_STALE" : "LOCK_MISSING";
      throw new LockError(code, "The lock is not of this config", problems, {
        hint: "run `stowage lock`",
      });
    }
    if (offline) return { requests: 0 };
    const { failures, total, outdated, requests } = await this.#findOutdated(run);
    const moved = outdated.map(({ name, pinned, current }) => ({
      name,
      reason: `it is ${current} now, and locked as ${pinned}`,
    }));
    const stale = (problems: readonly LockProblem[]) =>
      new LockError("LOCK_STALE", "The lock is not of what the registries have", problems, {
        hint: "run `stowage lock --update` to accept what they have",
      });
    if (Object.keys(failures).length > 0) {
      const errors = Object.fromEntries(moved.map((problem) => [problem.name, stale([problem])]));
      throwIfFailed({ ...errors, ...failures }, total, { outdated, requests });
    }
    if (moved.length > 0) throw stale(moved);
    return { requests };
  }

  async outdated(run: RunOptions = {}): Promise<OutdatedResult> {
    const { failures, total, ...result } = await this.#findOutdated(run);
    throwIfFailed(failures, total, result);
    return result;
  }

  async gc(run: GcOptions = {}): Promise<GcResult> {
    this.#start("gc", [...this.graph.nodes.values()], run);
    const { collectGarbage } = await import("./maintain/gc.ts");
    await using scratch = new Scratch();
    const config = { ...this.#options, graph: this.graph, platform: this.#platform };
    return await collectGarbage(config, run, this.#contextOf(run, scratch));
  }

  async #findOutdated(run: RunOptions) {
    const nodes = this.#select("outdated", ["source"], run).filter(isSource);
    await using scratch = new Scratch();
    const context = this.#contextOf(run, scratch);
    const total = new Set(nodes.map(({ source }) => source)).size;
    return { ...await findOutdated(nodes, this.#options.lock, context), total };
  }

  #select(
    action: StartEvent["action"],
    kinds: readonly NodeKind[],
    run: RunOptions,
  ): readonly Node[] {
    const nodes = select(this.graph, kinds, run.names ?? []);
    this.#start(action, nodes, run);
    return nodes;
  }

  #start(action: StartEvent["action"], nodes: readonly Node[], run: RunOptions): void {
    const sources = nodes.filter(isSource).map(({ name }) => name);
    run.onEvent?.({ type: "start", action, sources, store: this.#store.path });
  }

  #contextOf(run: BuildOptions, scratch: Scratch): BuildContext {
    const { offline = false, attempts, retryDelay, ...limits } = this.#options;
    const { settings } = this.graph;
    const emit = run.onEvent ?? (() => {});
    return {
      ...limits,
      // What a run has found is no promise to the next one.
      store: new Store(this.#store.path),
      scratch,
      emit,
      signal: run.signal ?? new AbortController().signal,
      offline,
      retry: { attempts, delay: retryDelay },
      trust: new Trust(settings, limits.root, scratch, emit),
      digests: settings.digests ?? "warn",
      kept: run.keepStages ? "all" : run.names ?? [],
      platform: parsePlatform(Deno.build.arch),
    };
  }

  /** A stage is a result if no other continues it, or if it was asked for by name. */
  #isResult(name: string, names: readonly string[] = []): boolean {
    const node = this.graph.nodes.get(`stage/${name}`);
    return names.includes(name) || (node?.kind === "stage" && node.isResult);
  }
}

function isSource(node: Node): node is SourceNode {
  return node.kind === "source";
}

function throwIfFailed<Result>(
  failures: Readonly<Record<string, StowageError>>,
  total: number,
  result: Result,
): void {
  if (Object.keys(failures).length > 0) throw new RunError(failures, total, result);
}
