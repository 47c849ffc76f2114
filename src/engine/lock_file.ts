import * as v from "valibot";
import { explain } from "../graph/issues.ts";
import { type Lock, LockSchema } from "../lock.ts";
import { LockError } from "../errors.ts";
import { guard, readIfThere, writeAtomically } from "../store/files.ts";

/**
 * Reads a lock.
 *
 * @param path The file, usually `images.lock.json`.
 * @returns The lock, or `undefined` if there is no such file.
 * @throws {LockError} If the file is no lock, or one of a later version.
 * @throws {StoreError} If it cannot be read.
 */
export async function readLock(path: string): Promise<Lock | undefined> {
  const bytes = await guard("read the lock", path, () => readIfThere(path));
  if (!bytes) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LockError("LOCK_INVALID", `Cannot read the lock "${path}": ${why}`, [], {
      cause,
      hint: "take it from version control, or delete it and run `stowage lock`",
    });
  }
  if (v.is(v.object({ schema: v.pipe(v.number(), v.minValue(2)) }), json)) {
    const message = `Cannot read the lock "${path}": it is of a later version`;
    throw new LockError("LOCK_INVALID", message, [], {
      hint: "use the version of stowage that wrote it, or a later one",
    });
  }
  const lock = v.safeParse(LockSchema, json);
  if (lock.success) return lock.output;
  const problems = lock.issues.map((issue) => {
    const { path, expected } = explain(issue);
    return { name: path || "(lock)", reason: `expected ${expected}` };
  });
  throw new LockError("LOCK_INVALID", `Cannot use the lock "${path}"`, problems, {
    hint: "take it from version control, or delete it and run `stowage lock`",
  });
}

/**
 * Writes a lock: at any moment, the old one or the new one is there as a whole.
 *
 * @param path The file.
 * @param lock The lock.
 * @throws {StoreError} If it cannot be written.
 */
export async function writeLock(path: string, lock: Lock): Promise<void> {
  await guard("write the lock", path, () => writeAtomically(path, formatLock(lock)));
}

/**
 * Writes a lock as text: sorted, a line a fact.
 *
 * @param lock The lock.
 * @returns JSON with a line break at its end.
 */
export function formatLock(lock: Lock): string {
  return `${JSON.stringify(lock, sortKeys, 2)}\n`;
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}
