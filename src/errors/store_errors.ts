import { StowageError } from "./base.ts";

/** The store cannot be read or written. */
export class StoreError extends StowageError {
  /** `STORE_FULL`, `STORE_READ_ONLY`, or `STORE_FAILED` for all else. */
  override readonly code: "STORE_FAILED" | "STORE_FULL" | "STORE_READ_ONLY";
  /** The path that the store failed on. */
  readonly path: string;

  /**
   * @internal
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

/** Another process that works with a store. */
export interface StoreHolder {
  /** Its process id, where that is known. */
  readonly pid?: number;
  /** Its program and what it was told to do, such as `stowage fetch`. */
  readonly command: string;
}

/** Other processes have a store, and did not let go of it in time. */
export class StoreBusyError extends StowageError {
  /** The code of this class. */
  override readonly code = "STORE_BUSY";
  /** The store's folder. */
  readonly path: string;
  /** Who has it. */
  readonly holders: readonly StoreHolder[];

  /**
   * @internal
   * @param path The store's folder.
   * @param holders Who has it.
   * @param waited How long it was waited for, in ms.
   * @param hint What to do next.
   */
  constructor(path: string, holders: readonly StoreHolder[], waited: number, hint: string) {
    const seconds = Math.round(waited / 1000);
    super(
      `Cannot use the store "${path}": ${formatHolders(holders)} did not let go of it within ` +
        `${seconds} s`,
      { hint },
    );
    this.path = path;
    this.holders = holders;
  }
}

/**
 * Names processes to a person.
 *
 * @param holders The processes.
 * @returns Such as `stowage fetch (process 4711)`.
 */
export function formatHolders(holders: readonly StoreHolder[]): string {
  return holders.map(({ pid, command }) =>
    pid === undefined ? command : `${command} (process ${pid})`
  )
    .join(", ");
}
