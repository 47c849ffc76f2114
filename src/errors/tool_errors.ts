import { StowageError } from "./base.ts";

/** Debian's packages that are not called by their programs. */
const PACKAGES: Readonly<Record<string, string>> = { xz: "xz-utils" };

/** A program that stowage needs is not on this machine. */
export class ToolMissingError extends StowageError {
  /** The code of this class. */
  override readonly code = "TOOL_MISSING";
  /** Name of the program. */
  readonly tool: string;

  /**
   * @internal
   * @param tool Name of the program.
   */
  constructor(tool: string) {
    super(`Cannot run "${tool}": it is not on the PATH`, {
      hint: `install it (Debian: apt-get install ${
        PACKAGES[tool] ?? tool
      }), then see what \`stowage doctor\` says`,
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
   * @internal
   * @param tool Name of the program.
   * @param failure Its exit code, the last of what it said on standard error, what it was run for
   * (to follow "Cannot"), and what to do next.
   */
  constructor(
    tool: string,
    { exitCode, stderr, doing = `run "${tool}"`, hint }: {
      readonly exitCode: number;
      readonly stderr: string;
      readonly doing?: string;
      readonly hint?: string | undefined;
    },
  ) {
    const said = stderr || "it said nothing";
    super(`Cannot ${doing}: ${tool} exited with ${exitCode}: ${said}`, { hint });
    this.tool = tool;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

/** A program that is there cannot be started. */
export class ToolStartError extends StowageError {
  /** The code of this class. */
  override readonly code = "TOOL_FAILED";
  /** Name of the program. */
  readonly tool: string;

  /**
   * @internal
   * @param tool Name of the program.
   * @param cause What the system, or Deno, says.
   */
  constructor(tool: string, cause: unknown) {
    const said = cause instanceof Error ? cause.message : String(cause);
    const why = said.replace(/^Failed to spawn '[^']*': | \(os error \d+\)$/g, "");
    const isTooLong = /argument list too long/i.test(why);
    const hint = isTooLong
      ? "one argument, or all and the environment together, are longer than this system takes: " +
        "put them into a file"
      : "see whether its arguments and its folder are such that this system can start it";
    super(`Cannot start "${tool}": ${why}`, { hint, cause });
    this.tool = tool;
  }
}
