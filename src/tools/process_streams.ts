/** What takes the output of a program; a chunk counts until it is taken. */
interface Sink {
  write(chunk: Uint8Array): void | Promise<void>;
}

/** How long a pipe is waited for after the program's end that another one keeps open, in ms. */
const LINGER_MS = 100;
/** How much is read at a time, in bytes. */
const CHUNK = 64 * 1024;
/** How much may be in it, in bytes: fs.pipe-max-size, unless root has set more. */
const PIPE_SIZE = 2 ** 20;

/** Does something every now and then once a program has ended. */
function linger(ended: AbortSignal, action: () => void): Disposable {
  let timer: ReturnType<typeof setInterval> | undefined;
  const begin = () => timer = setInterval(action, LINGER_MS);
  ended.addEventListener("abort", begin);
  return {
    [Symbol.dispose]: () => {
      ended.removeEventListener("abort", begin);
      clearInterval(timer);
    },
  };
}

/**
 * Takes what a program says, but for what others say who still have its pipe when it has ended.
 *
 * @param pipe What it says.
 * @param sink Takes it.
 * @param ended Aborted when the program has ended.
 */
export async function drain(
  pipe: ReadableStream<Uint8Array<ArrayBuffer>>,
  sink: Sink,
  ended: AbortSignal,
): Promise<void> {
  const reader = pipe.getReader({ mode: "byob" });
  let waits = 0;
  using _ = linger(ended, () => waits++ > 0 && reader.cancel().catch(() => {}));
  let buffer = new ArrayBuffer(CHUNK);
  for (let left = PIPE_SIZE; left > 0;) {
    waits = 0;
    const { value } = await reader.read(new Uint8Array(buffer));
    if (!value?.length) break;
    waits = -Infinity; // it is the sink that takes its time
    await sink.write(value);
    if (ended.aborted) left -= value.length;
    // One for all: what is left to the collector is not collected before there is much of it.
    ({ buffer } = value);
  }
  await reader.cancel();
}

/** Keeps the head or the tail of a stream, and never much more than its limit. */
export class Collector implements Sink {
  /** Whether there was more. */
  isCut = false;
  #chunks: Uint8Array[] = [];
  #size = 0;

  constructor(
    private readonly limit: number,
    private readonly end: "head" | "tail",
    private readonly onCut?: () => void,
  ) {}

  write(chunk: Uint8Array): void {
    if (this.isCut && this.end === "head") return;
    const part = this.end === "head" ? chunk.slice() : chunk.slice(-this.limit);
    this.#chunks.push(part);
    this.#size += part.length;
    if (this.#size <= this.limit) return;
    this.isCut = true;
    this.onCut?.();
    if (this.end === "head") return;
    this.#chunks = [this.bytes().slice(-this.limit)];
    this.#size = this.limit;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#size);
    let offset = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, offset);
      offset += chunk.length;
    }
    return bytes;
  }

  text(): string {
    return new TextDecoder().decode(this.bytes()).trim();
  }
}

/** Why a stream failed, as that may be anything, `undefined` included. */
interface Failure {
  readonly reason: unknown;
}

/** What a program reads; it need not read all of it. */
export class Inlet {
  failure: Failure | undefined;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #isWriting = false;

  constructor(source: ReadableStream<Uint8Array>) {
    this.#reader = source.getReader();
  }

  async feed(pipe: WritableStream<Uint8Array>, ended: AbortSignal): Promise<void> {
    const over = Promise.withResolvers<void>();
    const writer = pipe.getWriter();
    ended.addEventListener("abort", () => {
      writer.abort().catch(() => {});
      if (!this.#isWriting) over.resolve();
    });
    using _ = linger(ended, over.resolve);
    await Promise.race([this.#pass(writer), over.promise]);
  }

  async #pass(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    try {
      for (let next = await this.#next(); next; next = await this.#next()) {
        this.#isWriting = true;
        await writer.write(next);
        this.#isWriting = false;
      }
      await writer.close();
    } catch (reason) {
      await writer.abort(reason).catch(() => {});
    }
  }

  async #next(): Promise<Uint8Array | undefined> {
    try {
      return (await this.#reader.read()).value;
    } catch (reason) {
      this.failure ??= { reason };
      throw reason;
    }
  }

  async end(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason).catch(() => {});
  }
}

/** Where a program writes; when that fails the rest is dropped, for the program to end. */
export class Outlet implements Sink {
  failure: Failure | undefined;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #onFailure: () => void;
  /** Goes on without the write that is under way. */
  #goOn = () => {};

  constructor(target: WritableStream<Uint8Array>, onFailure: () => void) {
    this.#writer = target.getWriter();
    this.#onFailure = onFailure;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.failure) return;
    await new Promise<void>((resolve) => {
      this.#goOn = resolve;
      this.#writer.write(chunk).then(resolve, (reason) => this.fail(reason));
    });
  }

  fail(reason: unknown): void {
    if (this.failure) return;
    this.failure = { reason };
    this.#onFailure();
    this.#writer.abort(reason).catch(() => {});
    this.#goOn();
  }

  async end(error: unknown): Promise<void> {
    if (error === undefined) await this.#writer.close();
    else this.fail(error);
  }
}

/**
 * Joins what is written by one and read by another, and keeps nothing in between: a part that was
 * written counts until the reader asks for the next one.
 *
 * @returns Both ends.
 */
export function joint(): {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
} {
  const ask = () => {
    const next = Promise.withResolvers<void>();
    next.promise.catch(() => {}); // the writer is told
    return next;
  };
  let asked = ask();
  let isLeft = false;
  const { promise: started, resolve: start } = Promise.withResolvers<
    ReadableStreamDefaultController<Uint8Array>
  >();
  const readable = new ReadableStream<Uint8Array>({
    start,
    pull: () => asked.resolve(),
    cancel: (reason) => {
      isLeft = true;
      asked.reject(reason);
    },
  }, { highWaterMark: 0 });
  const writable = new WritableStream<Uint8Array>({
    write: async (chunk) => {
      await asked.promise;
      asked = ask();
      (await started).enqueue(chunk);
      await asked.promise;
    },
    // All was taken: a tar ends where its archive does, and may do so before who writes it.
    close: async () => {
      if (!isLeft) (await started).close();
    },
    abort: async (reason) => (await started).error(reason),
  });
  return { readable, writable };
}
