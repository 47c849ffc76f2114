/**
 * All errors of stowage: each is a {@linkcode StowageError} with a code of its own.
 *
 * @module
 */

export { type ErrorCode, type ErrorData, StowageError } from "./base.ts";
export { BundleError, PushError } from "./carry_errors.ts";
export {
  ConfigError,
  ConfigFileError,
  type ConfigIssue,
  formatIssue,
  formatLeft,
  ImportError,
  type LeftOut,
  UsageError,
} from "./config_errors.ts";
export { LockError, type LockProblem } from "./lock_error.ts";
export {
  type Failures,
  InterruptedError,
  RunError,
  StageError,
  throwIfFailed,
} from "./run_errors.ts";
export {
  type Attempt,
  type AttemptReason,
  ContentError,
  FetchError,
  PlatformError,
  PolicyError,
} from "./source_errors.ts";
export { formatHolders, StoreBusyError, StoreError, type StoreHolder } from "./store_errors.ts";
export { SystemError, UnexpectedError } from "./system_error.ts";
export { QueueError, WorkerError } from "./worker_errors.ts";
export { ToolError, ToolMissingError, ToolStartError } from "./tool_errors.ts";
