import { dirname, join, resolve } from "@std/path";
import { isDigest } from "../../config/mod.ts";
import { StoreError } from "../errors/mod.ts";
import { Artifacts } from "./artifacts.ts";
import { Blobs, type PooledLayer } from "./blobs.ts";
import { candidates, type ImageQuery } from "./candidates.ts";
import { Catalog, type CatalogEntry } from "./catalog.ts";
import { see } from "./check.ts";
import {
  codeOf,
  digestOf,
  guard,
  listFolders,
  lockFolder,
  sync,
  syncTree,
} from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { FetchTimes } from "./fetch_times.ts";
import { blobPath, type DirImageData, readDirImage } from "./image.ts";
import type { Emit } from "../events.ts";
import { MAX_JSON } from "../lib/json.ts";
import { FILE_MODE, findOpen, makeFolder, openForAll } from "../lib/fs/modes.ts";
import { type Origin, readOriginRecord, recordOrigin } from "./origin.ts";
import { quarantine } from "./quarantine.ts";
import { Referrers } from "./referrers.ts";
import { Trees } from "./trees.ts";
import { CONTAINERS, FILES, foldersOf, refuseLinks } from "./own_folders.ts";
import { openWorkspace, sweepWorkspaces, type Workspace } from "./workspace.ts";

export { CONTAINERS, FILES };

/** A file that is kept under its digest. */
export interface StoredFile {
  /** Its digest. */
  readonly digest: string;
  /** Where it is. */
  readonly path: string;
}

/** The folder that keeps what was fetched, in osbuild's own layout. */
export class Store {
  /** The folder, absolute. */
  readonly path: string;
  /** The layers of images. */
  readonly blobs: Blobs;
  /** The trees of finished stages. */
  readonly trees: Trees;
  /** What refers to images and indexes. */
  readonly referrers: Referrers;
  /** What registries keep that is no image. */
  readonly artifacts: Artifacts;
  /** The folder of what was found broken. */
  readonly quarantine: string;
  /** The folder of what sources have fetched. */
  readonly sources: string;
  /** The folder of what stages make once and share. */
  readonly archives: string;
  readonly #catalog = new Catalog(async () =>
    await Promise.all((await this.ids()).map((id) => this.#catalogEntry(id)))
  );
  readonly #times = new FetchTimes(() => this.#catalog.origins());

  /**
   * Opens a store; nothing is read yet.
   *
   * @param path The folder; it need not be there yet.
   * @param emit Takes the events of what goes to quarantine.
   */
  constructor(path: string, private readonly emit: Emit) {
    this.path = resolve(path);
    this.quarantine = join(this.path, "quarantine");
    this.blobs = new Blobs(
      join(this.path, "blobs"),
      async () => (await this.ids()).map((id) => this.imagePath(id)),
      this.quarantine,
      emit,
    );
    this.trees = new Trees(join(this.path, "trees"), this.quarantine, emit);
    this.referrers = new Referrers(join(this.path, "referrers"), this.path);
    this.artifacts = new Artifacts(join(this.path, "artifacts"), this.path);
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
    await guard("make the folder", folder, () => makeFolder(folder)).catch(
      (error) => {
        if (!(error instanceof StoreError) || error.code !== "STORE_READ_ONLY") throw error;
      },
    );
    await guard("clear", this.#tmp, () => sweepWorkspaces(this.#tmp));
  }

  /**
   * Finds folders of the store that others may write to.
   *
   * @returns The folders.
   */
  async openFolders(): Promise<string[]> {
    return await findOpen(foldersOf(this.path));
  }

  /**
   * Finds an image by its id.
   *
   * @param id Image id.
   * @returns The image, or `undefined` if it is absent or not complete.
   */
  async find(id: string): Promise<DirImageData | undefined> {
    const path = this.imagePath(id);
    return await guard("read", path, async () => {
      if ((await see(this.entryPath(id))).type !== "folder") return undefined;
      const image = await readDirImage(path);
      return !("missing" in image) && image.id === id ? image : undefined;
    });
  }

  /**
   * Finds the image that a query means.
   *
   * @param query Its id, or else its digest, or else the reference that it was fetched by.
   * @returns The image that was fetched last of those that fit, if any; complete ones only.
   */
  async search(query: ImageQuery): Promise<DirImageData | undefined> {
    if (query.imageId !== undefined) return await this.find(query.imageId);
    const ids = await this.#catalog.idsOf(query.digest ?? query.reference ?? "");
    const found = await Promise.all(ids.map(async (id) => {
      const image = await this.find(id);
      return image ? [{ id, digest: image.digest, origins: await this.origins(id), image }] : [];
    }));
    return candidates(found.flat(), query)[0]?.image;
  }

  /** What osbuild has put there has no record: its manifest is hashed. */
  async #catalogEntry(id: string): Promise<CatalogEntry> {
    const entry = this.entryPath(id);
    return await guard("read", entry, async () => {
      const { origins = [], manifest } = await readOriginRecord(entry) ?? {};
      if (manifest !== undefined) return { id, origins, manifest };
      const bytes = await readRegular(join(this.imagePath(id), "manifest.json"), MAX_JSON);
      return { id, origins, ...(bytes && { manifest: digestOf(bytes) }) };
    });
  }

  /**
   * Lists the images.
   *
   * @returns The ids of all entries, complete or not; what is no folder is none.
   */
  async ids(): Promise<string[]> {
    const folder = join(this.sources, CONTAINERS);
    return await guard(
      "read",
      folder,
      async () => (await listFolders(folder)).filter(isDigest).sort(),
    );
  }

  /**
   * Tells where an image came from.
   *
   * @param id Image id.
   * @returns Its origins, the latest last.
   */
  async origins(id: string): Promise<readonly Origin[]> {
    const entry = this.entryPath(id);
    return (await guard("read", entry, () => readOriginRecord(entry)))?.origins ?? [];
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
      await refuseLinks(this.path, "tmp");
      await makeFolder(this.#tmp);
      return await openWorkspace(this.#tmp);
    });
  }

  /**
   * Moves a verified image to its place, at once and for good. If another process was first, its
   * image stays. What lacks something, and is right in all else, is filled in; what is not goes to
   * `quarantine/`. All else in the entry, such as a legacy docker-archive, stays as it is.
   *
   * @param folder The image, in a workspace of this store; the folder itself is moved, or else its
   * file `version` stays there.
   * @param id Its id, verified.
   * @param origin Where it came from.
   * @returns The image in its place.
   * @throws {StoreError} If the store cannot be written.
   */
  async commit(
    folder: string,
    id: string,
    origin: Origin,
  ): Promise<DirImageData> {
    const entry = this.entryPath(id);
    return await guard("store an image in", entry, async () => {
      await openForAll(folder);
      await syncTree(folder, { areLinksSynced: true }); // those of the pool are
      await refuseLinks(this.path, "sources");
      const { makeEntry } = await import("./entry.ts"); // most runs only read
      await makeEntry(entry, id, this.quarantine, this.emit);
      using _lock = await lockFolder(entry);
      const isNew = await this.#place(folder, id);
      await this.#record(id, origin, isNew);
      await sync(entry);
      await sync(dirname(entry));
      const image = await this.find(id);
      if (!image) throw new Error("the image is not there after it was moved");
      return image;
    });
  }

  /** Tells whether the image was moved, and not one kept that was there. */
  async #place(folder: string, id: string): Promise<boolean> {
    const target = this.imagePath(id);
    try {
      await Deno.rename(folder, target);
      return true;
    } catch (error) {
      // ENOTDIR: there is something that is no folder.
      if (!["EEXIST", "ENOTEMPTY", "ENOTDIR"].includes(codeOf(error) ?? "")) throw error;
      if (await this.find(id)) return false;
      const { fillIn } = await import("./fill_in.ts");
      if (await fillIn(folder, target)) return true;
      const message = "it is not whole, and was fetched again";
      const what = {
        kind: "image",
        problem: "content",
        path: target,
        digest: id,
        message,
      } as const;
      const found = { ...what, links: [], entries: [id] };
      this.emit({ type: "damaged", ...await quarantine(this.quarantine, found) });
      return await this.#place(folder, id);
    }
  }

  /**
   * Puts layers back into an image that lacks them.
   *
   * @param id Image id.
   * @param layers The layers, of the pool; what the image has of them is replaced.
   * @throws {StoreError} If the store cannot be written.
   */
  async putBack(id: string, layers: readonly PooledLayer[]): Promise<void> {
    const folder = this.imagePath(id);
    await using workspace = await this.workspace();
    for (const layer of layers) {
      await this.blobs.link(layer, blobPath(workspace.path, layer.digest));
    }
    await guard("put layers back into", folder, async () => {
      await refuseLinks(this.path, "sources");
      using _lock = await lockFolder(this.entryPath(id));
      for (const { digest } of layers) {
        await Deno.rename(blobPath(workspace.path, digest), blobPath(folder, digest));
      }
      await sync(folder);
    });
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
      await refuseLinks(this.path, "sources");
      using _lock = await lockFolder(entry);
      await this.#record(id, origin, false);
    });
  }

  async #record(id: string, origin: Origin, isNew: boolean): Promise<void> {
    const entry = this.entryPath(id);
    const dated = await this.#times.date(origin);
    const { clearRecord } = await import("./entry.ts");
    await clearRecord(entry, id, this.quarantine, this.emit);
    await using workspace = await this.workspace();
    const record = await recordOrigin(entry, dated, isNew, workspace.path);
    if (record) this.#catalog.add({ id, ...record });
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
      return (await Deno.lstat(path)).isFile ? path : undefined;
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
      await refuseLinks(this.path, "sources");
      await makeFolder(dirname(path));
      await Deno.writeFile(next, bytes, { createNew: true });
      await Deno.chmod(next, FILE_MODE);
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
    const bytes = await readRegular(path, MAX_JSON);
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
