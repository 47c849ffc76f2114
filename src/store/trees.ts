import { join } from "@std/path";
import * as v from "valibot";
import { guard, lockFolder, readIfThere, sync, writeAtomically } from "./files.ts";

const RecordSchema = v.object({
  schema: v.literal(1),
  stage: v.string(),
  type: v.string(),
  made: v.string(),
  fingerprint: v.string(),
});

/** What is known of a finished stage's tree. */
export type TreeRecord = Omit<v.InferOutput<typeof RecordSchema>, "schema">;

/** Tells the present fingerprint of a tree. */
export type Fingerprint = (tree: string) => Promise<string>;

const RECORD = "stage.json";

/** The trees of finished stages: `trees/<stage id>/tree`, each with a record beside it. */
export class Trees {
  /**
   * Takes the folder that it works with.
   *
   * @param path The store's `trees/`.
   * @param quarantine Where trees go that are not as they were made.
   */
  constructor(private readonly path: string, private readonly quarantine: string) {}

  /**
   * Finds a tree that is as it was made.
   *
   * @param id The stage's id, 64 hex digits.
   * @param fingerprint Tells a tree's present fingerprint.
   * @returns The tree's folder, or `undefined` if it is absent or was changed since.
   */
  async find(id: string, fingerprint: Fingerprint): Promise<string | undefined> {
    const bytes = await readIfThere(join(this.path, id, RECORD));
    if (!bytes) return undefined;
    const text = new TextDecoder().decode(bytes);
    const record = v.safeParse(v.pipe(v.string(), v.parseJson(), RecordSchema), text);
    const tree = this.treePath(id);
    if (!record.success || !await isFolder(tree)) return undefined;
    return record.output.fingerprint === await fingerprint(tree) ? tree : undefined;
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
      const text = JSON.stringify({ schema: 1, ...record }, undefined, 2);
      await writeAtomically(join(folder, RECORD), `${text}\n`);
      await Deno.mkdir(this.path, { recursive: true, mode: 0o755 });
      await this.#place(folder, id, fingerprint);
      await sync(this.path);
      return this.treePath(id);
    });
  }

  async #place(folder: string, id: string, fingerprint: Fingerprint): Promise<void> {
    const target = join(this.path, id);
    // Of several processes one looks at a time, so that none sets aside what another has just kept.
    using _lock = await lockFolder(this.path);
    if (await this.find(id, fingerprint)) return;
    if (await Deno.lstat(target).then(() => true, () => false)) {
      await Deno.mkdir(this.quarantine, { recursive: true, mode: 0o755 });
      await Deno.rename(target, join(this.quarantine, `${id}-${crypto.randomUUID()}`));
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

async function isFolder(path: string): Promise<boolean> {
  return await Deno.lstat(path).then((info) => info.isDirectory, () => false);
}
