/** An error as `--json` prints it. */
export interface ErrorData {
  /** Tells errors apart. */
  readonly code: ErrorCode;
  /** What failed, on which item, and why. */
  readonly message: string;
  /** What to do next. */
  readonly hint?: string | undefined;
  /** What else the error's class knows. */
  readonly [field: string]: unknown;
}

/** The codes of all errors. */
export type ErrorCode =
  | "BUNDLE_DAMAGED"
  | "BUNDLE_INCOMPLETE"
  | "BUNDLE_UNSIGNED"
  | "CONFIG_FILE"
  | "CONFIG_INVALID"
  | "CONTENT_MISMATCH"
  | "FETCH_FAILED"
  | "IMPORT_FAILED"
  | "INTERRUPTED"
  | "LOCK_INVALID"
  | "LOCK_MISSING"
  | "LOCK_STALE"
  | "PLATFORM_NOT_OFFERED"
  | "POLICY_REJECTED"
  | "PUSH_FAILED"
  | "QUEUE_FAILED"
  | "RUN_FAILED"
  | "STAGE_FAILED"
  | "STORE_BUSY"
  | "STORE_FAILED"
  | "STORE_FULL"
  | "STORE_READ_ONLY"
  | "SYSTEM_FAILED"
  | "TOOL_FAILED"
  | "TOOL_MISSING"
  | "UNEXPECTED"
  | "USAGE"
  | "WORKER_LOST";

/** What every error of stowage has. */
export abstract class StowageError extends Error {
  /** Tells errors apart; scripts may rely on it. */
  abstract readonly code: ErrorCode;
  /** What to do next. */
  readonly hint?: string;

  /**
   * @internal
   * @param message What failed, on which item, and why.
   * @param options `hint` (what to do next) and `cause`.
   */
  constructor(message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    if (options.hint !== undefined) this.hint = options.hint;
  }

  /**
   * The error as plain data, for `--json`.
   *
   * @returns Code, message, hint, and the fields of the error's class.
   */
  toJSON(): ErrorData {
    const { name: _name, cause: _cause, ...fields } = { ...this };
    return { ...fields, code: this.code, message: this.message };
  }
}

/**
 * Keeps text of others within a line of a message, so that it passes for nothing else.
 *
 * @param text Any text.
 * @returns The text, with line breaks written as in JSON.
 */
export function oneLine(text: string): string {
  return text.replaceAll("\n", "\\n");
}
