/** `@std/async/{abortable,deadline,delay,pool,retry}` from npm, typed. */
import * as abortables from "deno-std/async/abortable.js";
import * as deadlines from "deno-std/async/deadline.js";
import * as delays from "deno-std/async/delay.js";
import * as pools from "deno-std/async/pool.js";
import * as retries from "deno-std/async/retry.js";

export interface DeadlineOptions {
  signal?: AbortSignal;
}

export interface DelayOptions {
  signal?: AbortSignal;
  persistent?: boolean;
}

export interface RetryOptions {
  multiplier?: number;
  maxTimeout?: number;
  maxAttempts?: number;
  minTimeout?: number;
  jitter?: number;
  isRetriable?: (err: unknown) => boolean;
  signal?: AbortSignal;
}

interface Abortable {
  <T>(p: Promise<T>, signal: AbortSignal): Promise<T>;
  <T>(p: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T>;
}

export const abortable: Abortable = abortables.abortable;
export const deadline: <T>(p: Promise<T>, ms: number, options?: DeadlineOptions) => Promise<T> =
  deadlines.deadline;
export const delay: (ms: number, options?: DelayOptions) => Promise<void> = delays.delay;
export const pooledMap: <T, R>(
  poolLimit: number,
  array: Iterable<T> | AsyncIterable<T>,
  iteratorFn: (data: T) => Promise<R>,
) => AsyncIterableIterator<R> = pools.pooledMap;
export const retry: <T>(
  fn: (() => Promise<T>) | (() => T),
  options?: RetryOptions,
) => Promise<T> = retries.retry;
export const RetryError: new (cause: unknown, attempts: number) => Error = retries.RetryError;
