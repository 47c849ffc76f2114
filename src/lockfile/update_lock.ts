import { dirname } from "@std/path";
import { RunError } from "../errors/mod.ts";
import { emitTo, type Listener } from "../events.ts";
import type { Lock } from "../graph/lock_schema.ts";
import { holdLock, readLock, writeLock } from "./lock_file.ts";
import type { LockResult } from "./make_lock.ts";

/**
 * Completes the lock in a file. One process at a time does, so that none loses what another has
 * added.
 *
 * @param path The file, there or not.
 * @param options What takes events, and what ends the waiting.
 * @param make Makes the next lock of the one that is there.
 * @returns What was made.
 * @throws {RunError} If some sources could not be locked; what could be is written.
 * @throws {LockError} If the file is no lock.
 * @throws {StoreError} If it cannot be read or written.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function updateLock(
  path: string,
  { onEvent, signal = new AbortController().signal }: {
    readonly onEvent?: Listener;
    readonly signal?: AbortSignal;
  },
  make: (before: Lock | undefined) => Promise<LockResult>,
): Promise<LockResult> {
  const onWait = () => {
    const message = `waiting for another \`stowage lock\` in "${dirname(path)}" to end`;
    emitTo(onEvent)({ type: "notice", code: "LOCK_BUSY", message });
  };
  using _held = await holdLock(path, { signal, onWait });
  const write = async ({ changes, artifacts, rules, lock }: LockResult) => {
    if (changes.length + artifacts.length + rules.length > 0) await writeLock(path, lock);
  };
  try {
    const result = await make(await readLock(path));
    await write(result);
    return result;
  } catch (error) {
    if (error instanceof RunError && isLockResult(error.result)) await write(error.result);
    throw error;
  }
}

/**
 * Whether the result of a run is that of locking.
 *
 * @param result Any result, such as that of a {@linkcode RunError}.
 * @returns Whether it is.
 */
export function isLockResult(result: unknown): result is LockResult {
  return typeof result === "object" && result !== null && "lock" in result && "changes" in result;
}
