import pLimit from "p-limit";
import { InterruptedError } from "../../errors/mod.ts";
import { FileProgress } from "../../lib/fs/file_progress.ts";
import {
  digestFile,
  type DigestOptions,
  type DigestRequest,
  type FileDigests,
  MUCH,
} from "./digest_file.ts";
import { DigestThread, hasThreads, ThreadDeath } from "./digest_thread.ts";

/** What is smaller than this is hashed sooner than a thread is started, in bytes. */
const SMALL = 4 * 2 ** 20;

/** What needs much memory to be unpacked has its turn: one at a time, in all of the process. */
const heavy = pLimit(1);
/** The same for what has a thread of its own, as another has died. */
const alone = pLimit(1);

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
   * @throws {ToolMissingError} If there is no program that unpacks it.
   * @throws {InterruptedError} If the signal was aborted.
   */
  end(): Promise<FileDigests>;
}

/**
 * Hashes files side by side. What is unpacked is so in threads, which start programs for some of it:
 * if one dies of a file, that is the answer.
 */
export class DigestPool implements Disposable {
  readonly #limit;
  readonly #hasThreads = hasThreads();
  #threads: DigestThread[] = [];

  /**
   * Starts nothing yet.
   *
   * @param signal Ends the work.
   * @param cores How many threads there are, and how many whole files are hashed side by side.
   * @param makeThread Starts a thread.
   */
  constructor(
    readonly signal: AbortSignal,
    private readonly cores: number,
    private readonly makeThread: () => DigestThread = () => new DigestThread(),
  ) {
    this.#limit = pLimit(cores);
  }

  /**
   * Hashes a file.
   *
   * @param request The file.
   * @param onBytes Takes the count of bytes that were read since it was called last.
   * @returns Its digests.
   * @throws {ToolMissingError} If there is no program that unpacks it.
   * @throws {InterruptedError} If the signal was aborted.
   */
  async digest(
    request: DigestRequest,
    onBytes: (count: number) => void = () => {},
  ): Promise<FileDigests> {
    return await this.#limit(async () => {
      const { size } = request.range
        ? { size: request.range.length }
        : await Deno.lstat(request.path);
      return await this.#hash(request, { onBytes }, size);
    });
  }

  /**
   * Begins to hash a file that is being written.
   *
   * @param request The file.
   * @param size The size that it will have, in bytes.
   * @returns Takes how far it is.
   */
  follow(request: DigestRequest, size: number): FollowedFile {
    const now = new FileProgress();
    const all = this.#hash(request, { growth: { now, size } }, size);
    all.catch(() => {});
    let last = 0;
    return {
      grow: (size) => now.grow(last = size),
      end: () => {
        now.grow(last, true);
        return all;
      },
    };
  }

  async #hash(request: DigestRequest, options: DigestOptions, size: number): Promise<FileDigests> {
    const isHere = !this.#hasThreads || (!request.unpack && size < SMALL);
    const hash = (options: DigestOptions) =>
      isHere ? digestFile(request, options) : this.#apart(request, options, size);
    const { signal } = this;
    const { needsMemory, ...found } = await hash({ ...options, signal });
    if (!needsMemory) return found;
    const { needsMemory: _, ...again } = await heavy(() => hash({ signal, memory: MUCH }));
    return again;
  }

  async #apart(
    request: DigestRequest,
    options: DigestOptions,
    size: number,
  ): ReturnType<typeof digestFile> {
    try {
      return await this.#in(this.#idlest(), request, options, size);
    } catch (error) {
      if (!(error instanceof ThreadDeath)) throw error;
    }
    // Of several files that a thread dies with, one may be to blame.
    const { growth, ...rest } = options;
    await growth?.now.whole();
    return await alone(async () => {
      using thread = this.makeThread();
      try {
        return await this.#in(thread, request, rest, size);
      } catch (error) {
        if (!(error instanceof ThreadDeath)) throw error;
        const { digest } = await digestFile({ ...request, unpack: false }, rest);
        return { digest, fault: "what unpacks it dies of it" };
      }
    });
  }

  async #in(
    thread: DigestThread,
    request: DigestRequest,
    options: DigestOptions,
    size: number,
  ): ReturnType<typeof digestFile> {
    if (this.signal.aborted) throw new InterruptedError(this.signal.reason);
    try {
      return await thread.hash(request, options, size) ?? await digestFile(request, options);
    } catch (error) {
      throw this.signal.aborted ? new InterruptedError(this.signal.reason) : error;
    }
  }

  #idlest(): DigestThread {
    for (const dead of this.#threads.filter(({ isDead }) => isDead)) dead[Symbol.dispose]();
    this.#threads = this.#threads.filter(({ isDead }) => !isDead);
    const [idlest] = this.#threads.toSorted((a, b) => a.load - b.load);
    if (idlest && (idlest.load < SMALL || this.#threads.length >= this.cores)) return idlest;
    const thread = this.makeThread();
    this.#threads.push(thread);
    return thread;
  }

  /** Ends its threads. */
  [Symbol.dispose](): void {
    for (const thread of this.#threads.splice(0)) thread[Symbol.dispose]();
  }
}
