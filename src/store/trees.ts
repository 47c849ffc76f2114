import { join } from "@std/path";
import * as v from "valibot";
import { codeOf, guard, readIfThere, sync, writeAtomically } from "./files.ts";

const RecordSchema = v.object({
  schema: v.literal(1),
  stage: v.string(),
  type: v.string(),
  made: v.string(),
  fingerprint: v.string(),
});

/** What is known of a finished stage's tree. */
export type TreeRecord = Omit<v.InferOutput<typeof RecordSchema>, "schema">;

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
   * @returns The tree's folder, or `undefined`; one that was changed is moved to quarantine.
   */
  async find(
    id: string,
    fingerprint: (tree: string) => Promise<string>,
  ): Promise<string | undefined> {
    const bytes = await readIfThere(join(this.path, id, RECORD));
    if (!bytes) return undefined;
    const text = new TextDecoder().decode(bytes);
    const record = v.safeParse(v.pipe(v.string(), v.parseJson(), RecordSchema), text);
    const tree = this.treePath(id);
    if (record.success && record.output.fingerprint === await fingerprint(tree)) return tree;
    await this.#discard(id);
    return undefined;
  }

  /**
   * Keeps a tree. If another process was first, its tree stays.
   *
   * @param folder A folder of a workspace of this store with the finished tree in `tree`; it is
   * moved.
   * @param id The stage's id, 64 hex digits.
   * @param record What is known of the tree.
   * @returns The tree's folder in its place.
   */
  async commit(folder: string, id: string, record: TreeRecord): Promise<string> {
    return await guard("keep a tree in", this.path, async () => {
      const text = JSON.stringify({ schema: 1, ...record }, undefined, 2);
      await writeAtomically(join(folder, RECORD), `${text}\n`);
      await Deno.mkdir(this.path, { recursive: true, mode: 0o755 });
      try {
        await Deno.rename(folder, join(this.path, id));
      } catch (error) {
        if (codeOf(error) !== "EEXIST" && codeOf(error) !== "ENOTEMPTY") throw error;
      }
      await sync(this.path);
      return this.treePath(id);
    });
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

  async #discard(id: string): Promise<void> {
    await guard("set aside a tree of", this.path, async () => {
      await Deno.mkdir(this.quarantine, { recursive: true, mode: 0o755 });
      const aside = join(this.quarantine, `${id}-${crypto.randomUUID()}`);
      await Deno.rename(join(this.path, id), aside);
    });
  }
}
