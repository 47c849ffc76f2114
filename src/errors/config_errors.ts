import { oneLine, StowageError } from "./base.ts";

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

/** The config says what cannot be. */
export class ConfigError extends StowageError {
  /** The code of this class. */
  override readonly code = "CONFIG_INVALID";
  /** Every mistake, in the order of the config. */
  readonly issues: readonly ConfigIssue[];

  /**
   * @internal
   * @param issues Every mistake.
   */
  constructor(issues: readonly ConfigIssue[]) {
    const count = issues.length === 1 ? "1 mistake" : `${issues.length} mistakes`;
    super(`Cannot use the config: ${count}\n${issues.map(formatIssue).join("\n")}`);
    this.issues = issues;
  }
}

/**
 * Writes a mistake in a config, on a line of its own that is set in.
 *
 * @param issue The mistake.
 * @returns The line.
 */
export function formatIssue({ path, value, expected, suggestion }: ConfigIssue): string {
  const received = value === undefined ? "it is missing" : `it is ${preview(value)}`;
  const nearest = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
  return `  ${oneLine(path) || "(config)"}: expected ${expected}, ${received}${nearest}`;
}

function preview(value: unknown): string {
  if (typeof value === "function") return "a function";
  const text = write(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function write(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value); // a circle, or deeper than can be written
  }
}

/** A file that says how to work cannot be found or used: the config, or one of this machine. */
export class ConfigFileError extends StowageError {
  /** The code of this class. */
  override readonly code = "CONFIG_FILE";
}

/** The command line or an option is wrong. */
export class UsageError extends StowageError {
  /** The code of this class. */
  override readonly code = "USAGE";
}

/** What an import could not translate. */
export interface LeftOut {
  /** Where it stands: a JSON path of the file, or a file and a line. */
  readonly path: string;
  /** What it is. */
  readonly what: string;
  /** Why it has no translation. */
  readonly why: string;
}

/** What other tools' files say cannot be read, or not be translated as a whole. */
export class ImportError extends StowageError {
  /** The code of this class. */
  override readonly code = "IMPORT_FAILED";
  /** What could not be translated; empty where a file could not be read. */
  readonly left: readonly LeftOut[];

  /**
   * @internal
   * @param message What failed, and why.
   * @param options `left` (what could not be translated), `hint` and `cause`.
   */
  constructor(
    message: string,
    { left = [], ...options }: {
      readonly left?: readonly LeftOut[];
      readonly hint?: string | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super([message, ...left.map(formatLeft)].join("\n"), options);
    this.left = left;
  }
}

/**
 * Says what an import could not translate, in a line.
 *
 * @param left What it is.
 * @returns The line.
 */
export function formatLeft({ path, what, why }: LeftOut): string {
  return `  ${path}: ${what}: ${why}`;
}
