import { StowageError, SystemError, UnexpectedError } from "../errors/mod.ts";
import { codeOf } from "./fs/files.ts";

/**
 * Makes an error of stowage of what this system says, wherever that was.
 *
 * @param error Any error.
 * @returns The same error, if it has a code of stowage's or none of the system's.
 */
export function ofSystem(error: unknown): unknown {
  const code = error instanceof StowageError ? undefined : codeOf(error);
  return code !== undefined && error instanceof Error ? new SystemError(code, error) : error;
}

/**
 * Makes an error of stowage of anything that was thrown.
 *
 * @param error What was thrown.
 * @returns An error with a code.
 */
export function typed(error: unknown): StowageError {
  const known = ofSystem(error);
  return known instanceof StowageError ? known : new UnexpectedError(error);
}
