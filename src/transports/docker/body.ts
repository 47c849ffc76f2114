import pLimit from "p-limit";
import { InterruptedError } from "../../errors/mod.ts";
import { Pace, type Patience } from "../../lib/async/pace.ts";
import { RegistryError, Unserved } from "./errors.ts";

/** What a body is read with. */
export interface BodyOptions {
  /** Who sends it, as a person is told. */
  readonly from: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** How slow it may be. */
  readonly patience: Patience;
}

/**
 * Watches the body of an answer. Only the waiting for bytes counts as a stall, not that the reader
 * takes its time.
 *
 * @param response The answer.
 * @param options Who sends it, what ends it, how slow it may be.
 * @returns Its bytes; it errors with {@linkcode RegistryError} where it is cut or stalls, and with
 * `InterruptedError` where the signal is aborted.
 */
export function watchBody(
  response: Pick<Response, "body">,
  { from, signal, patience }: BodyOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader({ mode: "byob" });
  const pace = new Pace(patience);
  let received = 0;
  return bytesOf(async (view) => {
    let hasStalled = false;
    let isTooSlow = false;
    const giveUp = () => reader?.cancel().catch(() => {});
    const timer = setTimeout(() => {
      hasStalled = true;
      giveUp();
    }, patience.stallTimeout);
    const begin = performance.now();
    try {
      const { value } = await reader?.read(view) ?? {};
      if (signal.aborted || hasStalled) throw new Error("it was ended");
      if (!value?.length) return value;
      received += value.length;
      isTooSlow = pace.isTooSlow(value.length, performance.now() - begin);
      if (!isTooSlow) return value;
      giveUp();
      throw new Error("it is too slow");
    } catch {
      if (signal.aborted) throw new InterruptedError(signal.reason);
      if (hasStalled) throw stalled(from, patience);
      if (isTooSlow) {
        throw stalled(from, patience, true, `fewer than ${patience.minRate} bytes a second`);
      }
      const message = `the connection to ${from} was lost after ${received} bytes`;
      throw new RegistryError("unreachable", message, { isTransient: true });
    } finally {
      clearTimeout(timer);
    }
  }, async (reason) => await reader?.cancel(reason).catch(() => {}));
}

/**
 * Tells when a stream has ended, however it does.
 *
 * @param stream The stream.
 * @param onEnd Called once: when it is at its end, has failed or was cancelled.
 * @returns The same bytes.
 */
export function notifyEnd(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onEnd: () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader({ mode: "byob" });
  reader.closed.then(onEnd, onEnd);
  return bytesOf(
    async (view) => (await reader.read(view)).value,
    (reason) => reader.cancel(reason),
  );
}

/** What is read at a time where the reader has no memory of its own for it, in bytes. */
const CHUNK = 64 * 1024;

/** A stream that is read into the reader's own memory, so that none is left behind. */
function bytesOf(
  read: (view: Uint8Array<ArrayBuffer>) => Promise<Uint8Array<ArrayBuffer> | undefined>,
  cancel: (reason: unknown) => Promise<void>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    type: "bytes",
    autoAllocateChunkSize: CHUNK,
    async pull(controller) {
      const request = controller.byobRequest;
      const { buffer, byteOffset, byteLength } = request?.view ?? new Uint8Array(0);
      if (!(buffer instanceof ArrayBuffer)) throw new TypeError("Cannot read into shared memory");
      const value = await read(new Uint8Array(buffer, byteOffset, byteLength));
      if (!value?.length) controller.close();
      // Its memory has gone along with the view, even where there was nothing to read.
      if (value) request?.respondWithNewView(value);
      else request?.respond(0);
    },
    cancel,
  });
}

/**
 * Makes the error of a host that says nothing, or too little.
 *
 * @param from The host, as a person is told.
 * @param patience How long it was waited for.
 * @param isTransient Whether it may be asked again.
 * @param what How much has arrived.
 * @returns The error.
 */
export function stalled(
  from: string,
  { stallTimeout }: Pick<Patience, "stallTimeout">,
  isTransient = true,
  what: string = "nothing",
): RegistryError {
  const seconds = Math.round(stallTimeout / 1000);
  const message = `${what} arrived from ${from} for ${seconds} s`;
  return new RegistryError("stalled", message, { isTransient });
}

/** Of answers that have more, in bytes, few are read at a time: whoever sends many gets no more memory. */
const LARGE = 256 * 1024;
const large = pLimit(2);

/**
 * Reads a body that must not be long.
 *
 * @param body The body.
 * @param limit How many bytes it may have.
 * @param what What it is, for the message.
 * @returns Its bytes.
 * @throws {Unserved} If it has more.
 * @throws {RegistryError} If it is cut or stalls.
 */
export async function readAtMost(
  body: ReadableStream<Uint8Array>,
  limit: number,
  what: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const readBeyond = async (count: number): Promise<boolean> => {
    while (size <= count) {
      const { value } = await reader.read();
      if (!value) return false;
      size += value.length;
      chunks.push(value);
    }
    return true;
  };
  if (!await readBeyond(Math.min(LARGE, limit))) return joined(chunks, size);
  return await large(async () => {
    if (!await readBeyond(limit)) return joined(chunks, size);
    await reader.cancel().catch(() => {});
    throw new Unserved(`${what} has more than ${limit} bytes`);
  });
}

/** There may be as many as bytes. */
function joined(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
