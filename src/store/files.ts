import { createHash } from "node:crypto";
import { join } from "@std/path";
import { StoreError, StowageError } from "../errors.ts";

/**
 * Turns what the system says into a {@linkcode StoreError}.
 *
 * @param doing What was being done, to follow "Cannot".
 * @param path The path that it was done to.
 * @param action What is done.
 * @returns What the action returns.
 * @throws {StoreError} If the action fails.
 */
export async function guard<Value>(
  doing: string,
  path: string,
  action: () => Promise<Value>,
): Promise<Value> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof StowageError || !(error instanceof Error)) throw error;
    throw toStoreError(doing, path, error);
  }
}

function toStoreError(doing: string, path: string, error: Error): StoreError {
  const systemCode = codeOf(error);
  const why = error.message.replace(/ \(os error \d+\)/, "");
  const message = `Cannot ${doing} "${path}": ${why}`;
  if (systemCode === "ENOSPC" || systemCode === "EDQUOT") {
    return new StoreError("STORE_FULL", path, message, error);
  }
  if (systemCode === "EROFS" || systemCode === "EACCES" || systemCode === "EPERM") {
    return new StoreError("STORE_READ_ONLY", path, message, error);
  }
  return new StoreError("STORE_FAILED", path, message, error);
}

/**
 * The system's own code of an error.
 *
 * @param error Any error.
 * @returns A name such as `ENOENT`, or `undefined`.
 */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}

/**
 * Reads a file that may be absent.
 *
 * @param path The file.
 * @returns Its bytes, or `undefined` if no file is there.
 */
export async function readIfThere(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/**
 * The size of a file that may be absent.
 *
 * @param path The file; links are not followed.
 * @returns Its size in bytes, or `undefined` if no regular file is there.
 */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const { isFile, size } = await Deno.lstat(path);
    return isFile ? size : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Lists a folder that may be absent.
 *
 * @param folder The folder.
 * @returns The names in it, in no order.
 */
export async function list(folder: string): Promise<string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/**
 * Writes a file so that, at any moment, either the old or the new one is there as a whole.
 *
 * @param path The file.
 * @param text What it says then.
 */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const next = `${path}.${crypto.randomUUID()}`;
  try {
    await Deno.writeTextFile(next, text, { createNew: true, mode: 0o644 });
    await sync(next);
    await Deno.rename(next, path);
  } catch (error) {
    await Deno.remove(next).catch(() => {});
    throw error;
  }
}

/**
 * Makes sure that a folder and all in it would survive a loss of power.
 *
 * @param folder The folder.
 */
export async function syncTree(folder: string): Promise<void> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) await syncTree(path);
    else if (isFile) await sync(path);
  }
  await sync(folder);
}

/**
 * Makes sure that a file, or the names in a folder, would survive a loss of power.
 *
 * @param path The file or folder.
 */
export async function sync(path: string): Promise<void> {
  using file = await Deno.open(path);
  await file.sync();
}

/**
 * Waits until no other process, and nothing else in this one, has a folder locked.
 *
 * @param folder The folder.
 * @returns The lock; dispose of it to let go. The kernel does, however the process ends.
 */
export async function lockFolder(folder: string): Promise<Deno.FsFile> {
  const lock = await Deno.open(folder);
  try {
    await lock.lock(true);
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

/**
 * Hashes bytes.
 *
 * @param bytes The bytes.
 * @returns `sha256:` and 64 hex digits.
 */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
