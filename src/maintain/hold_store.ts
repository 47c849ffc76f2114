import type { Listener } from "../events.ts";
import { shareStore } from "../store/hold.ts";
import { refuseLinks } from "../store/own_folders.ts";
import type { Store } from "../store/store.ts";

/** What a run takes that holds a store. */
interface HoldOptions {
  readonly onEvent?: Listener;
  readonly signal?: AbortSignal;
}

/** Removing much takes long, and those who wait for it have nothing better to do. */
const WAIT_MS = 10 * 60 * 1000;

/**
 * Holds a store for a run, beside others that do, so that nothing of it is removed meanwhile.
 *
 * @param store The store.
 * @param run What the run takes.
 * @param isMade Whether the store's folder is made where it is absent.
 * @returns What has to be disposed of when the run ends; `undefined` where there is no store.
 * @throws {StoreError} If a symbolic link leads out of it.
 * @throws {StoreBusyError} If `gc` is at work there for too long.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function holdStore(
  store: Store,
  run: HoldOptions,
  isMade = false,
): Promise<Disposable | undefined> {
  await refuseLinks(store.path);
  return await holdAnyStore(store, run, isMade);
}

/**
 * The same for what looks for symbolic links itself.
 *
 * @param store The store.
 * @param run What the run takes.
 * @param isMade Whether the store's folder is made where it is absent.
 * @returns What has to be disposed of when the run ends; `undefined` where there is no store.
 */
export async function holdAnyStore(
  store: Store,
  { onEvent, signal }: HoldOptions,
  isMade = false,
): Promise<Disposable | undefined> {
  return await shareStore(store.path, {
    isMade,
    wait: WAIT_MS,
    hint: "run it again when that has ended",
    signal: signal ?? new AbortController().signal,
    onWait: (holders) => onEvent?.(waitingFor(store, holders)),
  });
}

/**
 * What to tell of a run that waits.
 *
 * @param store The store.
 * @param holders Who has it.
 * @returns The event.
 */
export function waitingFor({ path }: Store, holders: string): Parameters<Listener>[0] {
  return {
    type: "notice",
    code: "STORE_BUSY",
    message: `waiting for ${holders} to end in "${path}"`,
  };
}
