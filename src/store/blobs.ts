import { delay } from "@std/async/delay";
import { dirname, join } from "@std/path";
import { isDigest } from "../../config/mod.ts";
import { formatHolders, InterruptedError } from "../errors/mod.ts";
import type { Emit } from "../events.ts";
import type { DigestPool } from "../tools/hash/digest_pool.ts";
import { codeOf, guard, isLost, list, sizeOf, sync } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { HEX } from "../lib/hash/hash.ts";
import { MAX_JSON } from "../lib/json.ts";
import { holdersOf } from "./hold.ts";
import { FILE_MODE, makeFolder } from "../lib/fs/modes.ts";
import type { Finding } from "../finding.ts";
import { unreadable } from "./check.ts";
import { refuseLinks } from "./own_folders.ts";
import { quarantine } from "./quarantine.ts";

/** A layer as a manifest names it. */
export interface LayerName {
  /** Its digest. */
  readonly digest: string;
  /** Its size in bytes. */
  readonly size: number;
}

/** A layer that the pool has, hashed by this process. */
export interface PooledLayer extends LayerName {
  /** The file. */
  readonly path: string;
  /** Its digest without compression, as a config names it. */
  readonly diffId: string;
}

/** A layer that is being fetched; what is there stays for the next process if this one ends. */
export interface PartialLayer extends Disposable {
  /** The file, locked: nobody else writes it. */
  readonly file: Deno.FsFile;
  /** Where it is until it is kept. */
  readonly path: string;
  /**
   * Moves the layer into the pool.
   *
   * @param diffId Its digest without compression.
   * @returns The layer in the pool.
   */
  keep(diffId: string): Promise<PooledLayer>;
  /** Removes the file, as it is not what it should be. */
  discard(): Promise<void>;
}

/** How often another process is asked whether it is done, in ms. */
const ASK_EVERY = 50;
/** How long that takes before it is worth a word, in ms. */
const TELL_AFTER = 1_000;
/** On another file system, or with as many names as a file can have, there is no further one. */
const CANNOT_LINK = ["EXDEV", "EMLINK", "EPERM"];

/** The pool of layers: each once, hard-linked with every image that has it. */
export class Blobs {
  /** What was looked up, so that each file is hashed only once. */
  readonly #known = new Map<string, Promise<PooledLayer | undefined>>();
  /** Files of images by the digest that they are named by. */
  #inImages: Promise<ReadonlyMap<string, string>> | undefined;

  /**
   * Opens the pool; nothing is read yet.
   *
   * @param path The folder; it need not be there yet.
   * @param images Lists the folders of all images, in the format of the `dir` transport.
   * @param quarantine The folder that takes what is not what its name says.
   * @param emit Takes the event of a file that goes to quarantine.
   */
  constructor(
    private readonly path: string,
    private readonly images: () => Promise<readonly string[]>,
    private readonly quarantine: string,
    private readonly emit: Emit,
  ) {}

  /**
   * Tells whether a layer need not be fetched; it is not hashed.
   *
   * @param layer The layer.
   * @returns Whether the pool, or an image that came without it, has such a file.
   */
  async has({ digest, size }: LayerName): Promise<boolean> {
    if (await sizeOf(this.blobPath(digest)) === size) return true;
    const file = (await (this.#inImages ??= this.#listImages())).get(hexOf(digest));
    return file !== undefined && await sizeOf(file) === size;
  }

  /**
   * Tells how much of a layer need not be fetched; it is not hashed.
   *
   * @param layer The layer.
   * @returns All of it, or what a run that was cut has left, in bytes.
   */
  async sizeOf(layer: LayerName): Promise<number> {
    if (await this.has(layer)) return layer.size;
    const left = await sizeOf(join(this.path, "partial", hexOf(layer.digest))) ?? 0;
    return left <= layer.size ? left : 0;
  }

  /**
   * Finds a layer in the pool, or else in an image that did not come through the pool. It is hashed
   * the first time that this process finds it, unpacked as well: disks forget, and what is recorded
   * of it vouches for nothing.
   *
   * @param layer The layer.
   * @param digests Hashes it.
   * @returns The layer; `undefined` if it is absent, or not what its name says.
   */
  async find(
    { digest, size }: LayerName,
    digests: DigestPool,
  ): Promise<PooledLayer | undefined> {
    // Who looks for it already may be stopped; and what was found may be gone since.
    const before = await this.#known.get(digest)?.catch(() => undefined);
    const isThere = before && await sizeOf(before.path) === before.size;
    const looking = isThere ? Promise.resolve(before) : this.#look(digest, digests);
    this.#known.set(digest, looking);
    const layer = await looking.catch((error) => {
      this.#known.delete(digest);
      throw error;
    });
    if (!layer) this.#known.delete(digest);
    return layer?.size === size ? layer : undefined;
  }

  async #look(
    digest: string,
    digests: DigestPool,
  ): Promise<PooledLayer | undefined> {
    const path = this.blobPath(digest);
    return await guard("read", path, async () => {
      const size = await sizeOf(path);
      if (size === undefined) return await this.#lookInImages(digest, digests);
      const found = await digests.digest({ path, unpack: true }).catch((error) => {
        if (isLost(error)) return unreadable(error);
        throw error;
      });
      if ("problem" in found) return await this.#putAside(digest, found);
      const diffId = found.unpacked;
      if (found.digest === digest && diffId) {
        if (await this.#readDiffId(digest) !== diffId) {
          await this.#setup();
          await this.#recordDiffId(digest, diffId);
        }
        return { digest, size, path, diffId };
      }
      const message = found.digest === digest
        ? `it cannot be unpacked: ${found.fault}`
        : "it does not hash to its name";
      return await this.#putAside(digest, { problem: "content", message });
    });
  }

  /** Makes room for what will be fetched again. */
  async #putAside(
    digest: string,
    wrong: Pick<Finding, "problem" | "message">,
  ): Promise<undefined> {
    const what = {
      kind: "blob",
      path: this.blobPath(digest),
      digest,
      links: [],
      entries: [],
    } as const;
    await this.#refuseLinks();
    const finding = await quarantine(this.quarantine, { ...what, ...wrong });
    this.emit({ type: "damaged", ...finding });
    return undefined;
  }

  async #lookInImages(digest: string, digests: DigestPool): Promise<PooledLayer | undefined> {
    const file = (await (this.#inImages ??= this.#listImages())).get(hexOf(digest));
    const size = file === undefined ? undefined : await sizeOf(file);
    if (file === undefined || size === undefined) return undefined;
    const found = await digests.digest({ path: file, unpack: true });
    if (found.digest !== digest || !found.unpacked) return undefined; // `verify` will find it
    return await this.#add(file, { digest, size }, found.unpacked);
  }

  async #listImages(): Promise<ReadonlyMap<string, string>> {
    const files = await Promise.all(
      (await this.images()).map(async (folder) =>
        (await list(folder)).map((name): [string, string] => [name, join(folder, name)])
      ),
    );
    return new Map(files.flat());
  }

  /**
   * Opens the file that a layer is fetched into, and waits for as long as another process has it.
   *
   * @param digest The layer's digest.
   * @param signal Ends the waiting.
   * @param onWait Is told, once, who is waited for, where that takes long.
   * @returns The file, with what an earlier try has left in it.
   * @throws {StoreError} If it cannot be written.
   * @throws {InterruptedError} If the signal was aborted.
   */
  async openPartial(
    digest: string,
    signal: AbortSignal,
    onWait: (holders: string) => void = () => {},
  ): Promise<PartialLayer> {
    const path = join(this.path, "partial", hexOf(digest));
    const start = performance.now();
    let hasTold = false;
    const file = await guard("write", path, async () => {
      await this.#setup();
      while (true) {
        if (signal.aborted) throw new InterruptedError(signal.reason);
        // A pipe would take no more than a little, and a link would lead elsewhere.
        const { isFile = true } = await Deno.lstat(path).catch(() => ({ isFile: undefined }));
        if (!isFile) await Deno.remove(path, { recursive: true });
        const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
        if (await file.tryLock(true) && await isAt(path, file)) {
          if ((await file.stat()).nlink === 1) return file;
          // What is written to it would be written to somebody else's file.
          await Deno.remove(path);
          file.close();
          continue;
        }
        if (!hasTold && performance.now() - start >= TELL_AFTER) {
          onWait(formatHolders(await holdersOf(file)));
          hasTold = true;
        }
        file.close();
        await delay(ASK_EVERY, { signal }).catch(() => {}); // told above
      }
    });
    return {
      file,
      path,
      keep: (diffId) =>
        guard("store a layer from", path, async () => {
          await file.sync();
          const { size } = await file.stat();
          await this.#setup();
          if (!await isAt(path, file)) throw new Error("something else is in its place");
          return await this.#move(path, { digest, size }, diffId);
        }),
      discard: () =>
        guard("remove", path, async () => {
          await this.#refuseLinks();
          if (await isAt(path, file)) await Deno.remove(path);
        }),
      [Symbol.dispose]: () => file[Symbol.dispose](),
    };
  }

  /**
   * Gives a layer one more name, or makes a copy where it can have none.
   *
   * @param layer The layer.
   * @param target The file; what is there is replaced.
   */
  async link({ path }: PooledLayer, target: string): Promise<void> {
    await guard("link a layer to", target, async () => {
      const next = `${target}.${crypto.randomUUID()}`;
      await linkOrCopy(path, next);
      await Deno.rename(next, target);
    });
  }

  /**
   * Takes the layer of an image that came without the pool. If the pool has it too, the image's file
   * becomes a name of that.
   *
   * @param file The layer's file.
   * @param layer The layer, verified.
   * @param diffId Its digest without compression, verified.
   * @param digests Hashes what is there.
   */
  async adopt(
    file: string,
    layer: LayerName,
    diffId: string,
    digests: DigestPool,
  ): Promise<void> {
    const here = await this.find(layer, digests);
    if (here) return await this.link(here, file);
    await guard("store a layer from", file, async () => {
      await sync(file);
      await this.#add(file, layer, diffId);
    });
  }

  async #add(file: string, layer: LayerName, diffId: string): Promise<PooledLayer> {
    await this.#setup();
    const next = join(this.path, "partial", crypto.randomUUID());
    await linkOrCopy(file, next);
    return await this.#move(next, layer, diffId);
  }

  async #move(from: string, layer: LayerName, diffId: string): Promise<PooledLayer> {
    const path = this.blobPath(layer.digest);
    await this.#recordDiffId(layer.digest, diffId);
    await Deno.chmod(from, FILE_MODE);
    // The name is not synced: without it, the image has the layer, or it is fetched again.
    await Deno.rename(from, path);
    const pooled = { ...layer, path, diffId };
    this.#known.set(layer.digest, Promise.resolve(pooled));
    return pooled;
  }

  /**
   * Where the pool has a layer.
   *
   * @param digest The layer's digest.
   * @returns The file, there or not.
   */
  blobPath(digest: string): string {
    return join(this.path, "sha256", hexOf(digest));
  }

  async #readDiffId(digest: string): Promise<string | undefined> {
    const bytes = await readRegular(join(this.path, "diff-ids", hexOf(digest)), MAX_JSON);
    const text = new TextDecoder().decode(bytes);
    return isDigest(text) ? text : undefined;
  }

  /** It is not synced: what cannot be read is found out again. The folders have to be there. */
  async #recordDiffId(digest: string, diffId: string): Promise<void> {
    const next = join(this.path, "partial", crypto.randomUUID());
    await Deno.writeTextFile(next, diffId, { createNew: true });
    await Deno.chmod(next, FILE_MODE);
    await Deno.rename(next, join(this.path, "diff-ids", hexOf(digest)));
  }

  /** Before anything is put into its place, or taken from there. */
  async #refuseLinks(): Promise<void> {
    await refuseLinks(dirname(this.path), "blobs");
  }

  async #setup(): Promise<void> {
    await this.#refuseLinks();
    for (const name of ["sha256", "diff-ids", "partial"]) {
      await makeFolder(join(this.path, name));
    }
  }
}

/**
 * Tells by its name whether something in `blobs/partial/` is on its way into the pool.
 *
 * @param name The name.
 * @returns Whether it is; all else is somebody's own.
 */
export function isPartial(name: string): boolean {
  return HEX.test(name) || UUID.test(name);
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function hexOf(digest: string): string {
  if (!isDigest(digest)) throw new TypeError(`Cannot make a path of "${digest}"`);
  return digest.slice("sha256:".length);
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await Deno.link(from, to);
  } catch (error) {
    if (!CANNOT_LINK.includes(codeOf(error) ?? "")) throw error;
    await Deno.copyFile(from, to);
    await sync(to);
  }
}

/** Whether a file is still what its path leads to; another process may have moved it since. */
async function isAt(path: string, file: Deno.FsFile): Promise<boolean> {
  try {
    const [opened, there] = await Promise.all([file.stat(), Deno.lstat(path)]);
    return opened.ino === there.ino && opened.dev === there.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
