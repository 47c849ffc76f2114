import { type Cache, parsePlatform, type Platform } from "../config/mod.ts";
import { reachOf } from "../config/registries.ts";
import type { Emit, ItemName } from "./events.ts";
import type { Settings } from "./graph/node.ts";
import { LeftCaches } from "./left_caches.ts";
import type { CheckedOptions } from "./options.ts";
import { type HoldOptions, ownStore, shareStore } from "./store/hold.ts";
import { refuseForeign, refuseLinks } from "./store/own_folders.ts";
import { Scratch } from "./store/scratch.ts";
import { Store } from "./store/store.ts";
import { withRoot } from "./transports/docker/site.ts";
import type { Reach } from "./transports/mod.ts";
import { Trust } from "./trust/trust.ts";

/** What one operation holds. */
export interface Run {
  /** Keeps what is fetched. What one run has found in it is no promise to the next. */
  readonly store: Store;
  /** What the run needs on disk no longer than it lasts. */
  readonly scratch: Scratch;
  /** Whom to trust. */
  readonly trust: Trust;
  /** Folder that relative paths of the config start from. */
  readonly root: string;
  /** Takes events. */
  readonly emit: Emit;
  /** Ends the run. */
  readonly signal: AbortSignal;
  /** How many images are copied, and stages run, side by side; what only asks has wider limits. */
  readonly jobs: number;
  /** How many blobs are read side by side from one registry. */
  readonly perRegistry: number;
  /** Repositories that keep images for many machines, in the order in which they are asked. */
  readonly caches: readonly Cache[];
  /** Which of them have failed. */
  readonly leftCaches: LeftCaches;
  /** What it has used or put there, by the tags of caches that are written to. */
  readonly used: Map<Cache, Set<string>>;
  /** The trees of stages that the caches have; absent where no stage is run. */
  readonly treeCache?: TreeCache;
  /** Whether layers that no cache has with their image are looked for there one by one. */
  readonly sharesLayers?: boolean;
  /** Other processes that ask the same registries; absent where there are none. */
  readonly fleet?: Fleet;
  /** Whether registries must not be asked. */
  readonly offline: boolean;
  /** How often the same place is tried, and how long to wait before it is tried again, in ms. */
  readonly retry: { readonly attempts: number; readonly delay: number };
  /** How long a place may give no byte, in ms. */
  readonly stallTimeout: number;
  /** How many bytes a second it has to give at least, over as long a time; 0 if it need not. */
  readonly minRate: number;
  /** What to do about sources that nothing pins. */
  readonly digests: "require" | "warn" | "ignore";
  /** The time that everything is dated to, in seconds since 1970, where the user has said it. */
  readonly epoch?: number | undefined;
  /** This machine's platform. */
  readonly platform: Platform;
  /** Says how a registry is reached for an image that no source has, such as one that is sent. */
  readonly reach: Reach;
}

/** Processes that ask the same registries. */
export interface Fleet {
  /**
   * Tells the others that a host wants to be left alone.
   *
   * @param host The host.
   * @param ms For how long, in ms.
   */
  pause(host: string, ms: number): void;
  /**
   * Listens to what the others tell.
   *
   * @param onPause Takes a host that wants to be left alone, and for how long, in ms.
   * @returns Dispose of it to listen no longer.
   */
  listen(onPause: (host: string, ms: number) => void): Disposable;
}

/** A tree that a cache has. */
export interface CachedAt {
  /** The repository. */
  readonly from: string;
  /** What is to be downloaded for it, in bytes. */
  readonly bytes: number;
}

/** Trees of stages that other machines have made. */
export interface TreeCache {
  /**
   * Asks which cache has a tree. Its record is read and checked, the tree is not.
   *
   * @param id Id of the stage, 64 hex digits.
   * @param item The stage, for errors.
   * @returns Where it is, or `undefined` if no cache has it.
   * @throws {InterruptedError} If the run was interrupted.
   */
  has(id: string, item: ItemName): Promise<CachedAt | undefined>;
  /**
   * Brings a tree into the store.
   *
   * @param id Id of the stage, 64 hex digits.
   * @param item The stage, for errors.
   * @returns Whether a cache has it, and it is in the store now.
   * @throws {StoreError} If it cannot be stored.
   * @throws {InterruptedError} If the run was interrupted.
   */
  fetch(id: string, item: ItemName): Promise<boolean>;
  /**
   * Writes a tree of the store to the caches that are written to and do not have it.
   *
   * @param id Id of the stage, 64 hex digits.
   * @param item The stage, for errors.
   * @throws {InterruptedError} If the run was interrupted.
   */
  keep(id: string, item: ItemName): Promise<void>;
}

/** What an operation is started with. */
export interface RunSetup {
  /** What the config says of the whole run. */
  readonly settings: Settings;
  /** Limits and places. */
  readonly options: CheckedOptions;
  /** Takes events. */
  readonly emit: Emit;
  /** Ends the run. */
  readonly signal?: AbortSignal | undefined;
}

/** How an operation works with its store; `wait` is how long it waits for others, in ms. */
export type StoreUse =
  /** It looks, and leaves no trace; nothing is held. */
  | { readonly hold: "none" }
  /** It reads: nothing of the store is removed meanwhile. */
  | { readonly hold: "read"; readonly wait?: number }
  /** It reads what may be broken, so that it looks for symbolic links itself, and may mend it. */
  | { readonly hold: "inspect" }
  /** It adds to the store, which is made where it is absent. */
  | { readonly hold: "write" }
  /** It removes from the store, and has it alone. */
  | { readonly hold: "alone"; readonly wait: number };

/** Opens a run of an operation that decides itself how it works with the store. */
export type OpenRun = (use: StoreUse) => Promise<Run & AsyncDisposable>;

/** How long to wait for `gc`: removing much takes long, and there is nothing better to do. */
const WAIT_MS = 10 * 60 * 1000;

/**
 * Opens a run; all that it holds is let go when it is disposed of.
 *
 * @param setup What it is started with.
 * @param use How it works with its store.
 * @returns The run.
 * @throws {UsageError} If the store's folder is neither empty nor a store.
 * @throws {StoreError} If a symbolic link leads out of the store.
 * @throws {StoreBusyError} If others have the store for too long.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function openRun(setup: RunSetup, use: StoreUse): Promise<Run & AsyncDisposable> {
  const { settings, options, emit, signal = new AbortController().signal } = setup;
  const { attempts, retryDelay, cache, store: path, ...limits } = options;
  const store = new Store(path, emit);
  await using resources = new AsyncDisposableStack();
  const held = await holdStore(store, use, { emit, signal });
  if (held) resources.use(held);
  const writes = use.hold === "write" || use.hold === "inspect";
  const scratch = resources.use(new Scratch(writes ? store : undefined));
  const all = resources.move();
  return {
    ...limits,
    ...{ store, scratch, emit, signal },
    retry: { attempts, delay: retryDelay },
    trust: new Trust(settings, limits.root, scratch, emit),
    caches: [...cache, ...settings.cache ?? []],
    leftCaches: new LeftCaches(emit),
    used: new Map(),
    digests: settings.digests ?? "warn",
    platform: parsePlatform(Deno.build.arch),
    reach: (reference, own = {}, known = {}) =>
      withRoot(reachOf(reference, own, settings.registries, known), limits.root),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function holdStore(
  { path }: Store,
  use: StoreUse,
  { emit, signal }: Pick<Run, "emit" | "signal">,
): Promise<Disposable | undefined> {
  const hold: HoldOptions = {
    wait: WAIT_MS,
    hint: "run it again when that has ended",
    signal,
    onWait: (holders) => {
      const message = `waiting for ${holders} to end in "${path}"`;
      emit({ type: "notice", code: "STORE_BUSY", message });
    },
  };
  await refuseForeign(path);
  switch (use.hold) {
    case "none":
      await refuseLinks(path);
      return undefined;
    case "inspect":
      return await shareStore(path, { ...hold, isMade: false });
    case "read":
    case "write": {
      await refuseLinks(path);
      const wait = "wait" in use ? use.wait : undefined;
      return await shareStore(path, {
        ...hold,
        ...(wait !== undefined && { wait, hint: `${hold.hint}, or give it longer with --wait` }),
        isMade: use.hold === "write",
      });
    }
    case "alone": {
      const hint = "run it again when they have ended, or give them longer with --wait";
      const held = await ownStore(path, { ...hold, hint, wait: use.wait });
      try {
        await refuseLinks(path);
        return held;
      } catch (error) {
        held?.close();
        throw error;
      }
    }
  }
}
