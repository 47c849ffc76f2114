import * as v from "valibot";
import { readableBy } from "../invalid_value.ts";
import { described, Driver, Reference } from "../schema_parts.ts";
import type { SourceOptions } from "../sources.ts";
import { type Driver as DriverName, parseStorageLocation } from "../storage.ts";

/** Which containers-storage is meant. */
export interface StorageOptions {
  /** A folder, or `[driver@root+runroot]`; the machine's own storage if absent. */
  readonly location?: string;
  /** The storage's driver; the one in `location`, else the machine's own, if absent. */
  readonly driver?: DriverName;
}

/** An image in a containers-storage. */
export interface StorageImage extends StorageOptions {
  /** The transport. */
  readonly type: "containers-storage";
  /** Any reference that docker takes; a fallback without one looks for its source's. */
  readonly reference?: string;
}

/** The schema's part of {@linkcode StorageOptions}. */
export const storagePlace = {
  location: v.exactOptional(
    described(
      readableBy(parseStorageLocation),
      "A folder, or [driver@root+runroot]; the machine's own storage if absent",
    ),
  ),
  driver: v.exactOptional(
    described(
      Driver,
      "The storage's driver; the one in location, else the machine's own, if absent",
    ),
  ),
};

/** The schema's part of {@linkcode StorageImage}; a source needs a reference of its own. */
export const storageEntries = {
  type: described(v.literal("containers-storage"), "The transport"),
  reference: v.exactOptional(
    described(
      Reference,
      "Any reference that docker takes; a fallback without one looks for its source's",
    ),
  ),
  ...storagePlace,
};

/**
 * An image in a containers-storage of this machine, as podman and skopeo keep it.
 *
 * @param reference Any reference that docker takes.
 * @param options What every source takes, and which storage is meant.
 * @returns The source, as plain data; `compile()` checks it.
 */
export function containersStorage(
  reference: string,
  options?: SourceOptions & StorageOptions,
): StorageImage & SourceOptions & { readonly reference: string };
/**
 * The fallback of a source: the same image in a containers-storage of this machine.
 *
 * @param options Which storage is meant.
 * @returns The fallback, as plain data; `compile()` checks it.
 */
export function containersStorage(options?: StorageOptions): StorageImage;
export function containersStorage(
  reference: string | StorageOptions = {},
  options: SourceOptions & StorageOptions = {},
): StorageImage & SourceOptions {
  return typeof reference === "string"
    ? { type: "containers-storage", reference, ...options }
    : { type: "containers-storage", ...reference };
}
