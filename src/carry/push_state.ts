import { dirname } from "@std/path";
import * as v from "valibot";
import { closed, Digest } from "../../config/schema_parts.ts";
import { UsageError } from "../errors/mod.ts";
import { guard, lockFolder, writeAtomically } from "../lib/fs/files.ts";
import { readIfThere, refuseOddOutput } from "../lib/fs/outside_file.ts";
import { readAs } from "../lib/json.ts";

/** What pushes have written to a repository, and nobody has pruned. */
interface Written {
  /** Digests that tags were put for, by tag. */
  readonly tags: Record<string, string>;
  /** Digests of manifests and indexes. */
  readonly manifests: string[];
}

interface StateFile {
  readonly schema: 1;
  readonly registry: string;
  readonly repositories: Record<string, Written>;
}

const StateSchema: v.GenericSchema<StateFile> = closed({
  schema: v.literal(1, "1"),
  registry: v.string(),
  repositories: v.record(
    v.string(),
    closed({ tags: v.record(v.string(), Digest), manifests: v.array(Digest) }),
  ),
});

/** How large the file may be, in bytes. */
const MAX_STATE = 64 * 2 ** 20;

/** What pushes to one registry have written there, in a file: nothing else is ever pruned. */
export class PushState {
  #saved: Promise<void> = Promise.resolve();

  private constructor(
    private readonly path: string,
    private readonly registry: string,
    private state: StateFile,
  ) {}

  /**
   * Reads the file.
   *
   * @param path The file; it need not be there.
   * @param registry The registry's host with its port.
   * @returns What it says.
   * @throws {UsageError} If it is no such file, or of another registry.
   */
  static async open(path: string, registry: string): Promise<PushState> {
    return new PushState(path, registry, await readState(path, registry));
  }

  /** The repositories that were written to, by path. */
  get repositories(): ReadonlyMap<string, Written> {
    return new Map(Object.entries(this.state.repositories));
  }

  /**
   * Notes what was written.
   *
   * @param path Path of the repository.
   * @param digest The manifest or the index.
   * @param tag The tag that it was put under.
   */
  async add(path: string, digest: string, tag?: string): Promise<void> {
    await this.#change(({ repositories }) => {
      const { tags, manifests } = repositories[path] ??= { tags: {}, manifests: [] };
      if (tag !== undefined) tags[tag] = digest;
      if (!manifests.includes(digest)) manifests.push(digest);
    });
  }

  /**
   * Forgets what is no longer there, or is somebody else's now.
   *
   * @param path Path of the repository.
   * @param gone A tag, or a digest with all of its tags.
   */
  async forget(path: string, gone: string): Promise<void> {
    await this.#change(({ repositories }) => {
      const own = repositories[path];
      if (!own) return;
      for (const [tag, digest] of Object.entries(own.tags)) {
        if (tag === gone || digest === gone) delete own.tags[tag];
      }
      const manifests = own.manifests.filter((digest) => digest !== gone);
      repositories[path] = { tags: own.tags, manifests };
      if (manifests.length === 0) delete repositories[path];
    });
  }

  /** Writes the file, also where nothing is new: what cannot be written is told before a push. */
  async save(): Promise<void> {
    await this.#change(() => {});
  }

  /** One change after the other, of all processes that note something: none loses what others have. */
  async #change(change: (state: StateFile) => void): Promise<void> {
    this.#saved = this.#saved.catch(() => {}).then(() =>
      guard("write", this.path, async () => {
        using _lock = await lockFolder(dirname(this.path));
        this.state = await readState(this.path, this.registry);
        change(this.state);
        await writeAtomically(this.path, `${JSON.stringify(this.state, undefined, 2)}\n`);
      })
    );
    await this.#saved;
  }
}

async function readState(path: string, registry: string): Promise<StateFile> {
  const refuse = (why: string) =>
    new UsageError(`Cannot use "${path}" as the state of pushes: ${why}`, {
      hint: "name a file of its own for each registry with --state",
    });
  await refuseOddOutput(path);
  const bytes = await guard("read", path, () => readIfThere(path, MAX_STATE));
  if (!bytes) return { schema: 1, registry, repositories: {} };
  const read = readAs(StateSchema, bytes, MAX_STATE);
  if ("reason" in read) throw refuse(`it ${read.reason}`);
  if (read.value.registry !== registry) throw refuse(`it is of ${read.value.registry}`);
  return read.value;
}
