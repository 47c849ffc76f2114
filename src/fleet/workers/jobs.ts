import { abortable } from "@std/async/abortable";
import { InterruptedError, QueueError, type StowageError, WorkerError } from "../../errors/mod.ts";
import type { Emit, ItemName } from "../../events.ts";
import { Deaths } from "./deaths.ts";
import {
  type EndMessage,
  EndSchema,
  type JobMessage,
  type RunMessage,
  type Seal,
  ToldSchema,
} from "./messages.ts";
import type { JobEnd, JobQueue } from "./queue.ts";
import { CHANNEL } from "./routes.ts";
import { TotalTraffic } from "./total_traffic.ts";

/** What a job of a client has made. */
export type JobResult = EndMessage & { readonly kind: "done" };

/** How a client waits for its jobs. */
export interface JobsOptions {
  /** How often a job is tried, and how long to wait before the second try, in ms. */
  readonly retry: { readonly attempts: number; readonly delay: number };
  /** How long to wait until jobs of which nothing was heard are asked for, in ms. */
  readonly poll: number;
  /** Takes events, those of workers as well. */
  readonly emit: Emit;
  /** Ends it. */
  readonly signal: AbortSignal;
}

interface Waiting {
  readonly route: string;
  readonly text: string;
  readonly item: ItemName;
  end(end: JobEnd): void;
}

/** So many jobs are asked for at a time. */
const ASKED = 100;
/** What nobody has removed, in ms. */
const OLD = 7 * 24 * 3600 * 1000;

/** A job failed on workers; the item of it that did is told. */
export class FailedJob extends Error {
  /**
   * @param key Key of what failed.
   * @param error Why.
   */
  constructor(readonly key: string, readonly error: StowageError) {
    super(error.message);
  }
}

/** The jobs of one run, as its client has them. */
export class Jobs implements AsyncDisposable {
  /** By their ids. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #heard = new Map<string, Promise<void>>();
  readonly #lonely = new Set<string>();
  readonly #deaths = new Deaths();
  readonly #traffic: TotalTraffic;
  readonly #stop = new AbortController();
  readonly #polling: Promise<void>;

  private constructor(
    private readonly queue: JobQueue,
    private readonly seal: Seal,
    private readonly run: RunMessage,
    private readonly options: JobsOptions,
  ) {
    this.#traffic = new TotalTraffic(options.emit);
    this.#polling = this.#poll();
  }

  /**
   * Opens the jobs of a run.
   *
   * @param queue Where they wait.
   * @param seal Signs messages.
   * @param run What they have in common.
   * @param options How they are waited for.
   * @returns The jobs; none is added yet. When it is disposed of, nobody waits for the run any more.
   */
  static async open(
    queue: JobQueue,
    seal: Seal,
    run: RunMessage,
    options: JobsOptions,
  ): Promise<Jobs> {
    await queue.forget(CHANNEL.runs, OLD);
    await queue.keep(CHANNEL.runs, run.run, seal.close(run));
    const jobs = new Jobs(queue, seal, run, options);
    await queue.listen(CHANNEL.told, "new", (text) => jobs.#take(text));
    return jobs;
  }

  /**
   * Has workers do something, and waits until it is done.
   *
   * @param route Which workers it is for.
   * @param item What it is.
   * @param pins Digests of the images that it needs, by key of their sources.
   * @returns What they have made; it is in the cache.
   * @throws {FailedJob} If it failed.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async do(route: string, item: ItemName, pins: JobMessage["pins"]): Promise<JobResult> {
    const { key } = item;
    const id = `${this.run.run}/${key}`;
    await this.#hear(route);
    const text = this.seal.close({ kind: "job", run: this.run.run, key, pins });
    for (let round = 0, known = 0;; round++) {
      const end = await this.#once(round === 0 ? id : `${id}#${round}`, route, item, text);
      // Where workers die of anything, it is done again as long as more of them do.
      const others = this.#deaths.besides(key);
      if (end.status !== "lost" || others <= known) return this.#read(item, end);
      known = others;
    }
  }

  async #once(id: string, route: string, item: ItemName, text: string): Promise<JobEnd> {
    const { promise, resolve } = Promise.withResolvers<JobEnd>();
    this.#waiting.set(id, { route, text, item, end: resolve });
    try {
      await this.#add(id, route, text);
      const { signal } = this.options;
      return await abortable(promise, signal).catch(() => {
        throw new InterruptedError(signal.reason);
      });
    } finally {
      this.#waiting.delete(id);
      if (this.options.signal.aborted) await this.queue.remove(route, id);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#polling;
    const { run } = this.run;
    await this.queue.remove(CHANNEL.runs, run);
    await this.queue.tell(CHANNEL.control, this.seal.close({ kind: "over", run })).catch(() => {});
  }

  async #add(id: string, route: string, text: string): Promise<void> {
    await this.queue.add(route, id, text, this.options.retry);
  }

  /** Once for all jobs of a kind. */
  #hear(route: string): Promise<void> {
    const heard = this.#heard.get(route) ??
      this.queue.onEnd(route, (id, end) => this.#waiting.get(id)?.end(end));
    this.#heard.set(route, heard);
    return heard;
  }

  #read(item: ItemName, end: JobEnd): JobResult {
    const { key, name } = item;
    if (end.status === "lost") {
      throw new FailedJob(
        key,
        new WorkerError(name, {
          code: "WORKER_LOST",
          message: `Cannot do "${name}": three workers have died that did nothing else`,
          hint: "see why they ended, such as too little memory, then run it again",
        }),
      );
    }
    const opened = this.seal.open(EndSchema, end.text);
    const { label } = this.queue;
    const wrong = (reason: string) =>
      new FailedJob(
        key,
        new QueueError(label, `Cannot take what a worker has told of "${name}": it ${reason}`, {
          hint: "give all workers, and who uses them, the same --queue-key and the same stowage",
        }),
      );
    if ("reason" in opened) throw wrong(opened.reason);
    const { message } = opened;
    if (message.kind === "failed") {
      const failed = message.key ?? key;
      const about = failed === key ? name : failed.slice(failed.indexOf("/") + 1);
      const { worker, error } = message;
      throw new FailedJob(failed, new WorkerError(about, error, { worker }));
    }
    if (message.run !== this.run.run || message.key !== key) throw wrong("is of another job");
    return message;
  }

  #take(text: string): void {
    const opened = this.seal.open(ToldSchema, text);
    if ("reason" in opened || opened.message.run !== this.run.run) return;
    const { worker, events } = opened.message;
    for (const event of events) {
      if (event.type === "worker") this.#deaths.take(event);
      if (event.type === "traffic") this.#traffic.take(worker, event);
      else this.options.emit({ ...event, worker });
    }
  }

  /** Events may be lost where a queue ends and begins again, and jobs too. */
  async #poll(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.options.poll);
        signal.addEventListener("abort", () => {
          clearTimeout(timer);
          resolve();
        }, { once: true });
      });
      // The next time, if the queue is away.
      if (!signal.aborted) await abortable(this.#ask(), signal).catch(() => {});
    }
  }

  async #ask(): Promise<void> {
    const jobs = [...this.#waiting].slice(0, ASKED);
    if (jobs.length === 0) return;
    const { run } = this.run;
    if (await this.queue.read(CHANNEL.runs, run) === undefined) {
      await this.queue.keep(CHANNEL.runs, run, this.seal.close(this.run));
    }
    for (const [id, job] of jobs) {
      const end = await this.queue.endOf(job.route, id);
      if (end === "gone") await this.#add(id, job.route, job.text);
      else if (end) job.end(end);
      if (!this.#waiting.has(id)) continue;
      // Those that were asked for longest ago are next.
      this.#waiting.delete(id);
      this.#waiting.set(id, job);
    }
    for (const route of new Set(jobs.map(([, { route }]) => route))) {
      if (this.#lonely.has(route) || await this.queue.hasWorkers(route)) continue;
      this.#lonely.add(route);
      this.options.emit({
        type: "notice",
        code: "NO_WORKER",
        message: `no worker waits for "${route}" jobs at ${this.queue.label}: start one with ` +
          "`stowage worker`, with the same cache and of the same version",
      });
    }
  }
}
