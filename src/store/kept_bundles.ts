import { join } from "@std/path";
import * as v from "valibot";
import { isDigest } from "../../config/mod.ts";
import { Digest } from "../../config/schema_parts.ts";
import { guard, list, listFolders, writeAtomically } from "../lib/fs/files.ts";
import { makeFolder } from "../lib/fs/modes.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { removeTree } from "../lib/fs/remove_tree.ts";
import { MAX_JSON, readJson } from "../lib/json.ts";
import { refuseLinks } from "./own_folders.ts";

const RecordSchema = v.object({
  schema: v.literal(1),
  /** How many bytes of the bundle, from its beginning, need not be read again. */
  taken: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** The layers of its images: those that have come are in the pool, where no image has them yet. */
  layers: v.array(Digest),
});

/** How far a bundle is that comes piece by piece. */
export type KeptBundle = Omit<v.InferOutput<typeof RecordSchema>, "schema">;

/** What says how far it is, beside what is kept. */
const RECORD = "taken.json";

/**
 * Bundles that come piece by piece, a folder for each by the digest of its contents: what has come
 * and is no layer, until all is there.
 */
export class KeptBundles {
  /** The folder of all of them. */
  readonly path: string;

  /**
   * @param store The store's folder.
   */
  constructor(private readonly store: string) {
    this.path = join(store, "bundles");
  }

  /**
   * Lists the bundles.
   *
   * @returns Their digests.
   * @throws {StoreError} If the store cannot be read.
   */
  async digests(): Promise<string[]> {
    return await guard("read", this.path, async () => {
      return (await listFolders(this.path)).filter(isDigest).sort();
    });
  }

  /**
   * Lists the files that are kept of a bundle.
   *
   * @param digest The bundle.
   * @returns Their names.
   * @throws {StoreError} If the store cannot be read.
   */
  async files(digest: string): Promise<string[]> {
    const folder = this.folder(digest);
    return await guard("read", folder, () => list(folder));
  }

  /**
   * Reads how far a bundle is.
   *
   * @param digest The bundle.
   * @returns How far; `undefined` if nothing of it is kept.
   * @throws {StoreError} If the store cannot be read.
   */
  async read(digest: string): Promise<KeptBundle | undefined> {
    const path = join(this.folder(digest), RECORD);
    return await guard("read", path, async () => {
      const bytes = await readRegular(path, MAX_JSON);
      const read = bytes && readJson(bytes);
      const record = read && "json" in read ? v.safeParse(RecordSchema, read.json) : undefined;
      return record?.success ? record.output : undefined;
    });
  }

  /**
   * Makes the folder of a bundle.
   *
   * @param digest The bundle.
   * @returns The folder.
   * @throws {StoreError} If the store cannot be written.
   */
  async open(digest: string): Promise<string> {
    const folder = this.folder(digest);
    return await guard("keep a bundle in", folder, async () => {
      await refuseLinks(this.store, "bundles");
      await makeFolder(folder);
      return folder;
    });
  }

  /**
   * Records how far a bundle is; what was kept of it is on disk.
   *
   * @param digest The bundle.
   * @param kept How far it is.
   * @throws {StoreError} If the store cannot be written.
   */
  async record(digest: string, kept: KeptBundle): Promise<void> {
    const path = join(this.folder(digest), RECORD);
    await guard("write", path, async () => {
      await writeAtomically(path, `${JSON.stringify({ schema: 1, ...kept })}\n`);
    });
  }

  /**
   * Removes what is kept of a bundle, as all of it is in its place.
   *
   * @param digest The bundle.
   * @throws {StoreError} If the store cannot be written.
   */
  async remove(digest: string): Promise<void> {
    const folder = this.folder(digest);
    await guard("remove", folder, async () => {
      await refuseLinks(this.store, "bundles");
      await removeTree(folder);
    });
  }

  /**
   * The folder of a bundle.
   *
   * @param digest The bundle.
   * @returns The folder, there or not.
   */
  folder(digest: string): string {
    if (!isDigest(digest)) throw new TypeError(`Cannot make a path of "${digest}"`);
    return join(this.path, digest);
  }
}
