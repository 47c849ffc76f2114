import { retry } from "@std/async/retry";
import { InterruptedError } from "../errors/mod.ts";
import { type ItemName, nameOf } from "../events.ts";
import type { Run } from "../run.ts";
import type { PlaceError } from "../transports/absence.ts";

/** What is tried. */
export interface Tried<Failure extends PlaceError> {
  /** The item that it is for. */
  readonly item: ItemName;
  /** The place that it is about, as a person reads it. */
  readonly from: string;
  /** Failures of this class are tried again where they may pass by themselves. */
  readonly failure: abstract new (...args: never[]) => Failure;
}

/**
 * Does something that may fail by what passes by itself, as often as the run allows.
 *
 * @param tried What it is.
 * @param run How often and for how long, and who is told.
 * @param action Does it.
 * @returns What the action returns.
 * @throws {PlaceError} What the last try has failed by.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function withRetry<Value, Failure extends PlaceError>(
  { item, from, failure }: Tried<Failure>,
  { retry: { attempts, delay }, signal, emit }: Pick<Run, "retry" | "signal" | "emit">,
  action: () => Promise<Value>,
): Promise<Value> {
  let attempt = 0;
  let reason = "";
  try {
    return await retry(async () => {
      if (++attempt > 1) {
        emit({ type: "retry", ...nameOf(item), from, attempt, attempts, reason });
      }
      try {
        return await action();
      } catch (error) {
        if (error instanceof Error) reason = error.message;
        throw error;
      }
    }, {
      maxAttempts: attempts,
      minTimeout: delay,
      maxTimeout: Math.max(delay, 30_000),
      isRetriable: (error) => error instanceof failure && error.isTransient,
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw new InterruptedError(signal.reason);
    // RetryError only says that there were enough tries; its cause says why they failed.
    throw error instanceof Error && error.cause instanceof failure ? error.cause : error;
  }
}
