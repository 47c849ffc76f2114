import { StowageError } from "./base.ts";

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
   * @param options `cause` (the system's own error) and `hint` (what to do next, where it is not the
   * store's folder).
   */
  constructor(
    code: StoreError["code"],
    path: string,
    message: string,
    { cause, hint = STORE_HINTS[code] }: { cause?: unknown; hint?: string } = {},
  ) {
    super(message, { cause, hint });
    this.code = code;
    this.path = path;
  }
}

const STORE_HINTS: Partial<Record<StoreError["code"], string>> = {
  STORE_FULL: "free some room there, or choose another store with --store or STOWAGE_STORE",
  STORE_READ_ONLY: "make it writable, or choose another store with --store or STOWAGE_STORE",
};
