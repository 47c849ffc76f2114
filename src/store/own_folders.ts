import { join } from "@std/path";
import { StoreError } from "../errors/mod.ts";
import { see } from "./check.ts";
import { guard, list } from "../lib/fs/files.ts";

/** osbuild's content type for images. */
export const CONTAINERS = "org.osbuild.containers";
/** osbuild's content type for files, which indexes are kept as. */
export const FILES = "org.osbuild.files";

/** The folders that a store is made of, each behind that which it is in. */
const FOLDERS = [
  ...["sources", `sources/${CONTAINERS}`, `sources/${FILES}`],
  ...["blobs", "blobs/sha256", "blobs/diff-ids", "blobs/partial"],
  ...["archives", "trees", "quarantine", "tmp"],
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

/**
 * Tells a store from other folders.
 *
 * @param folder The folder.
 * @returns Whether a store's own are in it; also if it is empty, as a new one is.
 */
export async function isStore(folder: string): Promise<boolean> {
  const names = await guard("read", folder, () => list(folder));
  const isOwn = (name: string) => name !== "tmp" && FOLDERS.includes(name);
  return names.some(isOwn) || names.every((name) => name === "tmp");
}

/**
 * Finds symbolic links in place of folders that a store is made of. What the store itself is reached
 * by may be one.
 *
 * @param store The store.
 * @returns Their paths.
 */
export async function findLinks(store: string): Promise<string[]> {
  const [, ...folders] = foldersOf(store);
  const types = await Promise.all(folders.map(async (path) => (await see(path)).type));
  return folders.filter((_, at) => types[at] === "link");
}

/**
 * Makes sure that what is done to a store is done to nothing else.
 *
 * @param store The store.
 * @throws {StoreError} If a symbolic link leads out of it.
 */
export async function refuseLinks(store: string): Promise<void> {
  const [link] = await findLinks(store);
  if (link === undefined) return;
  throw new StoreError(
    "STORE_FAILED",
    link,
    `Cannot use the store "${store}": "${link}" is a symbolic link, which is not followed; ` +
      "remove it, or choose another store with --store or STOWAGE_STORE",
  );
}
