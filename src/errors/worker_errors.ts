import { type ErrorCode, type ErrorData, StowageError } from "./base.ts";

/** The queue that workers take jobs from cannot be used, or has what cannot be trusted. */
export class QueueError extends StowageError {
  /** The code of this class. */
  override readonly code = "QUEUE_FAILED";
  /** Where the queue is, without a login. */
  readonly queue: string;

  /**
   * Makes the error.
   *
   * @param queue Where the queue is, without a login.
   * @param message What failed, and why.
   * @param options `hint` and `cause`.
   */
  constructor(
    queue: string,
    message: string,
    options: { hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, options);
    this.queue = queue;
  }
}

/** An item failed on a worker. */
export class WorkerError extends StowageError {
  /** The code of what failed there; `WORKER_LOST` if too many workers died of it. */
  override readonly code: ErrorCode;
  /** Name of the item. */
  readonly item: string;
  /** Name of the worker that told it; absent where none was left to. */
  readonly worker?: string;
  readonly #data: ErrorData;

  /**
   * Makes the error.
   *
   * @param item Name of the item.
   * @param data What failed, as the worker tells it.
   * @param options `worker` (its name) and `cause`.
   */
  constructor(
    item: string,
    data: ErrorData,
    { worker, cause }: { readonly worker?: string; readonly cause?: unknown } = {},
  ) {
    super(data.message, { hint: data.hint, cause });
    this.code = data.code;
    this.item = item;
    if (worker !== undefined) this.worker = worker;
    this.#data = data;
  }

  /**
   * The error as plain data, for `--json`.
   *
   * @returns What the worker has told of it, and the worker's name.
   */
  override toJSON(): ErrorData {
    return { ...this.#data, ...super.toJSON() };
  }
}
