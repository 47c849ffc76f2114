import { join } from "@std/path";
import { StoreError } from "../errors/mod.ts";
import { guard } from "../lib/fs/files.ts";
import { removeTree } from "../lib/fs/remove_tree.ts";
import type { Store } from "./store.ts";

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
