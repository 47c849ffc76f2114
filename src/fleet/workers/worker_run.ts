import type { Cache } from "../../../config/mod.ts";
import { buildNodes } from "../../build/build.ts";
import type { Sender } from "../../carry/sender.ts";
import { ConfigError, PushError, StowageError, UsageError } from "../../errors/mod.ts";
import type { Emit } from "../../events.ts";
import { compile } from "../../graph/compile.ts";
import type { Graph, Node, SourceNode } from "../../graph/node.ts";
import { select } from "../../graph/select.ts";
import type { CheckedOptions } from "../../options.ts";
import { type Fleet, openRun, type Run } from "../../run.ts";
import { SkopeoSource } from "../../sources/skopeo.ts";
import { type Ability, stageKind } from "../../stages/mod.ts";
import { fillFrom } from "../fill_caches.ts";
import { TreeCaches } from "../tree_caches.ts";
import { recordUses } from "../uses.ts";
import type { EndMessage, JobMessage, RunMessage } from "./messages.ts";
import { pinTo } from "./pin_to.ts";

/** What a run needs of the worker that it is on. */
export interface WorkerContext {
  /** Limits and places. */
  readonly options: CheckedOptions;
  /** Where results are put. */
  readonly cache: Cache;
  /** What this machine is able to do. */
  readonly can: readonly Ability[];
  /** Other workers. */
  readonly fleet: Fleet;
  /** Takes events. */
  readonly emit: Emit;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** How long it may take to tell the cache what was used of it, in ms. */
const RECORD_MS = 10_000;

/** What a job has made. */
export type Made = Pick<EndMessage & { readonly kind: "done" }, "digest" | "stages">;

/** One run, on one worker: its jobs share what it has found out. */
export class WorkerRun implements AsyncDisposable {
  readonly #senders = new Map<Cache, Sender>();

  private constructor(
    private readonly graph: Graph,
    private readonly message: RunMessage,
    private readonly run: Run & AsyncDisposable,
    private readonly sources: SkopeoSource,
    private readonly context: WorkerContext,
  ) {}

  /**
   * Opens a run.
   *
   * @param message What its jobs have in common.
   * @param context The worker.
   * @returns The run; dispose of it when its last job has ended.
   * @throws {ConfigError} If its config is wrong.
   * @throws {StowageError} If the store cannot be used.
   */
  static async open(message: RunMessage, context: WorkerContext): Promise<WorkerRun> {
    const { lock, platform, epoch } = message;
    const graph = compile(message.config, { platform, ...(lock && { lock }) });
    const { emit, signal, fleet } = context;
    const options = { ...context.options, epoch, lock };
    // Its caches are this machine's, and who asks has pinned what has to be.
    const settings = { ...graph.settings, cache: [], digests: "ignore" } as const;
    const run = await openRun({ settings, options, emit, signal }, { hold: "write" });
    try {
      const own = { ...run, sharesLayers: true, fleet };
      const whole = { ...own, treeCache: new TreeCaches(own) };
      const sources = new SkopeoSource(whole);
      await sources.setup();
      return new WorkerRun(graph, message, whole, sources, context);
    } catch (error) {
      await run[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Whether what is made no longer comes into the cache. */
  get isCut(): boolean {
    return this.run.leftCaches.has(this.context.cache, "write");
  }

  /**
   * Does a job.
   *
   * @param job The job.
   * @returns What it has made; it is in the cache.
   * @throws {JobError} If something of it failed.
   */
  async work({ key, pins }: JobMessage): Promise<Made> {
    const node = this.graph.nodes.get(key);
    if (!node) throw new JobError(key, unknownNode(key));
    const made = node.kind === "source"
      ? await this.#fetch(pinTo(node, pins))
      : await this.#build(node, pins);
    if (!this.isCut) return made;
    const { repository } = this.context.cache;
    throw new JobError(
      key,
      new PushError(node.name, repository, "the cache does not take what was made", {
        reason: "unreachable",
        hint: "see whether this worker may write there",
      }),
    );
  }

  async #fetch(node: SourceNode): Promise<Made> {
    try {
      const image = await this.sources.fetch(node);
      await fillFrom([image], this.run, this.#senders);
      return { digest: node.keepsIndex && image.index?.digest || image.digest };
    } catch (error) {
      throw error instanceof StowageError ? new JobError(node.key, error) : error;
    }
  }

  async #build({ key, name }: Node, pins: JobMessage["pins"]): Promise<Made> {
    const nodes = select(this.graph, ["stage"], [name]).map((node) =>
      node.kind === "source" ? pinTo(node, pins) : node
    );
    for (const node of nodes) this.#refuse(node);
    const { stages, failures } = await buildNodes(nodes, this.message.kept, this.run, this.sources);
    const [failed] = Object.entries(failures);
    if (failed) throw new JobError(...failed);
    return {
      stages: stages.filter((stage) => stage.key === key).map(
        ({ key, name, status, id }) => ({ key, name, status, id }),
      ),
    };
  }

  /** Who can write to a queue may send anything to any workers. */
  #refuse(node: Node): void {
    if (node.kind !== "stage") return;
    const { ability, into } = stageKind(node.stage);
    if (into(node.stage) !== undefined) throw new JobError(node.key, writesElsewhere(node.name));
    if (ability === undefined || this.context.can.includes(ability)) return;
    throw new JobError(
      node.key,
      new UsageError(`Cannot run "${node.name}": this worker runs no ${ability} stages`, {
        hint: `start workers with --can ${ability}`,
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      // The run's own signal tells that nobody waits for it any more.
      await recordUses({ ...this.run, signal: AbortSignal.timeout(RECORD_MS) });
    } catch {
      // What is not told counts from the day on which the cache is pruned.
    }
    await this.run[Symbol.asyncDispose]();
  }
}

/** Something of a job failed. */
export class JobError extends Error {
  /**
   * @param key Key of what failed.
   * @param error Why.
   */
  constructor(readonly key: string, readonly error: StowageError) {
    super(error.message);
  }
}

function unknownNode(key: string): StowageError {
  return new ConfigError([{ path: key, expected: "a part of the config that the run has" }]);
}

function writesElsewhere(name: string): StowageError {
  return new UsageError(`Cannot run "${name}" on a worker: it changes a folder of this machine`);
}
