import pLimit from "p-limit";
import { InterruptedError } from "../../errors/mod.ts";
import { digestFile, type DigestRequest, type FileDigests } from "./digest_file.ts";
import { DigestThread, hasThreads } from "./digest_thread.ts";
import { Growth } from "../fs/file_progress.ts";

/** A file is hashed sooner than a thread is started that is smaller than this, in bytes. */
const SMALL = 4 * 2 ** 20;

/** A file that is hashed while somebody writes it. */
export interface FollowedFile {
  /**
   * Tells that it has grown.
   *
   * @param size Its size, in bytes.
   */
  grow(size: number): void;
  /**
   * Tells that it is whole, or is left as it is.
   *
   * @returns Its digests.
   * @throws {InterruptedError} If the signal was aborted.
   */
  end(): Promise<FileDigests>;
}

/** Hashes files side by side, on all cores. */
export class DigestPool implements Disposable {
  readonly #limit;
  readonly #hasThreads = hasThreads();
  readonly #threads: DigestThread[] = [];
  readonly #aborted = Promise.withResolvers<never>();
  readonly #stop = () => this.#aborted.reject(new InterruptedError(this.signal.reason));

  /**
   * Takes what it works with; nothing is started yet.
   *
   * @param signal Ends the work.
   * @param cores How many files are hashed side by side; as this machine has cores if absent.
   */
  constructor(
    private readonly signal: AbortSignal,
    private readonly cores: number = navigator.hardwareConcurrency,
  ) {
    this.#limit = pLimit(cores);
    this.#aborted.promise.catch(() => {});
    signal.addEventListener("abort", this.#stop, { once: true });
  }

  /**
   * Hashes a file, as {@linkcode digestFile} does.
   *
   * @param request The file.
   * @param onBytes Takes the count of bytes that were read since it was called last.
   * @returns Its digests.
   * @throws {InterruptedError} If the signal was aborted.
   */
  async digest(request: DigestRequest, onBytes: (count: number) => void): Promise<FileDigests> {
    return await this.#limit(async () => {
      if (this.signal.aborted) throw new InterruptedError(this.signal.reason);
      const here = () => digestFile(request, { signal: this.signal, onBytes });
      if (!this.#hasThreads) return await here();
      const { digests } = this.#thread().start(request, false, onBytes);
      return await Promise.race([this.#aborted.promise, digests]) ?? await here();
    });
  }

  /**
   * Begins to hash a file that is being written. One that will be small is not worth a thread.
   *
   * @param request The file.
   * @param expected The size that it will have, in bytes.
   * @returns Takes how far it is.
   */
  follow(request: DigestRequest, expected: number): FollowedFile {
    const growth = new Growth();
    const isWorthIt = this.#hasThreads && expected >= SMALL;
    const job = isWorthIt ? this.#thread().start(request, true, () => {}) : undefined;
    const here = () => digestFile(request, { signal: this.signal, growth });
    const all = job ? job.digests.then((found) => found ?? here()) : here();
    all.catch(() => {});
    let size = 0;
    const tell = (isWhole: boolean) => {
      growth.grow(size, isWhole);
      job?.grow(size, isWhole);
    };
    return {
      grow: (now) => {
        size = now;
        tell(false);
      },
      end: () => {
        tell(true);
        return Promise.race([this.#aborted.promise, all]);
      },
    };
  }

  #thread(): DigestThread {
    const [idlest] = this.#threads.toSorted((a, b) => a.load - b.load);
    if (idlest && (idlest.load === 0 || this.#threads.length >= this.cores)) return idlest;
    const thread = new DigestThread();
    this.#threads.push(thread);
    return thread;
  }

  /** Ends its threads. */
  [Symbol.dispose](): void {
    this.signal.removeEventListener("abort", this.#stop);
    for (const thread of this.#threads.splice(0)) thread[Symbol.dispose]();
  }
}
