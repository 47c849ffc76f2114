import type { Finding } from "../finding.ts";
import { type ErrorCode, RunError, StowageError } from "../errors/mod.ts";

/** The exit codes that scripts may rely on. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  content: 3,
  lock: 4,
  interrupted: 130,
} as const;

/**
 * The exit code of what a verification has found.
 *
 * @param findings What is not what it has to be.
 * @returns The code; what could only not be read did not fail to verify.
 */
export function exitCodeOfFindings(findings: readonly Pick<Finding, "problem">[]): number {
  if (findings.length === 0) return EXIT.done;
  const isUnread = findings.every(({ problem }) => problem === "unreadable");
  return isUnread ? EXIT.failed : EXIT.content;
}

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  BUNDLE_DAMAGED: EXIT.content,
  BUNDLE_UNSIGNED: EXIT.content,
  CONFIG_FILE: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  IMPORT_FAILED: EXIT.usage,
  USAGE: EXIT.usage,
  CONTENT_MISMATCH: EXIT.content,
  LOCK_INVALID: EXIT.lock,
  LOCK_MISSING: EXIT.lock,
  LOCK_STALE: EXIT.lock,
  INTERRUPTED: EXIT.interrupted,
};

/**
 * The exit code of an error.
 *
 * @param error Any error.
 * @returns The code; for a run of which some items failed, wrong content counts most.
 */
export function exitCodeOf(error: unknown): number {
  if (error instanceof RunError) {
    const codes = Object.values(error.failures).map(exitCodeOf);
    return [EXIT.content, EXIT.lock].find((code) => codes.includes(code)) ?? EXIT.failed;
  }
  return error instanceof StowageError ? BY_CODE[error.code] ?? EXIT.failed : EXIT.failed;
}
