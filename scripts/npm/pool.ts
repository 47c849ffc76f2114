/** `@std/async/pool` from npm, typed. */
import * as std from "deno-std/async/pool.js";

export const pooledMap: <T, R>(
  poolLimit: number,
  array: Iterable<T> | AsyncIterable<T>,
  iteratorFn: (data: T) => Promise<R>,
) => AsyncIterableIterator<R> = std.pooledMap;
