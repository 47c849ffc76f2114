/** `@std/async/deadline` from npm, typed. */
import * as std from "deno-std/async/deadline.js";

export interface DeadlineOptions {
  signal?: AbortSignal;
}

export const deadline: <T>(p: Promise<T>, ms: number, options?: DeadlineOptions) => Promise<T> =
  std.deadline;
