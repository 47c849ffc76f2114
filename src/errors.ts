/**
 * All errors of stowage: each is a {@linkcode StowageError} with a code of its own.
 *
 * @module
 */

export { type ErrorCode, type ErrorData, StowageError } from "./errors/base.ts";
export {
  ConfigError,
  ConfigFileError,
  type ConfigIssue,
  UsageError,
} from "./errors/config_errors.ts";
export { LockError, type LockProblem } from "./errors/lock_error.ts";
export { InterruptedError, RunError, StageError } from "./errors/run_errors.ts";
export {
  type Attempt,
  type AttemptReason,
  ContentError,
  FetchError,
  PlatformError,
  PolicyError,
} from "./errors/source_errors.ts";
export { StoreError } from "./errors/store_error.ts";
export { formatHolders, StoreBusyError, type StoreHolder } from "./errors/store_busy_error.ts";
export { ToolError, ToolMissingError, ToolStartError } from "./errors/tool_errors.ts";
