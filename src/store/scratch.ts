import { join } from "@std/path";
import { StoreError } from "../errors/mod.ts";
import { digestOf, guard } from "../lib/fs/files.ts";
import { readSeen } from "../lib/fs/outside_file.ts";
import { removeTree } from "../lib/fs/remove_tree.ts";
import type { Store } from "./store.ts";

/** What is kept in memory of one manifest or config, in bytes; few have as much. */
const MAX_IN_MEMORY = 256 * 1024;

/** What a run needs no longer than it lasts; nothing is made before it is needed. */
export class Scratch implements AsyncDisposable {
  readonly #resources = new AsyncDisposableStack();
  #folder: Promise<string> | undefined;

  /**
   * @param store The store to make the folder in; the system's temporary folder if absent.
   */
  constructor(private readonly store?: Store) {}

  /**
   * The folder, made at the first call.
   *
   * @returns Its path.
   */
  folder(): Promise<string> {
    return this.#folder ??= this.#makeFolder();
  }

  async #makeFolder(): Promise<string> {
    try {
      // skopeo takes paths apart at these, and cannot be told otherwise.
      const isPlain = !/[:+@[\]]/.test(this.store?.path ?? "");
      if (this.store && isPlain) return this.#resources.use(await this.store.workspace()).path;
    } catch (error) {
      // What a read-only store has can be used; the rest will fail where it is written.
      if (!(error instanceof StoreError) || error.code !== "STORE_READ_ONLY") throw error;
    }
    const path = await Deno.makeTempDir({ prefix: "stowage-" });
    this.#resources.defer(() => removeTree(path));
    return path;
  }

  /**
   * Makes a folder in it, for one run of a program.
   *
   * @returns The folder; dispose of it to remove it with all that was left there.
   */
  async part(): Promise<AsyncDisposable & { readonly path: string }> {
    const path = join(await this.folder(), crypto.randomUUID());
    await guard("make the folder", path, () => Deno.mkdir(path));
    return {
      path,
      [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }).catch(() => {}),
    };
  }

  /**
   * Keeps bytes for as long as the run lasts; in a file if they are many.
   *
   * @param bytes The bytes.
   * @returns Gives the same bytes.
   */
  async keep(bytes: Uint8Array): Promise<() => Promise<Uint8Array>> {
    if (bytes.length <= MAX_IN_MEMORY) return () => Promise.resolve(bytes);
    const path = join(await this.folder(), crypto.randomUUID());
    await guard("write", path, () => Deno.writeFile(path, bytes, { createNew: true }));
    return readerOf(path, digestOf(bytes));
  }

  /**
   * Takes what has to be closed when the run has ended.
   *
   * @param resource What has to be closed.
   * @returns The same.
   */
  use<Resource extends Disposable>(resource: Resource): Resource {
    return this.#resources.use(resource);
  }

  /** Removes what was made. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder?.catch(() => {});
    await this.#resources.disposeAsync();
  }
}

/** It is made here, as it would keep everything alive beside which it is made. */
function readerOf(path: string, digest: string): () => Promise<Uint8Array> {
  return async () => {
    const bytes = await guard("read", path, () => readSeen(path));
    if (bytes && digestOf(bytes) === digest) return bytes;
    throw new StoreError("STORE_FAILED", path, `Cannot use "${path}": something has changed it`);
  };
}
