import { withoutLogin } from "../../../config/without_login.ts";
import { QueueError, UsageError } from "../../errors/mod.ts";
import type { Emit } from "../../events.ts";

/** How a job has ended; `lost` if too many workers died of it. */
export type JobEnd =
  | { readonly status: "done" | "failed"; readonly text: string }
  | { readonly status: "lost" };

/** What a worker makes of a job. */
export type Handled =
  | { readonly status: "done"; readonly text: string }
  /** It may be tried again, unless that is of no use. */
  | { readonly status: "failed"; readonly text: string; readonly isFinal: boolean }
  /** Another worker is to do it. */
  | { readonly status: "returned" }
  /** Too many workers died of it. */
  | { readonly status: "lost" };

/** A job as a worker gets it. */
export interface TakenJob {
  /** What the client has sent. */
  readonly text: string;
  /** Which try it is, from 1, and how many there are at most. */
  readonly attempt: number;
  /** How many tries there are at most. */
  readonly attempts: number;
  /** How many workers have died, or were thought dead, while they had it beside whatever else. */
  readonly deaths: number;
  /**
   * Notes that a worker begins it, and does nothing else.
   *
   * @returns How many workers have died so before.
   */
  beginAlone(): Promise<number>;
}

/** How long what nobody asks for any more is kept, in s. */
const KEPT = 3600;
/** So many workers may die while they have a job, whatever else they do. */
const MAX_STALLED = 100;
/** As BullMQ says that more have. */
const STALLED = "job stalled more than allowable limit";
const CONNECT_MS = 10_000;
const EVENT = "told";

/** A job, as BullMQ has it. */
export interface BullJob {
  readonly data: string;
  readonly opts: { readonly attempts?: number };
  readonly attemptsMade: number;
  readonly stalledCounter: number;
  readonly progress: unknown;
  readonly returnvalue: string;
  readonly failedReason: string;
  getState(): Promise<string>;
  moveToWait(token?: string): Promise<unknown>;
  updateProgress(progress: number): Promise<void>;
}

/** What has connections of its own. */
interface Part {
  on(event: "error", listener: (error: Error) => void): unknown;
  close(): Promise<void>;
}

/** A queue, as BullMQ has it on all databases. */
export interface BullQueue extends Part {
  add(name: string, data: string, options: {
    readonly jobId: string;
    readonly attempts?: number;
    readonly backoff?: { readonly type: string; readonly delay: number };
    readonly removeOnComplete?: { readonly age: number };
    readonly removeOnFail?: { readonly age: number };
    readonly stackTraceLimit?: number;
  }): Promise<unknown>;
  getJob(id: string): Promise<BullJob | undefined>;
  remove(id: string): Promise<unknown>;
  clean(grace: number, limit: number, type: "wait"): Promise<unknown>;
  getWorkersCount(): Promise<number>;
}

/** What BullMQ tells of a queue. */
export interface BullEvents extends Part {
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "completed", listener: (args: Completed) => void): unknown;
  on(event: "failed", listener: (args: Failed) => void): unknown;
  on(event: typeof EVENT, listener: (args: { readonly text: string }) => void): unknown;
  waitUntilReady(): Promise<unknown>;
}

/** What tells more than BullMQ does. */
export interface BullProducer extends Part {
  publishEvent(
    event: { readonly eventName: string; readonly text: string },
    most: number,
  ): Promise<void>;
}

/** What takes jobs. */
export interface BullWorker extends Part {
  waitUntilReady(): Promise<unknown>;
}

/** How jobs are taken. */
export interface BullWorkerOptions {
  readonly name: string;
  readonly concurrency: number;
  readonly lockDuration: number;
  readonly stalledInterval: number;
  readonly maxStalledCount: number;
  readonly runRetryDelay: number;
}

/** Does a job. */
export type BullProcess = (job: BullJob, token?: string) => Promise<string>;

/** Makes what BullMQ has, on one kind of database. */
export interface Kit {
  queue(name: string): BullQueue;
  events(name: string, from: string): BullEvents;
  producer(name: string): BullProducer;
  worker(name: string, process: BullProcess, options: BullWorkerOptions): BullWorker;
  /** What a job ends with that is not tried again, or is for another worker. */
  readonly errors: {
    readonly UnrecoverableError: new (message: string) => Error;
    readonly WaitingError: new () => Error;
  };
  /** Ends all connections that none of those above has for itself. */
  close(): Promise<void>;
}

/** A job queue in Redis or PostgreSQL, with channels beside it. All that it carries is text. */
export class JobQueue implements AsyncDisposable {
  readonly #queues = new Map<string, BullQueue>();
  readonly #producers = new Map<string, BullProducer>();
  readonly #open = new AsyncDisposableStack();

  private constructor(
    /** Where it is, without a login. */
    readonly label: string,
    private readonly prefix: string,
    private readonly kit: Kit,
  ) {}

  /**
   * Connects to a queue.
   *
   * @param url `redis://…`, `rediss://…` or `postgres://…`.
   * @param prefix What all names in it begin with.
   * @param emit Takes notices.
   * @returns The queue.
   * @throws {UsageError} If it is no such URL.
   * @throws {QueueError} If it does not answer.
   */
  static async open(url: string, prefix: string, emit: Emit): Promise<JobQueue> {
    const label = withoutLogin(url);
    const [, scheme = ""] = /^([a-z]+):\/\//.exec(url) ?? [];
    const open = Object.hasOwn(KITS, scheme) ? KITS[scheme] : undefined;
    if (!open) {
      throw new UsageError(`Cannot use the queue "${label}": expected redis:// or postgres://`, {
        hint: "name it as redis://host:6379/0, rediss:// for TLS, or postgres://host/database",
      });
    }
    let isAway = false;
    const options = {
      timeout: CONNECT_MS,
      onAway(error: unknown) {
        if (isAway) return;
        isAway = true;
        const why = error instanceof Error ? `: ${withoutLogin(error.message)}` : "";
        const message = `the queue ${label} does not answer, and is waited for${why}`;
        emit({ type: "notice", code: "QUEUE_AWAY", message });
      },
      onBack: () => void (isAway = false),
    };
    const kit = await open(url, options).catch((cause) => {
      if (cause instanceof UsageError) throw cause;
      const why = withoutLogin(cause instanceof Error ? cause.message : String(cause));
      throw new QueueError(label, `Cannot reach the queue ${label}: ${why}`, {
        hint: /certificate/i.test(why)
          ? "if its authority is your own, name its certificate: NODE_EXTRA_CA_CERTS=ca.pem"
          : "see whether it runs, and whether the login and the password are right",
        cause,
      });
    });
    return new JobQueue(label, prefix, kit);
  }

  /** Keeps a text for all to read. */
  async keep(name: string, id: string, text: string): Promise<void> {
    await this.#queue(name).add("kept", text, { jobId: id });
  }

  /** Reads a text that was kept. */
  async read(name: string, id: string): Promise<string | undefined> {
    return (await this.#queue(name).getJob(id))?.data;
  }

  /** Removes a text that was kept, or a job that nobody has taken yet. */
  async remove(name: string, id: string): Promise<void> {
    // One that a worker has is locked, and ends by itself.
    await this.#queue(name).remove(id).catch(() => {});
  }

  /** Removes texts that were kept for longer than so many ms. */
  async forget(name: string, ms: number): Promise<void> {
    await this.#queue(name).clean(ms, 1000, "wait");
  }

  /**
   * Adds a job; one that is there with its id stays as it is.
   *
   * @param name Which jobs it belongs to.
   * @param id Its id.
   * @param text What the worker gets.
   * @param options How often it is tried, and how long to wait before the second try, in ms.
   */
  async add(
    name: string,
    id: string,
    text: string,
    { attempts, delay }: { readonly attempts: number; readonly delay: number },
  ): Promise<void> {
    await this.#queue(name).add("job", text, {
      jobId: id,
      attempts,
      backoff: { type: "exponential", delay },
      removeOnComplete: { age: KEPT },
      removeOnFail: { age: KEPT },
      stackTraceLimit: 0,
    });
  }

  /** What became of a job: `undefined` while it is waiting or under way. */
  async endOf(name: string, id: string): Promise<JobEnd | "gone" | undefined> {
    const state = await (await this.#queue(name).getJob(id))?.getState();
    if (state === undefined || state === "unknown") return "gone";
    if (state !== "completed" && state !== "failed") return undefined;
    // It may have ended since it was read.
    const job = await this.#queue(name).getJob(id);
    if (!job) return "gone";
    return state === "failed"
      ? failed(job.failedReason)
      : { status: "done", text: job.returnvalue };
  }

  /** Whether any worker waits for such jobs. */
  async hasWorkers(name: string): Promise<boolean> {
    return await this.#queue(name).getWorkersCount() > 0;
  }

  /**
   * Listens for the ends of jobs.
   *
   * @param name Which jobs.
   * @param onEnd Takes the id of each that has ended.
   */
  async onEnd(name: string, onEnd: (id: string, end: JobEnd) => void): Promise<void> {
    const events = this.#own(this.kit.events(this.#name(name), "$"));
    events.on("completed", ({ jobId, returnvalue }) => {
      onEnd(jobId, { status: "done", text: returnvalue });
    });
    events.on("failed", ({ jobId, failedReason }) => onEnd(jobId, failed(failedReason)));
    await events.waitUntilReady();
  }

  /**
   * Takes jobs, until this is disposed of.
   *
   * @param name Which jobs.
   * @param options Name of the worker, how many jobs side by side, and how long it may be silent
   * before others take its jobs, in ms.
   * @param handle Does one.
   * @returns Ends it: no job is taken any more, and those that were are waited for.
   */
  async take(
    name: string,
    { worker, jobs, lease }: {
      readonly worker: string;
      readonly jobs: number;
      readonly lease: number;
    },
    handle: (job: TakenJob) => Promise<Handled>,
  ): Promise<() => Promise<void>> {
    const { UnrecoverableError, WaitingError } = this.kit.errors;
    const taker = this.kit.worker(this.#name(name), async (job, token) => {
      const attempts = job.opts.attempts ?? 1;
      const before = typeof job.progress === "number" ? job.progress : 0;
      // A job that the queue has lost has no notes.
      const note = (deaths: number) => job.updateProgress(deaths).catch(() => {});
      let isNoted = false;
      const end = await handle({
        ...{ text: job.data, attempt: job.attemptsMade + 1, attempts, deaths: job.stalledCounter },
        async beginAlone() {
          isNoted = true;
          await note(before + 1);
          return before;
        },
      });
      if (end.status === "lost") throw new UnrecoverableError(STALLED);
      // Who is only slow may have been thought dead.
      if (isNoted) await note(before);
      if (end.status === "done") return end.text;
      if (end.status === "failed") {
        throw end.isFinal ? new UnrecoverableError(end.text) : new Error(end.text);
      }
      await job.moveToWait(token);
      throw new WaitingError();
    }, {
      name: worker,
      concurrency: jobs,
      lockDuration: lease,
      stalledInterval: lease,
      maxStalledCount: MAX_STALLED,
      runRetryDelay: 1000,
    });
    this.#own(taker);
    await taker.waitUntilReady();
    return () => taker.close();
  }

  /** Sends a text to all who listen. */
  async tell(channel: string, text: string): Promise<void> {
    const producer = this.#producers.get(channel) ??
      this.#own(this.kit.producer(this.#name(channel)));
    this.#producers.set(channel, producer);
    await producer.publishEvent({ eventName: EVENT, text }, 10_000);
  }

  /**
   * Listens to what is told.
   *
   * @param channel Where.
   * @param from `all` for what is still there of it, `new` for what is told from now on.
   * @param take Takes each text.
   */
  async listen(
    channel: string,
    from: "all" | "new",
    take: (text: string) => void,
  ): Promise<void> {
    const events = this.#own(this.kit.events(this.#name(channel), from === "all" ? "0" : "$"));
    events.on(EVENT, ({ text }) => take(text));
    await events.waitUntilReady();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync();
    await this.kit.close();
  }

  #name(name: string): string {
    return `${this.prefix}-${name}`;
  }

  #queue(name: string): BullQueue {
    const queue = this.#queues.get(name) ?? this.#own(this.kit.queue(this.#name(name)));
    this.#queues.set(name, queue);
    return queue;
  }

  #own<Each extends Part>(part: Each): Each {
    // What has failed is tried again, by BullMQ or by who waits for it.
    part.on("error", () => {});
    this.#open.defer(() => part.close());
    return part;
  }
}

interface Completed {
  readonly jobId: string;
  readonly returnvalue: string;
}

interface Failed {
  readonly jobId: string;
  readonly failedReason: string;
}

function failed(reason: string): JobEnd {
  return reason.includes(STALLED) ? { status: "lost" } : { status: "failed", text: reason };
}

/** How a database is opened. */
export interface OpenOptions {
  /** How long it may take to answer, in ms. */
  readonly timeout: number;
  /** Told when it answers no longer, and why, where that is known. */
  onAway(error: unknown): void;
  /** Told when it answers again. */
  onBack(): void;
}

type OpenKit = (url: string, options: OpenOptions) => Promise<Kit>;

const redis: OpenKit = async (...args) => (await import("./redis.ts")).openRedis(...args);

const postgres: OpenKit = async (...args) => (await import("./postgres.ts")).openPostgres(...args);

const KITS: Readonly<Record<string, OpenKit>> = {
  redis,
  rediss: redis,
  postgres,
  postgresql: postgres,
};
