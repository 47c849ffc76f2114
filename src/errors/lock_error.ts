import { oneLine, StowageError } from "./base.ts";

/** A source and what is wrong with its lock. */
export interface LockProblem {
  /** Name of the source. */
  readonly name: string;
  /** What is wrong. */
  readonly reason: string;
}

/** The lock is missing, stale, or no lock at all. */
export class LockError extends StowageError {
  /** `LOCK_MISSING` (something is not locked), `LOCK_STALE` (or not as locked), `LOCK_INVALID`. */
  override readonly code: "LOCK_INVALID" | "LOCK_MISSING" | "LOCK_STALE";
  /** The sources that it is about. */
  readonly problems: readonly LockProblem[];

  /**
   * @internal
   * @param code What kind of failure it is.
   * @param message What failed.
   * @param problems The sources that it is about.
   * @param options `hint` and `cause`.
   */
  constructor(
    code: LockError["code"],
    message: string,
    problems: readonly LockProblem[] = [],
    options: { hint?: string; cause?: unknown } = {},
  ) {
    const lines = problems.map(({ name, reason }) => `\n  ${oneLine(name)}: ${oneLine(reason)}`);
    super(`${message}${lines.join("")}`, options);
    this.code = code;
    this.problems = problems;
  }
}
