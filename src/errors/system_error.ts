import { StowageError } from "./base.ts";

/** This system does not let be done what has to be, outside the store too. */
export class SystemError extends StowageError {
  /** The code of this class. */
  override readonly code = "SYSTEM_FAILED";
  /** The system's own code, such as `EMFILE`. */
  readonly systemCode: string;

  /**
   * @internal
   * @param systemCode The system's own code.
   * @param cause What it says.
   */
  constructor(systemCode: string, cause: Error) {
    const why = cause.message.replace(/ \(os error \d+\)/, "");
    super(`Cannot go on: ${why}`, { cause, hint: HINTS[systemCode] ?? OTHER_HINT });
    this.systemCode = systemCode;
  }
}

const FILES_HINT = "let it open more files, such as by `ulimit -n 1024`, then run it again";
const HINTS: Readonly<Record<string, string>> = {
  EMFILE: FILES_HINT,
  ENFILE: FILES_HINT,
  ENOMEM: "give it more memory, or fewer --jobs",
  ENOSPC: "free some room there, then run it again",
  EACCES: "see who may read and write there",
  EPERM: "see who may read and write there",
};
const OTHER_HINT = "see what is there, and whether the disk is well, then run it again";

/** Something that stowage has not thought of. */
export class UnexpectedError extends StowageError {
  /** The code of this class. */
  override readonly code = "UNEXPECTED";

  /**
   * @internal
   * @param cause What was thrown.
   */
  constructor(cause: unknown) {
    super(wordsOf(cause), {
      cause,
      hint: "this is a bug in stowage; please report it, with what --debug says",
    });
  }
}

function wordsOf(cause: unknown): string {
  try {
    return (cause instanceof Error ? cause.message : "") || String(cause);
  } catch {
    return "something was thrown that cannot be shown";
  }
}
