import { basename, dirname, join } from "@std/path";
import { parse } from "@std/toml/parse";
import * as v from "valibot";
import { Driver } from "../../../config/schema_parts.ts";
import { StageError } from "../../errors/mod.ts";
import { writeAtomically } from "../../lib/fs/files.ts";
import { readInTree } from "./tree_file.ts";
import { ensureDirInTree, resolveInTree } from "../../lib/fs/tree_path.ts";

/** Where podman and its kin look first. */
export const CONF = "/etc/containers/storage.conf";
/** Where they look otherwise. */
export const VENDOR_CONF = "/usr/share/containers/storage.conf";

/**
 * The text of a storage.conf where there is none.
 *
 * @param driver The storage driver.
 * @returns Its text; without `graphroot` and `runroot`, engines refuse the file.
 */
export const defaultConf = (driver: string) =>
  `[storage]
driver = "${driver}"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"

[storage.options]
`;

/** Where engines since podman 6 look for files that count more; of those with one name, the first. */
const DROP_INS = [
  ...["/etc/containers/storage.rootful.conf.d", "/etc/containers/storage.conf.d"],
  ...["/usr/share/containers/storage.rootful.conf.d", "/usr/share/containers/storage.conf.d"],
];
/** Ours, where others say which storages there are: it is read last. */
const OWN_DROP_IN = "/etc/containers/storage.rootful.conf.d/zz-stowage.conf";

/** A file that counts more than storage.conf. */
export interface DropIn {
  /** Its path in the tree. */
  readonly path: string;
  /** What it says. */
  readonly text: string;
}

/**
 * Reads the files of a tree that newer engines read after its storage.conf.
 *
 * @param where The tree, and the name of the stage.
 * @returns The files, the one that counts most last.
 * @throws {StageError} If one is no regular file.
 */
export async function readDropIns(
  where: Readonly<Record<"tree" | "name", string>>,
): Promise<DropIn[]> {
  const paths = new Map<string, string>();
  for (const folder of DROP_INS) {
    const place = await resolveInTree(where.tree, folder);
    const entries = await Array.fromAsync(Deno.readDir(place)).catch(() => []);
    for (const { name } of entries) {
      if (name.endsWith(".conf") && !paths.has(name)) paths.set(name, join(folder, name));
    }
  }
  const sorted = [...paths].sort(([one], [other]) => one < other ? -1 : 1);
  return await Promise.all(
    sorted.map(async ([, path]) => ({ path, text: await readInTree(path, where) ?? "" })),
  );
}

const ConfSchema = v.looseObject({
  storage: v.optional(
    v.looseObject({
      driver: v.optional(v.string()),
      options: v.optional(
        v.looseObject({ additionalimagestores: v.exactOptional(v.array(v.string())) }),
        {},
      ),
    }),
    {},
  ),
});

/**
 * Makes a container storage of a tree one that podman and its kin also look for images in, as
 * containers-storage.conf(5) has it. All other settings of the tree stay as they are.
 *
 * @param tree The tree.
 * @param storage The storage's path in the tree.
 * @param driver The storage's driver.
 * @param stage Name of the stage.
 * @throws {StageError} If the tree's storage.conf cannot be read or changed.
 */
export async function addImageStore(
  tree: string,
  storage: string,
  driver: string,
  stage: string,
): Promise<void> {
  await makeLocks(tree, storage, driver, stage);
  const file = await resolveInTree(tree, CONF);
  const where = { tree, name: stage };
  const text = await readInTree(CONF, where) ?? await readInTree(VENDOR_CONF, where) ??
    defaultConf(driver);
  const before = readConf(text);
  if (!before) throw noConf(stage, CONF);
  const dropIns = (await readDropIns(where)).map(({ path, text }) => {
    const conf = readConf(text);
    if (!conf) throw noConf(stage, path);
    return { path, ...conf.storage };
  });
  const chosen = [{ path: CONF, ...before.storage }, ...dropIns].findLast(({ driver }) => driver);
  // Another name of overlay, as containers-storage.conf(5) has it.
  const used = chosen?.driver === "overlay2" ? "overlay" : chosen?.driver;
  if (chosen && used && used !== driver) {
    const { path } = chosen;
    throw new StageError(stage, `the tree's ${path} has driver "${used}", and not "${driver}"`, {
      hint: v.is(Driver, used)
        ? `set driver of its destination to "${used}": storages of other drivers are not looked at`
        : `engines of this tree look at storages of "${used}" only, which install does not make: ` +
          `leave additionalImageStore out, or change the driver of ${path}`,
    });
  }
  await addDropIn(dropIns, where, storage);
  const stores = before.storage.options.additionalimagestores ?? [];
  if (stores.includes(storage)) return;
  const changed = insert(text, storage, stores.length > 0);
  const after = readConf(changed);
  const options = { ...before.storage.options, additionalimagestores: [storage, ...stores] };
  const wanted = { ...before, storage: { ...before.storage, options } };
  if (!after || !isSame(after, wanted)) {
    throw new StageError(stage, `cannot add to the tree's ${CONF} without changing more`, {
      hint: `add additionalimagestores = [${JSON.stringify(storage)}] to its [storage.options]`,
    });
  }
  // It may be a link to where nothing is yet.
  await Deno.mkdir(dirname(file), { recursive: true, mode: 0o755 });
  await writeAtomically(file, changed);
}

/** Of several files that say which storages there are, the last counts alone. */
async function addDropIn(
  dropIns: readonly { readonly path: string; readonly options: Options }[],
  { tree, name: stage }: Readonly<Record<"tree" | "name", string>>,
  storage: string,
): Promise<void> {
  const last = dropIns.findLast(({ options }) => options.additionalimagestores);
  const stores = last?.options.additionalimagestores ?? [];
  if (!last || stores.includes(storage)) return;
  const line = `additionalimagestores = ${JSON.stringify([storage, ...stores])}`;
  if (basename(last.path) > basename(OWN_DROP_IN)) {
    throw new StageError(stage, `the tree's ${last.path} says which storages there are`, {
      hint: `have it say ${line}`,
    });
  }
  const folder = await ensureDirInTree(tree, dirname(OWN_DROP_IN));
  await writeAtomically(join(folder, basename(OWN_DROP_IN)), `[storage.options]\n${line}\n`);
}

function noConf(stage: string, path: string): StageError {
  return new StageError(stage, `the tree's ${path} is not as containers-storage.conf(5) has it`);
}

/** A storage that cannot be written is only opened where its locks are there already. */
async function makeLocks(
  tree: string,
  storage: string,
  driver: string,
  stage: string,
): Promise<void> {
  for (const lock of [`${driver}-images/images.lock`, `${driver}-layers/layers.lock`]) {
    await ensureDirInTree(tree, join(storage, dirname(lock)));
    const path = await resolveInTree(tree, join(storage, lock));
    const there = await Deno.lstat(path).catch(() => undefined);
    if (there && !there.isFile) {
      throw new StageError(stage, `the tree's ${lock} is no regular file`);
    }
    using _file = await Deno.open(path, { append: true, create: true, mode: 0o644 });
  }
}

type Options = v.InferOutput<typeof ConfSchema>["storage"]["options"];

function readConf(text: string): v.InferOutput<typeof ConfSchema> | undefined {
  try {
    return v.parse(ConfSchema, parse(text));
  } catch {
    return undefined;
  }
}

/** Edits the text, so that comments stay; what comes out is read again and compared. */
function insert(text: string, storage: string, isListed: boolean): string {
  const entry = JSON.stringify(storage);
  if (isListed) {
    return text.replace(/^\s*additionalimagestores\s*=\s*\[/m, (list) => `${list}${entry}, `);
  }
  const line = `additionalimagestores = [${entry}]`;
  const empty = /^\s*additionalimagestores\s*=\s*\[\s*\]/m;
  if (empty.test(text)) return text.replace(empty, () => line);
  const header = /^\s*\[storage\.options\][^\n]*$/m;
  if (header.test(text)) return text.replace(header, (found) => `${found}\n${line}`);
  const table = `[storage.options]\n${line}\n`;
  // A table stands before the tables in it, as not every reader takes it elsewhere.
  const inner = /^[ \t]*\[storage\.options\./m;
  if (inner.test(text)) return text.replace(inner, (found) => `${table}\n${found}`);
  return `${text.trimEnd()}\n\n${table}`;
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map((
    [key, item],
  ) => [key, sorted(item)]);
}
