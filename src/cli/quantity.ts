import { UsageError } from "../errors/mod.ts";

/** What a unit stands for, in ms. */
const DURATIONS = { s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3, w: 604_800e3 };

/** What a unit stands for, in bytes. */
const SIZES = {
  ...{ B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
};

/**
 * Reads how long something takes.
 *
 * @param flag The flag that says so.
 * @param text Such as `30d`.
 * @returns It in ms.
 * @throws {UsageError} If it is none.
 */
export function readDuration(flag: string, text: string): number {
  return read(flag, text, DURATIONS);
}

/**
 * Reads how large something is.
 *
 * @param flag The flag that says so.
 * @param text Such as `20GiB`.
 * @returns It in bytes.
 * @throws {UsageError} If it is none.
 */
export function readSize(flag: string, text: string): number {
  return read(flag, text, SIZES);
}

/** A number alone is refused: what it would mean is a guess, and what is removed is gone. */
function read(flag: string, text: string, units: Readonly<Record<string, number>>): number {
  const [, number, unit = ""] = /^(\d{1,9}(?:\.\d{1,9})?) ?([A-Za-z]+)$/.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (number !== undefined && factor !== undefined) return Math.round(Number(number) * factor);
  throw new UsageError(
    `Cannot use --${flag} "${text}": expected a number and one of ${Object.keys(units).join(", ")}`,
  );
}
