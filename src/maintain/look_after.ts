import { resolve } from "@std/path";
import { UsageError } from "../errors/mod.ts";
import type { Listener } from "../events.ts";
import type { Graph } from "../graph/node.ts";
import { Scratch } from "../store/scratch.ts";
import type { SourceContext } from "../sources/source.ts";
import { isStore, refuseLinks } from "../store/own_folders.ts";
import { Store } from "../store/store.ts";
import { holdAnyStore } from "./hold_store.ts";
import type { StoredImage } from "./list_images.ts";
import type { VerifyResult } from "./verify.ts";

/** What looks after a store takes. */
export interface StoreOptions {
  /** Names of sources, and ids of images or how they start; all of the store if absent. */
  readonly names?: readonly string[];
  /** Takes events while it goes on. */
  readonly onEvent?: Listener;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** What `verify` takes. */
export interface VerifyOptions extends StoreOptions {
  /** Whether what is found is repaired, where that can be. */
  readonly repair?: boolean;
}

/** What looks after a store. */
export interface StoreKeeper {
  /**
   * Lists the images of the store.
   *
   * @param options Which images.
   * @returns The images, by id; their bytes are not hashed.
   * @throws {UsageError} If a name means no image, or several.
   * @throws {StoreError} If the store cannot be read.
   */
  list(options?: Pick<StoreOptions, "names">): Promise<readonly StoredImage[]>;
  /**
   * Hashes what is in the store, and puts aside what is not what it has to be. A repair puts it back
   * from what the store has, or else from where it came.
   *
   * @param options Which images, with all that they share; all of the store without names.
   * @returns What was found, if anything, and with `repair` what became of it; nothing is thrown for
   * that.
   * @throws {UsageError} If there is no store, or a name means no image, or several.
   * @throws {StoreBusyError} If gc has the store for longer than a run waits.
   * @throws {StoreError} If the store cannot be read.
   * @throws {InterruptedError} If the run was interrupted.
   */
  verify(options?: VerifyOptions): Promise<VerifyResult>;
}

/**
 * Looks after a store; what it needs for that is loaded when it is asked to.
 *
 * @param store The store.
 * @param graph The graph of the config, whose sources have names.
 * @param contextOf Makes what sources take.
 * @returns What looks after it.
 */
export function lookAfter(
  store: Store,
  graph: Graph,
  contextOf: (options: StoreOptions, scratch: Scratch) => SourceContext,
): StoreKeeper {
  const sources = () => [...graph.nodes.values()].filter((node) => node.kind === "source");
  const list = async ({ names = [] }: Pick<StoreOptions, "names"> = {}) => {
    const { findImages } = await import("./choose_images.ts");
    return await findImages(store, sources(), names);
  };
  return {
    list: async (options) => {
      await refuseLinks(store.path);
      return await list(options);
    },
    verify: async (options: VerifyOptions = {}) => {
      const { names, onEvent: emit = () => {}, signal = new AbortController().signal } = options;
      const { verifyStore } = await import("./verify.ts");
      await requireStore(store.path);
      using _held = await holdAnyStore(store, { onEvent: emit, signal });
      const ids = names?.length && { ids: new Set((await list({ names })).map(({ id }) => id)) };
      emit({ type: "start", action: "verify", sources: [], store: store.path });
      const result = await verifyStore({ store, emit, signal, ...(ids || {}) });
      if (!options.repair) return result;
      const { repairStore } = await import("./repair.ts");
      await using scratch = new Scratch(store);
      const context = contextOf({ onEvent: emit, signal }, scratch);
      // What the session knows of the pool may have been put aside.
      const afresh = { ...context, store: new Store(store.path), sources: sources() };
      return { ...result, ...await repairStore(result.findings, { ...afresh, digests: "ignore" }) };
    },
  };
}

/**
 * Makes sure that a store is there: nothing is said of a folder that was named by mistake.
 *
 * @param path The folder.
 * @throws {UsageError} If it is not there, or is full of other things.
 */
export async function requireStore(path: string): Promise<void> {
  const isFolder = await Deno.stat(path).then((info) => info.isDirectory, () => false);
  if (isFolder && await isStore(path)) return;
  const why = isFolder ? ": nothing in that folder is a store's" : "";
  throw new UsageError(`Cannot find a store at "${resolve(path)}"${why}`, {
    hint: "look at --store and STOWAGE_STORE; `stowage fetch` makes one",
  });
}
