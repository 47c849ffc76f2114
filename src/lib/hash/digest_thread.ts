import type { DigestRequest, FileDigests } from "./digest_file.ts";
import type { DigestOrder, DigestReply } from "./digest_worker.ts";

const PROGRAM = new URL("./digest_worker.ts", import.meta.url);

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

interface Job {
  readonly onBytes: (count: number) => void;
  readonly settle: PromiseWithResolvers<FileDigests | undefined>;
}

/** A core that hashes files, several by turns. */
export class DigestThread implements Disposable {
  readonly #worker = new Worker(PROGRAM, { type: "module" });
  readonly #jobs = new Map<number, Job>();
  #next = 0;
  #isMissing = false;

  /** Starts it. */
  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<DigestReply>) => {
      const job = this.#jobs.get(data.id);
      if ("bytes" in data) return job?.onBytes(data.bytes);
      this.#jobs.delete(data.id);
      if ("digests" in data) return job?.settle.resolve(data.digests);
      const { message, code } = data.failure;
      job?.settle.reject(Object.assign(new Error(message), { code }));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#isMissing = true;
      for (const { settle } of this.#jobs.values()) settle.resolve(undefined);
    };
  }

  /** How many files it hashes. */
  get load(): number {
    return this.#jobs.size;
  }

  /**
   * Hashes a file.
   *
   * @param request The file.
   * @param isGrowing Whether somebody writes it still.
   * @param onBytes Takes the count of bytes that were read since it was called last.
   * @returns What tells how far the file has grown; and its digests, `undefined` if the thread's
   * program cannot be loaded.
   */
  start(
    request: DigestRequest,
    isGrowing: boolean,
    onBytes: (count: number) => void,
  ): {
    grow(size: number, isWhole: boolean): void;
    readonly digests: Promise<FileDigests | undefined>;
  } {
    const id = this.#next++;
    const settle = Promise.withResolvers<FileDigests | undefined>();
    if (this.#isMissing) settle.resolve(undefined);
    else this.#jobs.set(id, { onBytes, settle });
    const send = (order: DigestOrder) => this.#worker.postMessage(order);
    send({ id, request, isGrowing });
    return {
      grow: (size, isWhole) => send({ id, size, isWhole }),
      digests: settle.promise,
    };
  }

  /** Ends it at once. */
  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
