import pLimit from "p-limit";
import { formatPlatform, parsePlatform } from "../../../config/mod.ts";
import {
  type ErrorCode,
  InterruptedError,
  QueueError,
  type StowageError,
  UsageError,
} from "../../errors/mod.ts";
import { emitTo, type Listener, nameOf, type ToldEvent } from "../../events.ts";
import { typed } from "../../lib/typed_error.ts";
import { checkOptions, type StowageOptions } from "../../options.ts";
import { ABILITIES, type Ability } from "../../stages/mod.ts";
import { readSecret } from "../secret.ts";
import {
  ControlSchema,
  type EndMessage,
  type JobMessage,
  JobSchema,
  RunSchema,
  Seal,
} from "./messages.ts";
import { passedOn } from "./passed.ts";
import { Pauses } from "./pauses.ts";
import { type Handled, JobQueue, type TakenJob } from "./queue.ts";
import { CHANNEL, prefixFor, routesFor } from "./routes.ts";
import { Teller } from "./teller.ts";
import { Turns } from "./turns.ts";
import { JobError, type Made, type WorkerContext, WorkerRun } from "./worker_run.ts";

/** How a worker works. */
export interface WorkerOptions extends
  Pick<
    StowageOptions,
    | "root"
    | "store"
    | "jobs"
    | "perRegistry"
    | "attempts"
    | "retryDelay"
    | "stallTimeout"
    | "minRate"
    | "cache"
  > {
  /** Where jobs wait: `redis://…`, `rediss://…` or `postgres://…`. */
  readonly queue: string;
  /** File with a secret of at least 32 bytes that all messages are signed with. */
  readonly queueKey?: string;
  /** Which stages it runs that not every machine may; none of them if absent. */
  readonly can?: readonly Ability[];
  /** Its name; of this machine and process if absent. */
  readonly name?: string;
  /** How long it may be silent before others take its jobs, in ms; 30 000 if absent. */
  readonly lease?: number;
  /** Takes events. */
  readonly onEvent?: Listener;
  /** Ends it: jobs that are under way are given back. */
  readonly signal?: AbortSignal;
}

/** What a worker has done. */
export interface WorkerResult {
  /** How many jobs it has done. */
  readonly done: number;
  /** How many have failed on it. */
  readonly failed: number;
}

/** What is the same at a second try, wherever that is. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "CONFIG_FILE",
  "CONFIG_INVALID",
  "CONTENT_MISMATCH",
  "LOCK_INVALID",
  "LOCK_MISSING",
  "LOCK_STALE",
  "PLATFORM_NOT_OFFERED",
  "POLICY_REJECTED",
  "QUEUE_FAILED",
  "STAGE_FAILED",
  "UNEXPECTED",
  "USAGE",
]);

const LEASE = 30_000;
/** So many workers may die of a job that is all they do. */
const MOST_DEATHS = 3;
/** What a run has found out is kept for so long after its last job, in ms. */
const IDLE = 60_000;

/**
 * Takes jobs from a queue until its signal is aborted, and puts results into the cache.
 *
 * @param options How it works.
 * @returns What it has done.
 * @throws {UsageError} If there is no cache to write to, or an option is wrong.
 * @throws {QueueError} If the queue does not answer.
 */
export async function work(options: WorkerOptions): Promise<WorkerResult> {
  const { queue: url, can = [], lease = LEASE, signal = new AbortController().signal } = options;
  const checked = checkOptions(options);
  const cache = checked.cache.find(({ mode }) => mode === "write");
  if (!cache) {
    throw new UsageError("Cannot work: there is no cache to put results into", {
      hint: "name one that this machine may write to: --cache REPO,write",
    });
  }
  if (checked.offline) throw new UsageError("Cannot work for others offline");
  const unknown = can.find((ability) => !ABILITIES.includes(ability));
  if (unknown !== undefined) {
    throw new UsageError(`Cannot run "${unknown}" stages: expected ${ABILITIES.join(", ")}`);
  }
  const secret = await readSecret("queue key", options.queueKey, checked.root);
  if (can.includes("exec") && !secret) {
    throw new UsageError("Cannot run exec stages of anybody who can write to the queue", {
      hint: "share a secret with those who may: --queue-key FILE",
    });
  }
  const name = options.name ?? `${Deno.hostname()}-${Deno.pid}`;
  const emit = emitTo(options.onEvent);
  await using queue = await JobQueue.open(url, prefixFor(cache.repository), emit);
  const worker = new Taker(
    { options: checked, cache, can, signal },
    { queue, seal: new Seal(secret), name, emit },
  );
  await worker.listen();
  const { fetch, stages } = routesFor(can, formatPlatform(parsePlatform(Deno.build.arch)));
  const how = { worker: name, jobs: checked.jobs, lease };
  const limit = pLimit(checked.jobs);
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => end(), { once: true });
  if (signal.aborted) end();
  const takers = await Promise.all([
    queue.take(fetch, how, (job) => worker.handle(job)),
    ...stages.map((route) => queue.take(route, how, (job) => limit(() => worker.handle(job)))),
  ]);
  emit({ type: "worker", status: "waiting", worker: name, queue: queue.label });
  await ended;
  await Promise.all(takers.map((stop) => stop()));
  return await worker.end();
}

/** A run that jobs are of. */
interface OpenRun {
  readonly opened: Promise<WorkerRun>;
  readonly teller: Teller;
  readonly over: AbortController;
  users: number;
  idle?: ReturnType<typeof setTimeout>;
}

/** Does jobs. */
class Taker {
  readonly #runs = new Map<string, OpenRun>();
  readonly #closing = new Set<Promise<void>>();
  readonly #turns = new Turns();
  readonly #pauses: Pauses;
  #done = 0;
  #failed = 0;

  constructor(
    private readonly context: Omit<WorkerContext, "fleet" | "emit">,
    private readonly own: {
      readonly queue: JobQueue;
      readonly seal: Seal;
      readonly name: string;
      readonly emit: (event: ToldEvent) => void;
    },
  ) {
    const { queue, seal, name } = own;
    this.#pauses = new Pauses(name, (message) => {
      queue.tell(CHANNEL.control, seal.close(message)).catch(() => {});
    });
  }

  /** Listens to what concerns all workers. */
  async listen(): Promise<void> {
    const { queue, seal } = this.own;
    await queue.listen(CHANNEL.control, "all", (text) => {
      const opened = seal.open(ControlSchema, text);
      if ("reason" in opened) return;
      const { message } = opened;
      if (message.kind === "over") this.#runs.get(message.run)?.over.abort();
      else this.#pauses.take(message);
    });
  }

  /** A job that was under way where a worker died is done alone: who dies then has died of it. */
  async handle(job: TakenJob): Promise<Handled> {
    const isSingle = this.context.options.jobs === 1;
    return job.deaths > 0
      ? await this.#turns.alone(() => this.#handle(job, true))
      : await this.#turns.together((isFirst) => this.#handle(job, isFirst && isSingle));
  }

  async #handle(taken: TakenJob, isAlone: boolean): Promise<Handled> {
    if (this.context.signal.aborted) return { status: "returned" };
    if (isAlone && await taken.beginAlone() >= MOST_DEATHS) return { status: "lost" };
    const { text, attempt, attempts } = taken;
    const { seal, name } = this.own;
    const opened = seal.open(JobSchema, text);
    if ("reason" in opened) {
      const why = new QueueError(
        this.own.queue.label,
        `Cannot take a job from ${this.own.queue.label}: it ${opened.reason}`,
        { hint: "give all workers, and who uses them, the same --queue-key" },
      );
      return this.#fail({ run: "", error: why }, true);
    }
    const { message: job } = opened;
    const { run, key } = job;
    const open = await this.#open(run).catch((error: unknown) => typed(error));
    if (open instanceof Error) return this.#fail({ run, key, error: open }, isFinal(open));
    const tell = (event: ToldEvent) => this.#tell(open.teller, event);
    const about = { type: "worker", worker: name, queue: this.own.queue.label, run, key } as const;
    tell({ ...about, status: "begun" });
    try {
      const made = await this.#work(job, open);
      this.#done++;
      tell({ ...about, status: "done" });
      await open.teller.flush();
      const end: EndMessage = { kind: "done", run, worker: name, key, ...made };
      return { status: "done", text: seal.close(end) };
    } catch (thrown) {
      const failed = thrown instanceof JobError ? thrown.key : key;
      const error = thrown instanceof JobError ? thrown.error : typed(thrown);
      const isOver = open.over.signal.aborted;
      if (this.context.signal.aborted && !isOver) {
        tell({ ...about, status: "returned" });
        await open.teller.flush();
        return { status: "returned" };
      }
      const isLast = isOver || isFinal(error) || attempt >= attempts;
      if (!isLast) {
        const item = nameOf({ key, name: key.slice(key.indexOf("/") + 1) });
        const retry = { attempt: attempt + 1, attempts, reason: error.message };
        tell({ type: "retry", ...item, from: name, ...retry });
      }
      tell({ ...about, status: "failed" });
      await open.teller.flush();
      const why = isOver ? new InterruptedError() : error;
      return this.#fail({ run, key: failed, error: why }, isLast);
    } finally {
      this.#leave(run, open);
    }
  }

  /** Ends all runs. */
  async end(): Promise<WorkerResult> {
    for (const [run, open] of this.#runs) this.#close(run, open);
    await Promise.all(this.#closing);
    return { done: this.#done, failed: this.#failed };
  }

  async #work(job: JobMessage, open: OpenRun): Promise<Made> {
    let isCut = true;
    try {
      const run = await open.opened;
      isCut = false;
      try {
        return await run.work(job);
      } finally {
        isCut = run.isCut;
      }
    } finally {
      // Another try has a run of its own, which asks the cache again.
      if (isCut && this.#runs.get(job.run) === open) this.#runs.delete(job.run);
    }
  }

  async #open(id: string): Promise<OpenRun> {
    const known = this.#runs.get(id);
    if (known) return this.#enter(known);
    const { queue, seal, name } = this.own;
    const text = await queue.read(CHANNEL.runs, id);
    const here = this.#runs.get(id);
    if (here) return this.#enter(here);
    if (text === undefined) throw new InterruptedError("nobody waits for it any more");
    const read = seal.open(RunSchema, text);
    if ("reason" in read || read.message.run !== id) {
      const why = "reason" in read ? read.reason : "is another one";
      throw new QueueError(queue.label, `Cannot take a run from ${queue.label}: it ${why}`);
    }
    const teller = new Teller(async (events) => {
      const told = seal.close({ kind: "told", run: id, worker: name, events });
      await queue.tell(CHANNEL.told, told);
    });
    const over = new AbortController();
    const signal = AbortSignal.any([this.context.signal, over.signal]);
    const own = (event: ToldEvent) => this.#tell(teller, event);
    const context = { ...this.context, fleet: this.#pauses, emit: own, signal };
    const opened = WorkerRun.open(read.message, context);
    opened.catch(() => {}); // each of its jobs tells
    const open = { opened, teller, over, users: 0 };
    this.#runs.set(id, open);
    return this.#enter(open);
  }

  #enter(open: OpenRun): OpenRun {
    open.users++;
    clearTimeout(open.idle);
    return open;
  }

  #leave(run: string, open: OpenRun): void {
    if (--open.users > 0) return;
    const isLeft = this.#runs.get(run) !== open;
    if (isLeft || open.over.signal.aborted) this.#close(run, open);
    else open.idle = setTimeout(() => this.#close(run, open), IDLE);
  }

  #close(run: string, open: OpenRun): void {
    clearTimeout(open.idle);
    if (this.#runs.get(run) === open) this.#runs.delete(run);
    const closing = open.opened.then((opened) => opened[Symbol.asyncDispose]())
      .catch(() => {}) // it has never been open
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #tell(teller: Teller, event: ToldEvent): void {
    this.own.emit(event);
    const passed = passedOn(event);
    if (passed) teller.tell(passed);
  }

  #fail(
    { run, key, error }: {
      readonly run: string;
      readonly key?: string;
      readonly error: StowageError;
    },
    isFinal: boolean,
  ): Handled {
    if (isFinal) this.#failed++;
    const end: EndMessage = {
      kind: "failed",
      run,
      worker: this.own.name,
      ...(key !== undefined && { key }),
      error: dataOf(error),
    };
    return { status: "failed", text: this.own.seal.close(end), isFinal };
  }
}

function isFinal({ code }: StowageError): boolean {
  return FINAL.has(code) || code === "INTERRUPTED";
}

/** The error as plain data: what its class knows is told as JSON has it. */
function dataOf(error: StowageError): (EndMessage & { readonly kind: "failed" })["error"] {
  const { hint, ...data } = error.toJSON();
  return { ...data, ...(hint !== undefined && { hint }) };
}
