import { ToolMissingError } from "../../errors/mod.ts";
import type { DigestOptions, DigestRequest, FileDigests } from "./digest_file.ts";
import type { DigestOrder, DigestReply } from "./digest_worker.ts";

/** What a thread runs: beside this file, in a checkout and where stowage is bundled. */
const PROGRAM = new URL(
  `./digest_worker.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`,
  import.meta.url,
);

/**
 * Tells whether threads can be started.
 *
 * @returns Not in an executable that was compiled without the thread's program.
 */
export function hasThreads(): boolean {
  if (!Deno.build.standalone) return true;
  try {
    return Deno.statSync(PROGRAM).isFile;
  } catch {
    return false;
  }
}

/** The thread has died at its work: of one of the files that it hashed. */
export class ThreadDeath extends Error {}

/** The digests; `undefined` where the thread's program cannot be loaded. */
type Found = FileDigests & { readonly needsMemory?: boolean } | undefined;

interface Job {
  readonly size: number;
  readonly onBytes: ((count: number) => void) | undefined;
  readonly settle: PromiseWithResolvers<Found>;
}

/** A core that hashes files, several by turns. */
export class DigestThread implements Disposable {
  readonly #worker: Worker;
  readonly #jobs = new Map<number, Job>();
  #next = 0;
  /** Why it hashes nothing any more. */
  #end: "missing" | "dead" | undefined;
  #isReady = false;

  /**
   * Starts it.
   *
   * @param program What it runs.
   */
  constructor(program: URL = PROGRAM) {
    this.#worker = new Worker(program, { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<DigestReply>) => this.#take(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#end = this.#isReady ? "dead" : "missing";
      for (const id of [...this.#jobs.keys()]) this.#leave(id);
    };
  }

  #take(reply: DigestReply): void {
    if ("isReady" in reply) {
      this.#isReady = true;
      return;
    }
    const job = this.#jobs.get(reply.id);
    if ("bytes" in reply) return job?.onBytes?.(reply.bytes);
    this.#jobs.delete(reply.id);
    if ("digests" in reply) return job?.settle.resolve(reply.digests);
    if ("missing" in reply) return job?.settle.reject(new ToolMissingError(reply.missing));
    const { message, code } = reply.failure;
    job?.settle.reject(Object.assign(new Error(message), { code }));
  }

  #leave(id: number): void {
    const { settle } = this.#jobs.get(id) ?? {};
    this.#jobs.delete(id);
    if (this.#end === "missing") settle?.resolve(undefined);
    else settle?.reject(new ThreadDeath());
  }

  /** How much it has to hash, in bytes. */
  get load(): number {
    return this.#jobs.values().reduce((sum, { size }) => sum + size, 0);
  }

  /** Whether it has died. */
  get isDead(): boolean {
    return this.#end === "dead";
  }

  /**
   * Hashes a file.
   *
   * @param request The file.
   * @param options Cancellation, progress, limits.
   * @param size Its size, or that it will have, in bytes.
   * @returns Its digests; `undefined` if the thread's program cannot be loaded.
   * @throws {ThreadDeath} If the thread dies meanwhile.
   */
  async hash(
    request: DigestRequest,
    { signal, onBytes, growth, memory }: DigestOptions,
    size: number,
  ): Promise<Found> {
    const id = this.#next++;
    const settle = Promise.withResolvers<Found>();
    this.#jobs.set(id, { onBytes, settle, size });
    if (this.#end) this.#leave(id);
    const send = (order: DigestOrder) => this.#worker.postMessage(order);
    const expected = growth && { expected: growth.size };
    send({ id, request, ...expected, ...(memory !== undefined && { memory }) });
    if (growth) this.#follow(id, growth.now, send);
    const leave = () => {
      send({ id, isOver: true });
      this.#leave(id);
    };
    signal?.addEventListener("abort", leave, { once: true });
    try {
      return await settle.promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  /** Tells how far a file has grown, as often as the thread can hear it. */
  async #follow(
    id: number,
    now: NonNullable<DigestOptions["growth"]>["now"],
    send: (order: DigestOrder) => void,
  ): Promise<void> {
    while (this.#jobs.has(id)) {
      const { size, isWhole } = now;
      send({ id, size, isWhole });
      if (isWhole) return;
      await now.changed();
    }
  }

  /** Ends it at once. */
  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
