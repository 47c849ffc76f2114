import { basename, dirname, join } from "@std/path";
import { StoreError, StowageError } from "../../errors/mod.ts";
import { sha256Of } from "../hash/hash.ts";

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

/**
 * Turns what the system says into a {@linkcode StoreError}, where anything may have failed.
 *
 * @param doing What was being done, to follow "Cannot".
 * @param path The path that it was done to.
 * @param error What was thrown.
 * @returns The error, or one that has a code already; `undefined` for a bug in stowage.
 */
export function toStowageError(
  doing: string,
  path: string,
  error: unknown,
): StowageError | undefined {
  if (error instanceof StowageError) return error;
  return error instanceof Error && codeOf(error) !== undefined
    ? toStoreError(doing, path, error)
    : undefined;
}

function toStoreError(doing: string, path: string, error: Error): StoreError {
  const systemCode = codeOf(error);
  const why = error.message.replace(/ \(os error \d+\)/, "");
  const message = `Cannot ${doing} "${path}": ${why}`;
  if (systemCode === "ENOSPC" || systemCode === "EDQUOT") {
    return new StoreError("STORE_FULL", path, message, { cause: error });
  }
  if (systemCode === "EROFS" || systemCode === "EACCES" || systemCode === "EPERM") {
    return new StoreError("STORE_READ_ONLY", path, message, { cause: error });
  }
  return new StoreError("STORE_FAILED", path, message, { cause: error });
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

/** What disks say, and file systems that have sums of their own. */
const LOST = ["EIO", "EBADMSG", "EUCLEAN"];

/**
 * Whether the disk has lost what was to be read.
 *
 * @param error Any error.
 * @returns Whether it says so.
 */
export function isLost(error: unknown): boolean {
  return LOST.includes(codeOf(error) ?? "");
}

/**
 * Whether there was no room for what was to be written.
 *
 * @param error Any error.
 * @returns Whether it says so.
 */
export function isFull(error: unknown): boolean {
  return error instanceof StoreError && error.code === "STORE_FULL";
}

/**
 * The size of a file that may be absent.
 *
 * @param path The file; links are not followed.
 * @returns Its size in bytes, or `undefined` if no regular file is there.
 */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const { isFile, size } = await look(path);
    return isFile ? size : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Looks at a file without a thread for it: a store has thousands, and that takes longer than to look.
 *
 * @param path The file; links are not followed.
 * @returns What the system says of it.
 * @throws {Error} If it is not there, or cannot be looked at; `code` is the system's.
 */
export function look(path: string): Promise<Deno.FileInfo> {
  return Promise.try(() => Deno.lstatSync(path));
}

/**
 * Lists a folder that may be absent.
 *
 * @param folder The folder.
 * @returns The names in it, in no order.
 */
export async function list(folder: string): Promise<string[]> {
  return (await readFolder(folder)).map(({ name }) => name);
}

async function readFolder(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return [];
    throw error;
  }
}

/**
 * Lists the folders in a folder that may be absent.
 *
 * @param folder The folder.
 * @returns Their names, in no order; links are none.
 */
export async function listFolders(folder: string): Promise<string[]> {
  const entries = await readFolder(folder);
  return entries.flatMap(({ name, isDirectory }) => isDirectory ? [name] : []);
}

/**
 * Writes a file so that, at any moment, either the old or the new one is there as a whole.
 *
 * @param path The file.
 * @param text What it says then.
 * @param work Where the new one is written, on the same file system; beside the old one if absent.
 */
export async function writeAtomically(
  path: string,
  text: string,
  work: string = dirname(path),
): Promise<void> {
  const next = join(work, `${basename(path)}.${crypto.randomUUID()}`);
  try {
    await Deno.writeTextFile(next, text, { createNew: true });
    await Deno.chmod(next, 0o644); // whatever the umask is
    await sync(next);
    await Deno.rename(next, path);
  } catch (error) {
    await Deno.remove(next).catch(() => {});
    throw error;
  }
}

/**
 * Opens a file to be written as a stream. Deno's own `writable` keeps bytes back, and loses the
 * error where there is no room for them.
 *
 * @param path The file; what is there is replaced.
 * @returns The stream; the file is closed with it.
 */
export async function writableFile(path: string): Promise<WritableStream<Uint8Array>> {
  const file = await Deno.create(path);
  const close = () => file[Symbol.dispose]();
  return new WritableStream({
    write: async (chunk) => {
      try {
        await writeAll(file, chunk);
      } catch (error) {
        close(); // A stream that has failed is not told to.
        throw error;
      }
    },
    close,
    abort: close,
  });
}

/**
 * Writes bytes to where a file is.
 *
 * @param file The file.
 * @param bytes The bytes.
 */
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

/**
 * Makes sure that a folder and all in it would survive a loss of power.
 *
 * @param folder The folder.
 * @param options Whether files with names elsewhere are synced already, so that only the folder's
 * names of them are not.
 */
export async function syncTree(
  folder: string,
  options: { readonly areLinksSynced?: boolean } = {},
): Promise<void> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  while (entries.length > 0) {
    const some = entries.splice(0, SYNCED_AT_ONCE);
    await Promise.all(some.map(async ({ name, isDirectory, isFile }) => {
      const path = join(folder, name);
      if (isDirectory) await syncTree(path, options);
      else if (isFile && !(options.areLinksSynced && await isLinked(path))) await sync(path);
    }));
  }
  await sync(folder);
}

async function isLinked(path: string): Promise<boolean> {
  return ((await Deno.lstat(path)).nlink ?? 1) > 1;
}

/** Together they take a file system hardly longer than one. */
const SYNCED_AT_ONCE = 8;

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
  // A pipe in its place would let nobody go on.
  if (!(await Deno.lstat(folder)).isDirectory) throw new Deno.errors.NotADirectory(folder);
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
 * Whether someone has a file or a folder locked.
 *
 * @param path The file or folder.
 * @returns Whether it is locked; also where it cannot be opened, or is gone.
 */
export async function isLocked(path: string): Promise<boolean> {
  try {
    // On NFS, only who may write a file can have it alone; a folder is never opened for that.
    using file = await Deno.open(path, { read: true, write: true }).catch(() => Deno.open(path));
    return !await file.tryLock(true);
  } catch (error) {
    if (["ENOENT", "EACCES", "EPERM"].includes(codeOf(error) ?? "")) return true;
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
  return `sha256:${sha256Of(bytes)}`;
}
