import { join } from "@std/path";
import { StageError, ToolError } from "../../errors/mod.ts";
import { type LayerPlan, LayerStack } from "../../lib/archive/layer_stack.ts";
import { formatEntry, NEW_ENTRY } from "../../lib/archive/tar_entry.ts";
import { BLOCK, TarError, utf8 } from "../../lib/archive/tar_header.ts";
import { type TarEntry, TarReader } from "../../lib/archive/tar_reader.ts";
import { concat } from "../../lib/bytes.ts";
import { PathSample } from "../../lib/path_sample.ts";
import { all, joint } from "../../tools/process.ts";
import { findIsolation } from "../../tools/sandbox.ts";
import { readTar } from "../../tools/tar.ts";
import { toRegExp } from "../../tools/tree_paths.ts";
import type { StageContext, StageRunner } from "../stage.ts";
import { copyOver } from "./copy_over.ts";
import { badLayer, imageFolder, type LayerFile, readImageLayer } from "./image_folder.ts";
import { imagesOf } from "./inputs_of.ts";
import { hasSignatures } from "./open_image.ts";
import { resolveInTree } from "../../lib/fs/tree_path.ts";

/** Engines give files labels of their own. */
const LABEL = "SCHILY.xattr.security.selinux";
/** An attribute that is empty is none, as engines read extended headers. */
const ATTRIBUTE = /^SCHILY\.xattr\./;
/** What tar needs to restore a member; the rest is of the archive that it was made in. */
const KEPT = /^(SCHILY\.xattr|GNU\.sparse)\./;

/**
 * Unpacks an image: its root file system, with all that its layers say of it. The layers are read
 * twice: for what is in the tree and where, and for the content of that. So nothing is written that
 * a later layer deletes, and no link that a layer has made is ever there to be followed.
 */
export const unpack: StageRunner<"unpack"> = async (stage, context) => {
  const { to = "/", exclude = [], removeSignatures = false } = stage;
  const [image, ...others] = imagesOf(context);
  if (!image || others.length > 0) {
    throw new StageError(context.name, `its inputs have ${others.length + 1} images`, {
      hint: "give each image a stage of its own; one can continue the tree of another with `on`",
    });
  }
  const [name = ""] = image.names;
  if (!removeSignatures && await hasSignatures(image)) {
    context.notice(
      `"${context.name}" leaves the signatures of "${name}" behind, as no tree can have them`,
    );
  }
  const { layers } = await imageFolder(image, context);
  const patterns = exclude.map(toRegExp);
  const isLeftOut = (path: string) => patterns.some((pattern) => pattern.test(path));
  const plan = await planOf(name, layers, patterns.length > 0 ? isLeftOut : undefined, context);
  await refuseForeign(plan, name, context);
  const folder = join(context.staging, crypto.randomUUID());
  await Deno.mkdir(folder);
  await Deno.chmod(folder, 0o755);
  await extract(name, layers, plan, folder, context);
  if (!plan.hasRoot) await Deno.utime(folder, context.epoch, context.epoch);
  const target = await resolveInTree(context.tree, to);
  if (await isEmpty(target)) {
    // The folder belongs to whom the image says, who may not be who runs this.
    await context.run("mv", ["--no-target-directory", "--", folder, target]);
  } else {
    const [input] = context.inputs;
    await copyOver([{ name: input?.name ?? name, path: folder }], to, context);
  }
};

async function isEmpty(folder: string): Promise<boolean> {
  const isFolder = await Deno.lstat(folder).then((info) => info.isDirectory, () => false);
  return isFolder && (await Array.fromAsync(Deno.readDir(folder))).length === 0;
}

/** Reads the names in all layers. */
async function planOf(
  name: string,
  layers: readonly LayerFile[],
  isLeftOut: ((path: string) => boolean) | undefined,
  context: StageContext,
): Promise<LayerPlan> {
  const stack = new LayerStack();
  for (const layer of layers) {
    stack.next();
    const reader = new TarReader({ entry: (entry) => stack.add(entry) });
    await read(name, layer, (chunk) => reader.next(chunk), () => reader.end(), context);
  }
  return stack.plan(isLeftOut);
}

/** Writes what the plan says. */
async function extract(
  name: string,
  layers: readonly LayerFile[],
  { members, implied }: LayerPlan,
  folder: string,
  context: StageContext,
): Promise<void> {
  const labels = new PathSample();
  const { readable, writable } = joint();
  const write = async () => {
    const writer = writable.getWriter();
    try {
      const made = { type: "5", size: 0, mode: 0o755, mtime: String(context.epoch) };
      await writer.write(
        concat(...implied.map((path) => formatEntry({ ...NEW_ENTRY, ...made }, path))),
      );
      for (const [at, layer] of layers.entries()) {
        const wanted = members[at];
        if (!wanted?.size) continue;
        const passed: Uint8Array[] = [];
        const choose = new Chooser(wanted, passed, labels);
        const reader = new TarReader(choose);
        const take = async (chunk: Uint8Array) => {
          reader.next(chunk);
          const bytes = concat(...passed.splice(0));
          if (bytes.length > 0) await writer.write(bytes);
        };
        const end = async () => {
          reader.end();
          choose.end();
          await writer.write(concat(...passed.splice(0)));
        };
        await read(name, layer, take, end, context);
      }
      await writer.write(new Uint8Array(2 * BLOCK));
      await writer.close();
    } catch (error) {
      await writer.abort(error).catch(() => {});
      throw error;
    }
  };
  await all([
    readTar(readable, folder, { doing: `unpack "${name}"`, signal: context.signal }),
    write(),
  ]).catch((error) => {
    throw error instanceof ToolError ? explain(error, name, context) : error;
  });
  if (labels.count > 0) {
    context.notice(
      `"${context.name}" leaves out the attribute "security.selinux" of "${name}", as engines do: ` +
        `${labels}`,
    );
  }
}

/** Passes the members on that are in the tree, each with its other names behind it. */
class Chooser {
  #member = 0;
  #isWanted = false;
  #others: Uint8Array[] = [];

  constructor(
    private readonly wanted: ReadonlyMap<number, readonly string[]>,
    private readonly passed: Uint8Array[],
    private readonly labels: PathSample,
  ) {}

  entry(entry: TarEntry): void {
    this.end();
    const [path, ...others] = this.wanted.get(this.#member++) ?? [];
    this.#isWanted = path !== undefined;
    if (path === undefined) return;
    if (entry.records.some(([key]) => key === LABEL)) this.labels.add(utf8(path));
    const records = entry.records.filter(([key, value]) =>
      KEPT.test(key) && key !== LABEL && !(ATTRIBUTE.test(key) && value === "")
    );
    const target = entry.type === "2" ? entry.target : "";
    this.passed.push(formatEntry({ ...entry, records }, path, target));
    const { mode, uid, gid, mtime } = entry;
    const link = { ...NEW_ENTRY, type: "1", mode, uid, gid, mtime };
    this.#others = others.map((other) => formatEntry(link, other, path));
  }

  content(bytes: Uint8Array): void {
    if (this.#isWanted) this.passed.push(bytes);
  }

  /** Ends the member that was the last. */
  end(): void {
    this.passed.push(...this.#others.splice(0));
  }
}

/** Reads an archive in a layer to its end; what is wrong with it is said of the image. */
async function read(
  name: string,
  layer: LayerFile,
  take: (chunk: Uint8Array) => void | Promise<void>,
  end: () => void | Promise<void>,
  context: StageContext,
): Promise<void> {
  try {
    await readImageLayer(name, layer, take, context);
    await end();
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    throw badLayer(name, error.message, context, error);
  }
}

const AS_ROOT = "run it as root; or leave that out with exclude";

/** Refuses before anything is written what a user other than root cannot make. */
async function refuseForeign(
  { owned, device }: LayerPlan,
  name: string,
  context: StageContext,
): Promise<void> {
  if (await findIsolation() !== "user" && Deno.uid() === 0) return;
  if (owned) {
    const { path, uid, gid } = owned;
    const why =
      `"/${path}" of "${name}" belongs to ${uid}:${gid}, and only root makes files of others`;
    throw new StageError(context.name, why, {
      hint: `${AS_ROOT}, or run it in a user namespace that has all ids: podman unshare`,
    });
  }
  if (device !== undefined) {
    const why = `"/${device}" of "${name}" is a device, which only root makes`;
    throw new StageError(context.name, why, { hint: AS_ROOT });
  }
}

/** What tar says that has a reason in this machine. */
const REASONS: readonly (readonly [said: RegExp, hint: string])[] = [
  [
    /No space left on device|Wrote only/,
    "free some room, or choose another store with --store or STOWAGE_STORE",
  ],
  [/Cannot mknod/, `only root makes devices, and not in a user namespace: ${AS_ROOT}`],
  [/Cannot change ownership/, "run it as root, or in a user namespace that has all of its ids"],
  [
    /extended attribute/,
    "the file system of the store, or this user, cannot set it: choose another store with --store " +
    "or STOWAGE_STORE, or run it as root",
  ],
];

function explain({ stderr }: ToolError, image: string, context: StageContext): StageError {
  const hint = REASONS.find(([said]) => said.test(stderr))?.[1];
  const why = `"${image}" cannot be unpacked as it is`;
  return new StageError(context.name, why, { log: stderr, ...(hint && { hint }) });
}
