import { delay } from "@std/async/delay";
import { dirname } from "@std/path";
import * as v from "valibot";
import { explain } from "../graph/issues.ts";
import { type Lock, LockSchema } from "../graph/lock_schema.ts";
import { InterruptedError, LockError, StoreError } from "../errors/mod.ts";
import { sortKeys } from "../lib/hash/hash.ts";
import { guard, writeAtomically } from "../lib/fs/files.ts";
import { OddFile, readIfThere } from "../lib/fs/outside_file.ts";
import { readJson } from "../lib/json.ts";

const WAIT_MS = 100;

/**
 * Reads a lock.
 *
 * @param path The file, usually `images.lock.json`.
 * @returns The lock, or `undefined` if there is no such file.
 * @throws {LockError} If the file is no lock, or one of a later version.
 * @throws {StoreError} If it cannot be read.
 */
export async function readLock(path: string): Promise<Lock | undefined> {
  const bytes = await guard("read the lock", path, () => readLockFile(path));
  if (!bytes) return undefined;
  const read = readJson(bytes);
  if ("reason" in read) {
    const isInConflict = /^<{7} /m.test(new TextDecoder().decode(bytes));
    throw isInConflict ? inConflict(path) : unreadable(path, `it ${read.reason}`);
  }
  const { json } = read;
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

/** Whatever else is in its place must not pass for no lock. */
async function readLockFile(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readIfThere(path);
  } catch (error) {
    throw error instanceof OddFile ? unreadable(path, error.message) : error;
  }
}

function unreadable(path: string, why: string): LockError {
  return new LockError("LOCK_INVALID", `Cannot read the lock "${path}": ${why}`, [], {
    hint: "take it from version control, or delete it and run `stowage lock`",
  });
}

function inConflict(path: string): LockError {
  const message = `Cannot read the lock "${path}": it has conflict markers of a merge`;
  return new LockError("LOCK_INVALID", message, [], {
    hint: "resolve the conflict; either side may be taken, then run `stowage lock`",
  });
}

/**
 * Writes a lock: at any moment, the old one or the new one is there as a whole.
 *
 * @param path The file; if it is a link, what it leads to is written.
 * @param lock The lock.
 * @throws {StoreError} If it cannot be written.
 */
export async function writeLock(path: string, lock: Lock): Promise<void> {
  try {
    await guard("write the lock", path, async () => {
      const file = await Deno.realPath(path).catch(() => path);
      await writeAtomically(file, formatLock(lock));
    });
  } catch (error) {
    if (!(error instanceof StoreError) || error.hint === undefined) throw error;
    const hint = error.code === "STORE_FULL" ? "free some room there" : "make its folder writable";
    throw new StoreError(error.code, path, error.message, { cause: error.cause, hint });
  }
}

/**
 * Waits until no other process is about to write a lock, so that none loses what another has added.
 *
 * @param path The file, there or not.
 * @param options What ends the waiting, and is told, once, that there is something to wait for.
 * @returns What has to be disposed of when the lock is written; the kernel does it where the process
 * ends before.
 * @throws {StoreError} If the lock's folder cannot be read.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function holdLock(
  path: string,
  { signal, onWait }: { readonly signal: AbortSignal; readonly onWait: () => void },
): Promise<Disposable> {
  // The file itself is another one each time that it is written.
  const folder = await guard("open", dirname(path), () => Deno.open(dirname(path)));
  // Where the file system knows no locks, there is nothing to wait for.
  const isFree = () => folder.tryLock(true).catch(() => true);
  try {
    if (await isFree()) return folder;
    onWait();
    do await delay(WAIT_MS, { signal }); while (!await isFree());
    return folder;
  } catch (error) {
    folder.close();
    throw signal.aborted ? new InterruptedError(signal.reason) : error;
  }
}

/** Sorted, a line a fact. */
function formatLock(lock: Lock): string {
  return `${JSON.stringify(lock, sortKeys, 2)}\n`;
}
