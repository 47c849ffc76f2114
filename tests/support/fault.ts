import { delay } from "@std/async/delay";

/** What goes wrong with a request. Offsets and sizes are of the body of the answer. */
export type Fault =
  /** The connection is closed before a byte. */
  | "refuse"
  /** The connection is reset before a byte. */
  | "reset"
  /** Nothing is ever answered. */
  | "hang"
  /** The answer begins as it should, then the connection is dropped. */
  | { readonly cutAfter: number }
  /** The lowest bit of this byte is flipped. */
  | { readonly flipBit: number }
  /** `Content-Length` is off by this much; the connection is closed after the body. */
  | { readonly wrongLength: number }
  /** So many bytes a second. */
  | { readonly slow: number }
  /** The registry's answer with another body; the other headers stay. */
  | { readonly body: string | Uint8Array }
  /** This answer; the registry is not asked. */
  | StatusFault;

/** An answer in place of the registry's. */
export interface StatusFault {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * The length that an answer claims to have.
 *
 * @param length The real one.
 * @param fault What goes wrong.
 * @returns What `Content-Length` says.
 */
export function claimedLength(length: number, fault: Fault | undefined): number {
  if (typeof fault !== "object") return length;
  if ("wrongLength" in fault) return length + fault.wrongLength;
  if ("body" in fault) return toBytes(fault.body).length;
  return length;
}

/**
 * Spoils the body of an answer as it passes.
 *
 * @param body The real one.
 * @param fault What goes wrong.
 * @param signal Ends the waiting of a slow answer.
 * @yields What is sent in its place.
 */
export async function* spoil(
  body: AsyncIterable<Uint8Array>,
  fault: Fault | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (typeof fault !== "object") yield* body;
  else if ("body" in fault) yield toBytes(fault.body);
  else if ("cutAfter" in fault) yield* cut(body, fault.cutAfter);
  else if ("flipBit" in fault) yield* flip(body, fault.flipBit);
  else if ("slow" in fault) yield* slow(body, fault.slow, signal);
  else yield* body;
}

async function* cut(body: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let left = size;
  for await (const chunk of body) {
    if (left > 0) yield chunk.subarray(0, left);
    left -= chunk.length;
    if (left <= 0) return;
  }
}

async function* flip(body: AsyncIterable<Uint8Array>, offset: number): AsyncGenerator<Uint8Array> {
  let start = 0;
  for await (const chunk of body) {
    const byte = chunk[offset - start];
    if (byte !== undefined) chunk[offset - start] = byte ^ 1;
    start += chunk.length;
    yield chunk;
  }
}

async function* slow(
  body: AsyncIterable<Uint8Array>,
  bytesPerSecond: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const step = Math.max(1, Math.floor(bytesPerSecond / 20));
  for await (const chunk of body) {
    for (let start = 0; start < chunk.length; start += step) {
      const part = chunk.subarray(start, start + step);
      await delay(1000 * part.length / bytesPerSecond, { signal });
      yield part;
    }
  }
}

function toBytes(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? new TextEncoder().encode(data) : data;
}
