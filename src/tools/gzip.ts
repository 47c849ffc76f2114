import { mustRun } from "./process.ts";

/** How gzip compresses. */
export interface GzipOptions {
  /** How hard it tries, from 1 to 9. */
  readonly level: number;
  /** How many blocks at a time; one a core, at most 8, if absent. */
  readonly atOnce?: number;
  /** Ends the work. */
  readonly signal?: AbortSignal | undefined;
}

/** What compresses. */
export interface Gzip {
  /** Takes what goes in; a chunk counts until its write is done. */
  readonly stream: WritableStream<Uint8Array>;
  /** Waits until no program runs any more, whatever has gone wrong. */
  settled(): Promise<void>;
}

/** What is compressed by itself, in bytes. It decides what comes out, so that it is always this. */
const BLOCK = 4 * 2 ** 20;
/** Each takes the memory of a block and of what comes of it. */
const MOST_AT_ONCE = 8;

/**
 * Compresses with the program `gzip`, blocks of 4 MiB side by side. Each is a member of its own: a gzip
 * file is any number of them, and unpacks to all of them, as RFC 1952 has it in 2.2, Go's
 * `compress/gzip`, zlib's `gunzip` and GNU gzip do, and images in eStargz need. What comes out
 * depends on the bytes, the level and the program, and not on how many cores there are.
 *
 * @param to Takes what comes out; it is closed then, or aborted with what went wrong.
 * @param options How gzip compresses.
 * @returns What compresses.
 */
export function gzipInBlocks(
  to: WritableStream<Uint8Array>,
  { level, atOnce = Math.min(navigator.hardwareConcurrency, MOST_AT_ONCE), signal }: GzipOptions,
): Gzip {
  const writer = to.getWriter();
  const stop = new AbortController();
  const either = AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]);
  const free: Uint8Array<ArrayBuffer>[] = [];
  const written: Promise<void>[] = [];
  const running = new Set<Promise<unknown>>();
  let last: Promise<unknown> = Promise.resolve();
  let block = new Uint8Array(BLOCK);
  let size = 0;
  const fail = (error: unknown) => {
    stop.abort(error);
    writer.abort(error).catch(() => {});
  };
  const pack = () => {
    const full = block;
    const packed = mustRun("gzip", ["--no-name", `-${level}`, "--stdout"], {
      stdin: ReadableStream.from([full.subarray(0, size)]),
      signal: either,
      maxOutput: 2 * BLOCK,
      isBare: true,
    });
    running.add(packed);
    packed.finally(() => running.delete(packed)).catch(() => {}); // told by `own`
    const own = Promise.all([packed, last]).then(async ([{ stdout }]) => {
      free.push(full);
      await writer.write(stdout);
    });
    own.catch(fail); // told where the next one is begun
    last = own;
    written.push(own);
  };
  const stream = new WritableStream<Uint8Array>({
    async write(chunk) {
      for (let done = 0; done < chunk.length;) {
        if (size === BLOCK) {
          pack();
          if (written.length >= atOnce) await written.shift();
          block = free.pop() ?? new Uint8Array(BLOCK);
          size = 0;
        }
        const part = chunk.subarray(done, done + BLOCK - size);
        block.set(part, size);
        size += part.length;
        done += part.length;
      }
    },
    async close() {
      pack();
      await last;
      await writer.close();
    },
    abort: fail,
  });
  return {
    stream,
    async settled() {
      await Promise.allSettled(running);
    },
  };
}
