/** `@std/async/abortable` from npm, typed. */
import * as std from "deno-std/async/abortable.js";

interface Abortable {
  <T>(p: Promise<T>, signal: AbortSignal): Promise<T>;
  <T>(p: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T>;
}

export const abortable: Abortable = std.abortable;
