import { StowageError } from "./base.ts";
import type { AttemptReason } from "./source_errors.ts";

/** A registry did not take what was pushed to it. */
export class PushError extends StowageError {
  /** The code of this class. */
  override readonly code = "PUSH_FAILED";
  /** Name of the source. */
  readonly item: string;
  /** The name that it was pushed to. */
  readonly target: string;
  /** Why not, in a word. */
  readonly reason: AttemptReason | "refused";

  /**
   * Makes the error.
   *
   * @param item Name of the source.
   * @param target The name that it was pushed to.
   * @param message Why not, in words.
   * @param options `reason` (why not, in a word; the registry refused it, if absent), `hint`,
   * `cause`, and `isPrune` (something was to be deleted there).
   */
  constructor(
    item: string,
    target: string,
    message: string,
    options: {
      reason?: AttemptReason;
      hint?: string | undefined;
      cause?: unknown;
      isPrune?: boolean;
    } = {},
  ) {
    const what = options.isPrune ? `prune ${target}` : `push "${item}" to ${target}`;
    super(`Cannot ${what}: ${message}`, options);
    this.item = item;
    this.target = target;
    this.reason = options.reason ?? "refused";
  }
}
