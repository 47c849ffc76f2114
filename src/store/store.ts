import { ensureDir } from "@std/fs/ensure-dir";
import { dirname, join, resolve } from "@std/path";
import { isDigest } from "../../config/mod.ts";
import { StoreError } from "../errors.ts";
import { codeOf, digestOf, guard, list, lockFolder, readIfThere, sync, syncTree } from "./files.ts";
import { type DirImageData, readDirImage } from "./image.ts";
import { type Origin, readOrigins, recordOrigin } from "./origin.ts";
import { Trees } from "./trees.ts";
import { openWorkspace, sweepWorkspaces, type Workspace } from "./workspace.ts";

/** osbuild's content type for images. */
export const CONTAINERS = "org.osbuild.containers";
/** osbuild's content type for files, which indexes are kept as. */
const FILES = "org.osbuild.files";

/** A file that is kept under its digest. */
export interface StoredFile {
  /** Its digest. */
  readonly digest: string;
  /** Where it is. */
  readonly path: string;
}

/** What an image is looked up by where its id is not known. */
export interface ImageQuery {
  /** Digest of its manifest, or of the index that it was chosen from. */
  readonly digest?: string;
  /** Reference that it was fetched by. */
  readonly reference?: string;
  /** Platform that it was fetched for. */
  readonly platform: string;
}

/** The folder that keeps what was fetched, in osbuild's own layout. */
export class Store {
  /** The folder, absolute. */
  readonly path: string;
  /** The trees of finished stages. */
  readonly trees: Trees;
  /** The folder of what sources have fetched. */
  readonly sources: string;
  /** The folder of what stages make once and share. */
  readonly archives: string;

  /**
   * Takes what it works with.
   *
   * @param path The folder; it need not be there yet.
   */
  constructor(path: string) {
    this.path = resolve(path);
    this.trees = new Trees(join(this.path, "trees"), join(this.path, "quarantine"));
    this.sources = join(this.path, "sources");
    this.archives = join(this.path, "archives");
  }

  /**
   * Makes a content type's folder, and clears what dead processes left in `tmp/`.
   *
   * @param contentType Name of the content type.
   * @throws {StoreError} If that fails in another way than that the store is read-only, which only
   * matters once there is something to write.
   */
  async setup(contentType: string): Promise<void> {
    const folder = join(this.sources, contentType);
    await guard("make the folder", folder, () => Deno.mkdir(folder, { recursive: true })).catch(
      (error) => {
        if (!(error instanceof StoreError) || error.code !== "STORE_READ_ONLY") throw error;
      },
    );
    await guard("clear", this.#tmp, () => sweepWorkspaces(this.#tmp));
  }

  /**
   * Finds an image by its id.
   *
   * @param id Image id.
   * @returns The image, or `undefined` if it is absent or not complete.
   */
  async find(id: string): Promise<DirImageData | undefined> {
    const path = this.imagePath(id);
    const image = await guard("read", path, () => readDirImage(path));
    return !("missing" in image) && image.id === id ? image : undefined;
  }

  /**
   * Finds an image by what is known of it.
   *
   * @param query Its digest or else the reference that it was fetched by, and its platform.
   * @returns The image that was fetched last of those that fit, if any; complete ones only.
   */
  async search(query: ImageQuery): Promise<DirImageData | undefined> {
    const found = await Promise.all((await this.ids()).map(async (id) => {
      const fits = (await this.origins(id)).filter((origin) => isFrom(origin, query));
      const fetched = fits.map((origin) => origin.fetched).sort().at(-1);
      if (!fetched && !query.digest) return [];
      const image = await this.find(id);
      if (!image || (!fetched && image.digest !== query.digest)) return [];
      return [{ image, fetched: fetched ?? "" }];
    }));
    return found.flat().sort((a, b) => a.fetched < b.fetched ? 1 : -1).at(0)?.image;
  }

  /**
   * Lists the images.
   *
   * @returns The ids of all entries, complete or not.
   */
  async ids(): Promise<string[]> {
    const folder = join(this.sources, CONTAINERS);
    return await guard("read", folder, async () => (await list(folder)).filter(isDigest).sort());
  }

  /**
   * Tells where an image came from.
   *
   * @param id Image id.
   * @returns Its origins, the latest last.
   */
  async origins(id: string): Promise<readonly Origin[]> {
    const entry = this.entryPath(id);
    return await guard("read", entry, () => readOrigins(entry)) ?? [];
  }

  /**
   * Makes a folder for what is being fetched; it is gone when it is disposed of, or when the process
   * ends, however it ends.
   *
   * @returns The folder.
   * @throws {StoreError} If the store cannot be written.
   */
  async workspace(): Promise<Workspace> {
    return await guard("write to the store, in", this.#tmp, async () => {
      await Deno.mkdir(this.#tmp, { recursive: true, mode: 0o755 });
      return await openWorkspace(this.#tmp);
    });
  }

  /**
   * Moves a verified image to its place, at once and for good. If another process was first, its
   * image stays; what is there but not complete goes to `quarantine/`. All else in the entry, such
   * as a legacy docker-archive, stays as it is.
   *
   * @param folder The image, in a workspace of this store; the folder itself is moved.
   * @param id Its id, verified.
   * @param origin Where it came from.
   * @returns The image in its place.
   * @throws {StoreError} If the store cannot be written.
   */
  async commit(folder: string, id: string, origin: Origin): Promise<DirImageData> {
    const entry = this.entryPath(id);
    return await guard("store an image in", entry, async () => {
      await syncTree(folder);
      await Deno.mkdir(entry, { recursive: true, mode: 0o755 });
      using _lock = await lockFolder(entry);
      await this.#place(folder, id);
      await recordOrigin(entry, origin);
      await sync(entry);
      await sync(dirname(entry));
      const image = await this.find(id);
      if (!image) throw new Error("the image is not there after it was moved");
      return image;
    });
  }

  async #place(folder: string, id: string): Promise<void> {
    const target = this.imagePath(id);
    try {
      await Deno.rename(folder, target);
    } catch (error) {
      // ENOTDIR: there is something that is no folder.
      if (!["EEXIST", "ENOTEMPTY", "ENOTDIR"].includes(codeOf(error) ?? "")) throw error;
      if (await this.find(id)) return;
      const quarantine = join(this.path, "quarantine");
      await ensureDir(quarantine);
      await Deno.rename(target, join(quarantine, `${id}-${crypto.randomUUID()}`));
      await this.#place(folder, id);
    }
  }

  /**
   * Records one more place where an image that is in the store came from.
   *
   * @param id Image id.
   * @param origin Where it came from.
   */
  async addOrigin(id: string, origin: Origin): Promise<void> {
    const entry = this.entryPath(id);
    await guard("record where an image came from in", entry, async () => {
      using _lock = await lockFolder(entry);
      await recordOrigin(entry, origin);
    });
  }

  /**
   * Finds the docker-archive that an old version left.
   *
   * @param id Image id.
   * @returns The file, or `undefined` if there is none.
   */
  async legacyArchive(id: string): Promise<string | undefined> {
    const path = join(this.entryPath(id), "container-image.tar");
    try {
      return (await Deno.stat(path)).isFile ? path : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * Keeps a file under its digest.
   *
   * @param digest Its digest, verified.
   * @param bytes The file.
   * @returns Its digest and where it is.
   * @throws {StoreError} If the store cannot be written.
   */
  async putFile(digest: string, bytes: Uint8Array): Promise<StoredFile> {
    const here = await this.findFile(digest);
    if (here) return here;
    const path = this.#filePath(digest);
    await using workspace = await this.workspace();
    const next = join(workspace.path, "file");
    await guard("store a file at", path, async () => {
      await ensureDir(dirname(path));
      await Deno.writeFile(next, bytes, { createNew: true, mode: 0o644 });
      await sync(next);
      await Deno.rename(next, path);
      await sync(dirname(path));
    });
    return { digest, path };
  }

  /**
   * Finds a file by its digest.
   *
   * @param digest The digest.
   * @returns The digest and where the file is; `undefined` if it is absent, or not what it was.
   */
  async findFile(digest: string): Promise<StoredFile | undefined> {
    const path = this.#filePath(digest);
    const bytes = await readIfThere(path);
    return bytes && digestOf(bytes) === digest ? { digest, path } : undefined;
  }

  #filePath(digest: string): string {
    if (!isDigest(digest)) throw new TypeError(`Cannot make a path of "${digest}"`);
    return join(this.sources, FILES, digest);
  }

  /**
   * The folder of an entry.
   *
   * @param id Image id.
   * @returns The folder, there or not.
   */
  entryPath(id: string): string {
    if (!isDigest(id)) throw new TypeError(`Cannot make a path of "${id}": it is not a digest`);
    return join(this.sources, CONTAINERS, id);
  }

  /**
   * The folder of an image, in the format of the `dir` transport.
   *
   * @param id Image id.
   * @returns The folder, there or not.
   */
  imagePath(id: string): string {
    return join(this.entryPath(id), "image");
  }

  get #tmp(): string {
    return join(this.path, "tmp");
  }
}

function isFrom(origin: Origin, { digest, reference, platform }: ImageQuery): boolean {
  if (digest !== undefined) {
    return origin.digest === digest || (origin.index === digest && origin.platform === platform);
  }
  return origin.reference === reference && origin.platform === platform;
}
