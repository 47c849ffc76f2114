import { InvalidValueError } from "./invalid_value.ts";

/** The storage drivers that stowage reads and writes. */
export const DRIVERS: readonly Driver[] = ["overlay", "vfs"];

/** A storage driver of containers-storage. */
export type Driver = "overlay" | "vfs";

/** Where a containers-storage is; what is absent is the machine's default. */
export interface StorageLocation {
  /** Storage driver. */
  readonly driver?: Driver;
  /** Graph root, absolute or relative to the config. */
  readonly root?: string;
  /** Run root: where the storage keeps its locks and mounts. */
  readonly runRoot?: string;
}

const EXPECTED =
  'a folder, or "[driver@root+runroot]" with driver "overlay" or "vfs"; no ":", "+", "@" or "]" in paths';
const BRACKETS = /^\[(?:([^@\]]+)@)?([^@+:\]\0]+)(?:\+([^@+:\]\0]+))?\]$/;
const PLAIN = /^[^@+:[\]\0]+$/;

/**
 * Reads where a containers-storage is.
 *
 * @param text A folder, or `[driver@root+runroot]` as containers-transports(5) has it.
 * @returns Driver, graph root and run root, as far as the text has them.
 * @throws {InvalidValueError} If the text is neither, or has characters that skopeo would take for
 * its own separators.
 */
export function parseStorageLocation(text: string): StorageLocation {
  if (PLAIN.test(text)) return { root: text };
  const [, driver, root, runRoot] = BRACKETS.exec(text) ?? [];
  const known = driver === undefined ? undefined : DRIVERS.find((name) => name === driver);
  if (!root || (driver !== undefined && !known)) {
    throw new InvalidValueError("storage location", text, EXPECTED);
  }
  return { root, ...(known && { driver: known }), ...(runRoot && { runRoot }) };
}
