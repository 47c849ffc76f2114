import { type ErrorData, StowageError } from "./base.ts";

/** A stage, or what it reads, failed. */
export class StageError extends StowageError {
  /** The code of this class. */
  override readonly code = "STAGE_FAILED";
  /** Name of the stage or of the input. */
  readonly item: string;
  /** The last lines of the stage's log. */
  readonly log: string;

  /**
   * @internal
   * @param item Name of the stage or of the input.
   * @param message What failed, and why.
   * @param options `kind` (a stage, if absent), `log` (its last lines), `hint` and `cause`.
   */
  constructor(
    item: string,
    message: string,
    options: { kind?: "stage" | "input"; log?: string; hint?: string; cause?: unknown } = {},
  ) {
    const { kind = "stage", log = "" } = options;
    const doing = kind === "stage" ? "run stage" : "read input";
    const quoted = log.trim().split("\n").slice(-8).map((line) => `  | ${line}`).join("\n");
    super(`Cannot ${doing} "${item}": ${message}${log ? `\n${quoted}` : ""}`, options);
    this.item = item;
    this.log = log;
  }
}

/** The run was interrupted, by a signal or by its `AbortSignal`. */
export class InterruptedError extends StowageError {
  /** The code of this class. */
  override readonly code = "INTERRUPTED";

  /**
   * @internal
   * @param cause The reason of the `AbortSignal`.
   */
  constructor(cause?: unknown) {
    super("Interrupted: the store is whole; run it again to go on", { cause });
  }
}

/** The errors of items that failed, by the keys of their nodes, such as `source/app`. */
export type Failures = Readonly<Record<string, StowageError>>;

/** Some items of a run failed; the others are done. */
export class RunError<Result = unknown> extends StowageError {
  /** The code of this class. */
  override readonly code = "RUN_FAILED";
  /** The error of each item that failed, by its key: a source may have the name of a stage. */
  readonly failures: Failures;
  /** What the run has done all the same. */
  readonly result: Result;
  readonly #total: number;

  /**
   * @internal
   * @param failures The error of each item that failed, by its key.
   * @param total How many items there were.
   * @param result What the run has done all the same.
   */
  constructor(failures: Failures, total: number, result: Result) {
    const messages = Object.values(failures).map(({ message }) => message);
    super([summarize(failures, total), ...messages].join("\n"));
    this.failures = failures;
    this.result = result;
    this.#total = total;
  }

  /**
   * The message without those of the failures.
   *
   * @returns How many items failed, and of how many.
   */
  get summary(): string {
    return summarize(this.failures, this.#total);
  }

  /**
   * The error as plain data, for `--json`.
   *
   * @returns Code, message and failures; the result is told beside the error.
   */
  override toJSON(): ErrorData {
    const { result: _result, ...data } = super.toJSON();
    return data;
  }
}

function summarize(failures: Failures, total: number): string {
  return `Cannot finish: ${Object.keys(failures).length} of ${total} failed`;
}

/**
 * Ends a run of which something failed.
 *
 * @param failures The error of each item that failed, by its key.
 * @param total How many items there were.
 * @param result What the run has done all the same.
 * @throws {RunError} If there is a failure.
 */
export function throwIfFailed(failures: Failures, total: number, result: unknown): void {
  if (Object.keys(failures).length > 0) throw new RunError(failures, total, result);
}
