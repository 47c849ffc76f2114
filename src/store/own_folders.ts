import { join } from "@std/path";
import { StoreError, UsageError } from "../errors/mod.ts";
import { see } from "./check.ts";
import { guard, list } from "../lib/fs/files.ts";
import { makeFolder } from "../lib/fs/modes.ts";
import { isWorkspace } from "./workspace.ts";

/** osbuild's content type for images. */
export const CONTAINERS = "org.osbuild.containers";
/** osbuild's content type for files, which indexes are kept as. */
export const FILES = "org.osbuild.files";

/** The record of the last run, in the store's folder. */
export const LAST_RUN = "last-run.json";

/** The folders that a store is made of, each behind that which it is in. */
const FOLDERS = [
  ...["sources", `sources/${CONTAINERS}`, `sources/${FILES}`],
  ...["blobs", "blobs/sha256", "blobs/diff-ids", "blobs/partial"],
  ...["archives", "artifacts", "bundles", "referrers", "trees", "quarantine", "tmp"],
];

/**
 * Lists the folders that a store is made of.
 *
 * @param store The store.
 * @returns Their paths, there or not; the store's own first.
 */
export function foldersOf(store: string): string[] {
  return [store, ...FOLDERS.map((name) => join(store, name))];
}

/** What says nothing of whose a folder is: file systems, version control and backups put it there. */
const ANYBODYS = ["lost+found", "CACHEDIR.TAG", ".gitignore", ".gitkeep"];

/** A name that is not UTF-8 cannot be asked for. */
function saysSomething(name: string): boolean {
  return !ANYBODYS.includes(name) && !name.includes("\ufffd");
}

/**
 * Tells a store from other folders: by what only stowage's stores, or osbuild's, have in them.
 *
 * @param folder The folder.
 * @returns Whether it is one; also if it is empty, as a new one is.
 * @throws {StoreError} If it cannot be read.
 */
export async function isStore(folder: string): Promise<boolean> {
  return await guard("read", folder, async () => {
    const listed = async (path: string) => (await list(path)).filter(saysSomething);
    const names = await listed(folder);
    const has = (name: string) => names.includes(name);
    if (names.length === 0 || has("cache.info") || (has("objects") && has("refs"))) return true;
    const sources = join(folder, "sources");
    const { type } = await see(sources);
    if (type === "link") return true; // which is refused, or told, for itself
    const types = await listed(sources);
    // A run that was killed may have got no further than to an empty one.
    if (type === "folder" && types.length === 0) return true;
    if (types.some((name) => name.startsWith("org.osbuild."))) return true;
    const pool = await list(join(folder, "blobs"));
    if (pool.includes("partial") || pool.includes("diff-ids")) {
      return names.every((name) => [...FOLDERS, LAST_RUN].includes(name)); // its sources were lost
    }
    return names.every((name) => name === "tmp") &&
      (await list(join(folder, "tmp"))).every(isWorkspace);
  });
}

/**
 * Makes sure that nothing is done to a folder that is somebody else's.
 *
 * @param folder The folder; it need not be there.
 * @throws {UsageError} If it is neither empty nor a store.
 * @throws {StoreError} If it cannot be read.
 */
export async function refuseForeign(folder: string): Promise<void> {
  if (await isStore(folder)) return;
  throw new UsageError(`Cannot use the store "${folder}": nothing in that folder is a store's`, {
    hint: "choose a store, or an empty folder, with --store or STOWAGE_STORE",
  });
}

/**
 * Makes the folder that says that a store is one. It is made before all others.
 *
 * @param store The store; it need not be there.
 */
export async function markStore(store: string): Promise<void> {
  await makeFolder(join(store, "sources", CONTAINERS));
}

/**
 * Finds symbolic links in place of folders that a store is made of. What the store itself is reached
 * by may be one.
 *
 * @param store The store.
 * @param isMeant Whether a folder is looked at; all are if absent.
 * @returns Their paths.
 */
export async function findLinks(
  store: string,
  isMeant: (path: string) => boolean = () => true,
): Promise<string[]> {
  const folders = foldersOf(store).slice(1).filter(isMeant);
  const look = async (path: string) => (await guard("read", path, () => see(path))).type;
  const types = await Promise.all(folders.map(look));
  return folders.filter((_, at) => types[at] === "link");
}

/**
 * Makes sure that what is done to a store is done to nothing else. Folders may be replaced while a
 * run goes on: it is asked before each thing that is put into its place, too.
 *
 * @param store The store.
 * @param below The part of it that is meant, such as `blobs`; all of it if absent.
 * @throws {StoreError} If a symbolic link leads out of it.
 */
export async function refuseLinks(store: string, below?: string): Promise<void> {
  const folder = below === undefined ? undefined : join(store, below);
  const [link] = await findLinks(store, (path) => folder === undefined || path.startsWith(folder));
  if (link === undefined) return;
  throw new StoreError(
    "STORE_FAILED",
    link,
    `Cannot use the store "${store}": "${link}" is a symbolic link, which is not followed; ` +
      "remove it, or choose another store with --store or STOWAGE_STORE",
  );
}
