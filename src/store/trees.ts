import { dirname, join } from "@std/path";
import * as v from "valibot";
import { StoreError } from "../errors/mod.ts";
import type { Finding } from "../finding.ts";
import type { Emit } from "../events.ts";
import { HEX } from "../lib/hash/hash.ts";
import { see, unreadable, wrongType } from "./check.ts";
import { guard, list, lockFolder, sync, writeAtomically } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON } from "../lib/json.ts";
import { makeFolder } from "../lib/fs/modes.ts";
import { refuseLinks } from "./own_folders.ts";
import { quarantine } from "./quarantine.ts";

const ImageSchema = v.object({
  name: v.exactOptional(v.string()),
  id: v.string(),
  digest: v.string(),
});
const RecordSchema = v.object({
  schema: v.picklist([1, 2]),
  stage: v.string(),
  type: v.string(),
  made: v.string(),
  fingerprint: v.string(),
  digest: v.optional(v.string()),
  /** The images that stages have made or installed in it, by the ids of the stages. */
  images: v.optional(v.record(v.string(), v.array(ImageSchema))),
});

/** What is known of a finished stage's tree: its `digest` too, where all of it could be read. */
export type TreeRecord = Omit<v.InferOutput<typeof RecordSchema>, "schema">;

/** A tree with its record, or what is wrong with it. */
export type KeptTree =
  & { readonly id: string; readonly path: string }
  & ({ readonly record: TreeRecord } | Pick<Finding, "problem" | "message">);

/** Tells the present fingerprint of a tree. */
export type Fingerprint = (tree: string) => Promise<string>;

const RECORD = "stage.json";

/** The trees of finished stages: `trees/<stage id>/tree`, each with a record beside it. */
export class Trees {
  /**
   * Opens the folder; nothing is read yet.
   *
   * @param path The store's `trees/`.
   * @param quarantine Where trees go that are not as they were made.
   * @param emit Takes the event of a tree that goes to quarantine.
   */
  constructor(
    readonly path: string,
    private readonly quarantine: string,
    private readonly emit: Emit,
  ) {}

  /**
   * Finds a tree that is as it was made.
   *
   * @param id The stage's id, 64 hex digits.
   * @param fingerprint Tells a tree's present fingerprint.
   * @returns The tree's folder, or `undefined` if it is absent or was changed since.
   */
  async find(id: string, fingerprint: Fingerprint): Promise<string | undefined> {
    const record = await this.record(id);
    const tree = this.treePath(id);
    if (!record) return undefined;
    for (const folder of [join(this.path, id), tree]) {
      if ((await see(folder)).type !== "folder") return undefined;
    }
    return record.fingerprint === await fingerprint(tree) ? tree : undefined;
  }

  /**
   * Tells what is known of a tree.
   *
   * @param id The stage's id, 64 hex digits.
   * @returns The record, or `undefined` if there is none that can be read.
   */
  async record(id: string): Promise<TreeRecord | undefined> {
    const path = join(this.path, id, RECORD);
    const bytes = await guard("read", path, () => readRegular(path, MAX_JSON));
    const text = new TextDecoder().decode(bytes);
    const record = v.safeParse(v.pipe(v.string(), v.parseJson(), RecordSchema), text);
    if (!record.success) return undefined;
    const { schema, digest, ...rest } = record.output;
    // Schema 1 had a digest without attributes such as trusted.*.
    return schema === 2 && digest !== undefined ? { ...rest, digest } : rest;
  }

  /**
   * Lists the trees.
   *
   * @returns Their ids, as they are or not.
   */
  async ids(): Promise<string[]> {
    const isId = (name: string) => HEX.test(name);
    return await guard("read", this.path, async () => (await list(this.path)).filter(isId).sort());
  }

  /**
   * Lists the trees; what has not the name of one is somebody else's.
   *
   * @returns Each with its record, or with what is wrong; they are not read.
   */
  async all(): Promise<KeptTree[]> {
    return await Promise.all(
      (await this.ids()).map((id) =>
        this.#look(id).catch((error): KeptTree => ({
          ...{ id, path: join(this.path, id) },
          ...unreadable(error instanceof StoreError ? error.cause : error),
        }))
      ),
    );
  }

  async #look(id: string): Promise<KeptTree> {
    const path = join(this.path, id);
    for (const folder of [path, this.treePath(id)]) {
      const { type } = await see(folder);
      if (type !== "folder") return { id, path, ...wrongType(type, "folder") };
    }
    const { type } = await see(join(path, RECORD));
    if (type !== "file") return { id, path, ...wrongType(type, "file") };
    const record = await this.record(id);
    if (record) return { id, path, record };
    return { id, path, problem: "format", message: "its record cannot be read" };
  }

  /**
   * Keeps a tree. If another process was first, its tree stays; one that was changed goes to
   * quarantine.
   *
   * @param folder A folder of a workspace of this store with the finished tree in `tree`; it is
   * moved.
   * @param id The stage's id, 64 hex digits.
   * @param record What is known of the tree.
   * @param fingerprint Tells a tree's present fingerprint.
   * @returns The tree's folder in its place.
   */
  async commit(
    folder: string,
    id: string,
    record: TreeRecord,
    fingerprint: Fingerprint,
  ): Promise<string> {
    return await guard("keep a tree in", this.path, async () => {
      const text = JSON.stringify({ schema: 2, ...record }, undefined, 2);
      await writeAtomically(join(folder, RECORD), `${text}\n`);
      await refuseLinks(dirname(this.path), "trees");
      await makeFolder(this.path);
      await this.#place(folder, id, fingerprint);
      await sync(this.path);
      return this.treePath(id);
    });
  }

  async #place(
    folder: string,
    id: string,
    fingerprint: Fingerprint,
  ): Promise<void> {
    const target = join(this.path, id);
    // Of several processes one looks at a time, so that none sets aside what another has just kept.
    using _lock = await lockFolder(this.path);
    if (await this.find(id, fingerprint)) return;
    const { type } = await see(target);
    if (type !== "nothing") {
      const message = "it is not as it was made, and was made again";
      const what = { kind: "tree", problem: "content", path: target, id, message } as const;
      const found = { ...what, links: [], entries: [] };
      this.emit({ type: "damaged", ...await quarantine(this.quarantine, found) });
    }
    await Deno.rename(folder, target);
  }

  /**
   * Where a tree is kept.
   *
   * @param id The stage's id, 64 hex digits.
   * @returns The folder, there or not.
   */
  treePath(id: string): string {
    return join(this.path, id, "tree");
  }
}
