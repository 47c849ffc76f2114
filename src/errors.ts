/** One mistake in a config. */
export interface ConfigIssue {
  /** Where it is, such as `sources.proxy.digest`. */
  readonly path: string;
  /** The value that is wrong; absent where one is missing. */
  readonly value?: unknown;
  /** What would have been right. */
  readonly expected: string;
  /** The nearest right name, where one is near. */
  readonly suggestion?: string;
}

/** Why an image could not be had from one place. */
export type AttemptReason =
  | "unreachable"
  | "unknown"
  | "denied"
  | "rate-limited"
  | "stalled"
  | "offline";

/** One place that an image could not be had from. */
export interface Attempt {
  /** The transport, such as `docker`. */
  readonly transport: string;
  /** The place as skopeo was told it, such as `docker://quay.io/acme/app:1.4`. */
  readonly reference: string;
  /** Why not, in a word. */
  readonly reason: AttemptReason;
  /** Why not, in the tool's words. */
  readonly message: string;
}

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
  | "CONFIG_FILE"
  | "CONFIG_INVALID"
  | "CONTENT_MISMATCH"
  | "FETCH_FAILED"
  | "INTERRUPTED"
  | "LOCK_INVALID"
  | "LOCK_MISSING"
  | "LOCK_STALE"
  | "PLATFORM_NOT_OFFERED"
  | "POLICY_REJECTED"
  | "RUN_FAILED"
  | "STAGE_FAILED"
  | "STORE_FAILED"
  | "STORE_FULL"
  | "STORE_READ_ONLY"
  | "TOOL_FAILED"
  | "TOOL_MISSING"
  | "USAGE";

/** What every error of stowage has. */
export abstract class StowageError extends Error {
  /** Tells errors apart; scripts may rely on it. */
  abstract readonly code: ErrorCode;
  /** What to do next. */
  readonly hint?: string;

  /**
   * Makes the error.
   *
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

/** The config says what cannot be. */
export class ConfigError extends StowageError {
  /** The code of this class. */
  override readonly code = "CONFIG_INVALID";
  /** Every mistake, in the order of the config. */
  readonly issues: readonly ConfigIssue[];

  /**
   * Makes the error.
   *
   * @param issues Every mistake.
   */
  constructor(issues: readonly ConfigIssue[]) {
    const count = issues.length === 1 ? "1 mistake" : `${issues.length} mistakes`;
    super(`Cannot use the config: ${count}\n${issues.map(formatIssue).join("\n")}`);
    this.issues = issues;
  }
}

function formatIssue({ path, value, expected, suggestion }: ConfigIssue): string {
  const received = value === undefined ? "it is missing" : `it is ${preview(value)}`;
  const nearest = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
  return `  ${path || "(config)"}: expected ${expected}, ${received}${nearest}`;
}

function preview(value: unknown): string {
  if (typeof value === "function") return "a function";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** The file of the config cannot be found or loaded. */
export class ConfigFileError extends StowageError {
  /** The code of this class. */
  override readonly code = "CONFIG_FILE";
}

/** The command line or an option is wrong. */
export class UsageError extends StowageError {
  /** The code of this class. */
  override readonly code = "USAGE";
}

/** What arrived is not what was asked for; no other place is tried. */
export class ContentError extends StowageError {
  /** The code of this class. */
  override readonly code = "CONTENT_MISMATCH";
  /** Name of the source. */
  readonly item: string;
  /** What was asked for, such as a digest. */
  readonly expected?: string;
  /** What arrived. */
  readonly actual?: string;

  /**
   * Makes the error.
   *
   * @param item Name of the source.
   * @param message What is wrong with what arrived.
   * @param options What was `expected`, what is `actual`, `hint` and `cause`.
   */
  constructor(
    item: string,
    message: string,
    options: { expected?: string; actual?: string; hint?: string; cause?: unknown } = {},
  ) {
    super(`Cannot accept "${item}": ${message}`, options);
    this.item = item;
    if (options.expected !== undefined) this.expected = options.expected;
    if (options.actual !== undefined) this.actual = options.actual;
  }
}

/** An image cannot be had from any of its places. */
export class FetchError extends StowageError {
  /** The code of this class. */
  override readonly code = "FETCH_FAILED";
  /** Name of the source. */
  readonly item: string;
  /** Every place that was tried, in order. */
  readonly attempts: readonly Attempt[];

  /**
   * Makes the error.
   *
   * @param item Name of the source.
   * @param attempts Every place that was tried, in order.
   * @param hint What to do next.
   */
  constructor(item: string, attempts: readonly Attempt[], hint?: string) {
    const lines = attempts.map(({ reference, reason, message }) =>
      `  ${reference}: ${reason}: ${message}`
    );
    super(`Cannot fetch "${item}": no place has it\n${lines.join("\n")}`, { hint });
    this.item = item;
    this.attempts = attempts;
  }
}

/** An image is not offered for the platform that was asked for. */
export class PlatformError extends StowageError {
  /** The code of this class. */
  override readonly code = "PLATFORM_NOT_OFFERED";
  /** Name of the source. */
  readonly item: string;
  /** The platform that was asked for. */
  readonly platform: string;
  /** The platforms that are offered. */
  readonly offered: readonly string[];

  /**
   * Makes the error.
   *
   * @param item Name of the source.
   * @param platform The platform that was asked for.
   * @param offered The platforms that are offered.
   */
  constructor(item: string, platform: string, offered: readonly string[]) {
    const [source, isOneOfSeveral] = item.split("@");
    super(
      `Cannot fetch "${item}" for ${platform}: it is offered for ${offered.join(", ") || "none"}`,
      { hint: `set platform${isOneOfSeveral ? "s" : ""} of sources.${source} to one of them` },
    );
    this.item = item;
    this.platform = platform;
    this.offered = offered;
  }
}

/** The signature policy, the config's or the machine's, refuses an image. */
export class PolicyError extends StowageError {
  /** The code of this class. */
  override readonly code = "POLICY_REJECTED";
  /** Name of the source. */
  readonly item: string;

  /**
   * Makes the error.
   *
   * @param item Name of the source.
   * @param message Why, in skopeo's words.
   * @param hint What to do next, where the policy is not the machine's.
   */
  constructor(item: string, message: string, hint: string = MACHINE_POLICY_HINT) {
    super(`Cannot accept "${item}": the signature policy refuses it: ${message}`, { hint });
    this.item = item;
  }
}

const MACHINE_POLICY_HINT =
  "see containers-policy.json(5); the policy is /etc/containers/policy.json, or " +
  "~/.config/containers/policy.json where that is there";

/** A program that stowage needs is not on this machine. */
export class ToolMissingError extends StowageError {
  /** The code of this class. */
  override readonly code = "TOOL_MISSING";
  /** Name of the program. */
  readonly tool: string;

  /**
   * Makes the error.
   *
   * @param tool Name of the program.
   */
  constructor(tool: string) {
    super(`Cannot run "${tool}": it is not on the PATH`, {
      hint: `install it (Debian: apt-get install ${tool}), then see what \`stowage doctor\` says`,
    });
    this.tool = tool;
  }
}

/** A program failed in a way that nothing more is known of. */
export class ToolError extends StowageError {
  /** The code of this class. */
  override readonly code = "TOOL_FAILED";
  /** Name of the program. */
  readonly tool: string;
  /** Its exit code. */
  readonly exitCode: number;
  /** The last of what it said on standard error. */
  readonly stderr: string;

  /**
   * Makes the error.
   *
   * @param tool Name of the program.
   * @param exitCode Its exit code.
   * @param stderr The last of what it said on standard error.
   * @param doing What it was run for, to follow "Cannot".
   */
  constructor(tool: string, exitCode: number, stderr: string, doing = `run "${tool}"`) {
    super(`Cannot ${doing}: ${tool} exited with ${exitCode}: ${stderr || "it said nothing"}`);
    this.tool = tool;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

/** The store cannot be read or written. */
export class StoreError extends StowageError {
  /** `STORE_FULL`, `STORE_READ_ONLY`, or `STORE_FAILED` for all else. */
  override readonly code: "STORE_FAILED" | "STORE_FULL" | "STORE_READ_ONLY";
  /** The path that the store failed on. */
  readonly path: string;

  /**
   * Makes the error.
   *
   * @param code What kind of failure it is.
   * @param path The path that the store failed on.
   * @param message What failed, and why.
   * @param cause The system's own error.
   */
  constructor(code: StoreError["code"], path: string, message: string, cause?: unknown) {
    super(message, { cause, hint: STORE_HINTS[code] });
    this.code = code;
    this.path = path;
  }
}

const STORE_HINTS: Partial<Record<StoreError["code"], string>> = {
  STORE_FULL: "free some room there, or choose another store with --store or STOWAGE_STORE",
  STORE_READ_ONLY: "make it writable, or choose another store with --store or STOWAGE_STORE",
};

/** A stage failed. */
export class StageError extends StowageError {
  /** The code of this class. */
  override readonly code = "STAGE_FAILED";
  /** Name of the stage. */
  readonly item: string;
  /** The last lines of the stage's log. */
  readonly log: string;

  /**
   * Makes the error.
   *
   * @param item Name of the stage.
   * @param message What failed, and why.
   * @param options `log` (its last lines), `hint` and `cause`.
   */
  constructor(
    item: string,
    message: string,
    options: { log?: string; hint?: string; cause?: unknown } = {},
  ) {
    const { log = "" } = options;
    const quoted = log.trim().split("\n").slice(-8).map((line) => `  | ${line}`).join("\n");
    super(`Cannot run stage "${item}": ${message}${log ? `\n${quoted}` : ""}`, options);
    this.item = item;
    this.log = log;
  }
}

/** The run was interrupted, by a signal or by its `AbortSignal`. */
export class InterruptedError extends StowageError {
  /** The code of this class. */
  override readonly code = "INTERRUPTED";

  /**
   * Makes the error.
   *
   * @param cause The reason of the `AbortSignal`.
   */
  constructor(cause?: unknown) {
    super("Interrupted: the store is whole; run it again to go on", { cause });
  }
}

/** Some items of a run failed; the others are done. */
export class RunError<Result = unknown> extends StowageError {
  /** The code of this class. */
  override readonly code = "RUN_FAILED";
  /** The error of each item that failed, by name. */
  readonly failures: Readonly<Record<string, StowageError>>;
  /** What the run has done all the same. */
  readonly result: Result;

  /**
   * Makes the error.
   *
   * @param failures The error of each item that failed, by name.
   * @param total How many items there were.
   * @param result What the run has done all the same.
   */
  constructor(failures: Readonly<Record<string, StowageError>>, total: number, result: Result) {
    const messages = Object.values(failures).map(({ message }) => message);
    super([`Cannot finish: ${messages.length} of ${total} failed`, ...messages].join("\n"));
    this.failures = failures;
    this.result = result;
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
