import { delay } from "@std/async/delay";
import { join } from "@std/path";
import {
  formatHolders,
  InterruptedError,
  StoreBusyError,
  StoreError,
  type StoreHolder,
} from "../errors/mod.ts";
import { codeOf, guard } from "../lib/fs/files.ts";
import { see } from "./check.ts";
import { markStore } from "./own_folders.ts";

/** How long to wait for a store that others have. */
export interface HoldOptions {
  /** How long at most, in ms. */
  readonly wait: number;
  /** What to do next where that was not long enough. */
  readonly hint: string;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** Is told, once, that there is something to wait for, and whom. */
  readonly onWait: (holders: string) => void;
}

const FIRST_DELAY_MS = 20;
const LAST_DELAY_MS = 250;

/**
 * Locks a store for a run, beside others that do: as long as it is held, nothing of the store is
 * removed. It is a lock on the folder itself, so that a store that cannot be written has it too.
 *
 * @param store The store's folder.
 * @param options How long to wait, and whether the folder is made where it is absent.
 * @returns The lock; dispose of it to let go. The kernel does, however the process ends. `undefined`
 * where there is no folder.
 * @throws {StoreError} If something else than a folder is there.
 * @throws {StoreBusyError} If what removes things takes longer than that.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function shareStore(
  store: string,
  { isMade, ...options }: HoldOptions & { readonly isMade: boolean },
): Promise<Deno.FsFile | undefined> {
  // Where it cannot be made, what is written there first will say so.
  if (isMade) await markStore(store).catch(() => {});
  const folder = await openFolder(store);
  if (!folder && isMade && await Deno.readLink(store).then(() => true, () => false)) {
    throw notFolder(store, "it is a symbolic link that leads nowhere");
  }
  return folder && await takeTurn(store, folder, false, options);
}

/**
 * Locks a store for what removes things, as soon as nothing else works with it.
 *
 * @param store The store's folder.
 * @param options How long to wait.
 * @returns The lock; dispose of it to let go. `undefined` where there is no folder.
 * @throws {StoreError} If something else than a folder is there.
 * @throws {StoreBusyError} If others work with the store for longer than that.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function ownStore(
  store: string,
  options: HoldOptions,
): Promise<Deno.FsFile | undefined> {
  const folder = await openFolder(store);
  return folder && await takeTurn(store, folder, true, options);
}

/**
 * Whoever wants the store alone first locks `sources/`, where all others have to pass: they come
 * after it, and it has to wait for no more than those that were there before.
 */
async function takeTurn(
  store: string,
  folder: Deno.FsFile,
  isAlone: boolean,
  options: HoldOptions,
): Promise<Deno.FsFile> {
  const wait = new Wait(store, options);
  try {
    const sources = join(store, "sources");
    using gate = (await see(sources)).type === "folder" ? await openFolder(sources) : undefined;
    if (gate) await wait.lock(gate, isAlone);
    await wait.lock(folder, isAlone);
    return folder;
  } catch (error) {
    folder.close();
    throw error;
  }
}

/** A pipe is not opened, as that would wait for who writes to it. */
async function openFolder(path: string): Promise<Deno.FsFile | undefined> {
  return await guard("read", path, async () => {
    try {
      if (!(await Deno.stat(path)).isDirectory) throw notFolder(path, "it is no folder");
      return await Deno.open(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  });
}

function notFolder(path: string, why: string): StoreError {
  const hint = "choose another store with --store or STOWAGE_STORE";
  return new StoreError("STORE_FAILED", path, `Cannot use the store "${path}": ${why}`, { hint });
}

/** Waits for locks, one after the other, for no longer than all of them may take. */
class Wait {
  readonly #start = performance.now();
  #hasTold = false;

  constructor(private readonly store: string, private readonly options: HoldOptions) {}

  async lock(file: Deno.FsFile, isAlone: boolean): Promise<void> {
    const { wait, hint, signal, onWait } = this.options;
    for (let pause = FIRST_DELAY_MS;; pause = Math.min(2 * pause, LAST_DELAY_MS)) {
      if (signal.aborted) throw new InterruptedError(signal.reason);
      if (await this.#tryLock(file, isAlone)) return;
      const waited = performance.now() - this.#start;
      if (waited >= wait) throw new StoreBusyError(this.store, await holdersOf(file), waited, hint);
      if (!this.#hasTold) onWait(formatHolders(await holdersOf(file)));
      this.#hasTold = true;
      await delay(Math.min(pause, wait - waited), { signal }).catch(() => {}); // told above
    }
  }

  async #tryLock(file: Deno.FsFile, isAlone: boolean): Promise<boolean> {
    return await guard("lock", this.store, async () => {
      try {
        return await file.tryLock(isAlone);
      } catch (error) {
        // A file system without locks is read all the same; nothing is removed there.
        if (!isAlone && ["ENOLCK", "ENOTSUP", "EOPNOTSUPP"].includes(codeOf(error) ?? "")) {
          return true;
        }
        throw error;
      }
    });
  }
}

/**
 * Finds out who has locked a file or a folder, by code that is not needed before.
 *
 * @param file The file or folder, opened.
 * @returns The processes.
 */
export async function holdersOf(file: Deno.FsFile): Promise<readonly StoreHolder[]> {
  const { findHolders } = await import("./holders.ts");
  return await findHolders(file);
}
