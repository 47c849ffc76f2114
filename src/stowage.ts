import { fromFileUrl, join, resolve } from "@std/path";
import * as v from "valibot";
import { type Config, formatPlatform, parsePlatform } from "../config/mod.ts";
import { type BuildContext, buildNodes } from "./engine/build.ts";
import { placeResults } from "./engine/place_results.ts";
import { makePlan, type Plan } from "./engine/plan.ts";
import { select } from "./engine/select.ts";
import { RunError, type StowageError, UsageError } from "./errors.ts";
import type { ImageResult, Listener, StageResult } from "./events.ts";
import { compile } from "./graph/compile.ts";
import type { Graph, Node, NodeKind, SourceNode } from "./graph/node.ts";
import { Scratch } from "./sources/scratch.ts";
import { SkopeoSource } from "./sources/skopeo.ts";
import type { SourceContext } from "./sources/source.ts";
import { Store } from "./store/store.ts";

/** What a config leaves to its surroundings. */
export interface StowageOptions {
  /** Folder that relative paths of the config start from; the current one if absent. */
  readonly root?: string | URL;
  /** Folder of the store; `STOWAGE_STORE`, or else `.stowage` in the root, if absent. */
  readonly store?: string;
  /** Platform of sources where neither they nor the config name one; this machine's if absent. */
  readonly platform?: string;
  /** How many items are worked on side by side; 4 if absent. */
  readonly jobs?: number;
  /** Whether no registry is asked. */
  readonly offline?: boolean;
  /** How often a place is tried that may have an image in a moment; 3 if absent. */
  readonly attempts?: number;
  /** How long to wait before the second try, in ms; it grows from try to try. 1000 if absent. */
  readonly retryDelay?: number;
  /** The time that stages date what is new to, in s since 1970; SOURCE_DATE_EPOCH or 0 if absent. */
  readonly epoch?: number;
  /** How long a place may give no byte, in ms; 120 000 if absent. */
  readonly stallTimeout?: number;
}

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
export interface Stowage {
  /** The graph of the config. */
  readonly graph: Graph;
  /**
   * Finds out what a build would do; nothing is downloaded but manifests, nothing is stored.
   *
   * @param options What the run takes.
   * @returns The plan; a source that cannot be had is part of it.
   * @throws {UsageError} If a name means nothing.
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
   * @throws {InterruptedError} If the run was interrupted.
   */
  build(options?: BuildOptions): Promise<BuildResult>;
}

const atLeast = (least: number) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(least, `a whole number from ${least}`));

const LimitsSchema = v.object({
  jobs: v.optional(atLeast(1), 4),
  attempts: v.optional(atLeast(1), 3),
  retryDelay: v.optional(atLeast(0), 1_000),
  stallTimeout: v.optional(atLeast(1), 120_000),
  epoch: v.optional(atLeast(0)),
});

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
  const limits = checkLimits(options);
  const graph = compile(config, { platform: options.platform ?? thisPlatform() });
  const root = toPath(options.root ?? Deno.cwd());
  const store = new Store(
    options.store ?? Deno.env.get("STOWAGE_STORE") ?? join(root, ".stowage"),
  );
  const contextOf = (run: RunOptions, scratch: Scratch): SourceContext => ({
    root,
    store,
    scratch,
    emit: run.onEvent ?? (() => {}),
    signal: run.signal ?? new AbortController().signal,
    jobs: limits.jobs,
    offline: options.offline ?? false,
    retry: { attempts: limits.attempts, delay: limits.retryDelay },
    stallTimeout: limits.stallTimeout,
  });
  const buildContextOf = (run: BuildOptions, scratch: Scratch): BuildContext => ({
    ...contextOf(run, scratch),
    kept: run.keepStages ? "all" : run.names ?? [],
    epoch: limits.epoch ?? Number(Deno.env.get("SOURCE_DATE_EPOCH") ?? 0),
    platform: parsePlatform(Deno.build.arch),
  });
  const begin = (
    action: "plan" | "fetch" | "build",
    kinds: readonly NodeKind[],
    run: RunOptions,
  ): { nodes: readonly Node[]; sources: readonly SourceNode[] } => {
    const nodes = select(graph, kinds, run.names ?? []);
    const sources = nodes.filter((node): node is SourceNode => node.kind === "source");
    const names = sources.map(({ name }) => name);
    run.onEvent?.({ type: "start", action, sources: names, store: store.path });
    return { nodes, sources };
  };
  const fetchAll = async (
    sources: readonly SourceNode[],
    run: RunOptions,
  ): Promise<FetchResult> => {
    await using scratch = new Scratch(store, run.onEvent ?? (() => {}));
    const outcomes = await new SkopeoSource(contextOf(run, scratch)).download(sources);
    const images = outcomes.flatMap((outcome) => "value" in outcome ? [outcome.value] : []);
    const failures: Record<string, StowageError> = {};
    for (const outcome of outcomes) {
      if ("error" in outcome) failures[outcome.item.name] = outcome.error;
    }
    if (Object.keys(failures).length > 0) {
      throw new RunError(failures, outcomes.length, { images });
    }
    return { images };
  };
  return {
    graph,
    async plan(run = {}) {
      const { nodes } = begin("plan", ["stage", "source"], run);
      // A plan leaves no trace in the store, not even a temporary one.
      await using scratch = new Scratch(undefined, run.onEvent ?? (() => {}));
      return await makePlan(nodes, buildContextOf(run, scratch));
    },
    async fetch(run = {}) {
      const { sources } = begin("fetch", ["source"], run);
      return await fetchAll(sources, run);
    },
    async build(run = {}) {
      const { nodes } = begin("build", ["stage", "source"], run);
      await using scratch = new Scratch(store, run.onEvent ?? (() => {}));
      const context = buildContextOf(run, scratch);
      const { images, stages, failures, skipped } = await buildNodes(nodes, context);
      const results = stages.filter(({ name }) => isResult(graph, name, run.names));
      const out = run.out === undefined
        ? {}
        : await placeResults(results, run.out, run.signal ?? new AbortController().signal);
      if (Object.keys(failures).length > 0) {
        throw new RunError(failures, nodes.length, { images, stages, out, skipped });
      }
      return { images, stages, out };
    },
  };
}

/** A stage is a result if no other continues it, or if it was asked for by name. */
function isResult(graph: Graph, name: string, names: readonly string[] = []): boolean {
  const node = graph.nodes.get(`stage/${name}`);
  return names.includes(name) || (node?.kind === "stage" && node.isResult);
}

function checkLimits(options: StowageOptions): v.InferOutput<typeof LimitsSchema> {
  const result = v.safeParse(LimitsSchema, options);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new UsageError(
    `Cannot use ${v.getDotPath(issue)}: expected ${issue.message}, it is ${issue.received}`,
  );
}

function thisPlatform(): string {
  return formatPlatform(parsePlatform(Deno.build.arch));
}

function toPath(root: string | URL): string {
  return root instanceof URL ? fromFileUrl(root) : resolve(root);
}
