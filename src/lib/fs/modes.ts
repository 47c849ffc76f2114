import { dirname, join } from "@std/path";

/** Of the store's files: all may read, as root builds what users look at; only their owner writes. */
export const FILE_MODE = 0o644;
/** Of the store's folders. */
const FOLDER_MODE = 0o755;
const WRITABLE = 0o022;
const WRITABLE_BY_ALL = 0o002;

/**
 * Makes a folder, and those above it that are not there, with the store's mode whatever the umask
 * is. One that is there stays as it is.
 *
 * @param path The folder.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeOne(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await makeFolder(dirname(path));
    await makeOne(path);
  }
}

async function makeOne(path: string): Promise<void> {
  const isThere = () => Deno.stat(path).then((info) => info.isDirectory, () => false);
  if (await isThere()) return; // as it mostly is
  try {
    await Deno.mkdir(path, { mode: FOLDER_MODE });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists && await isThere()) return;
    throw error;
  }
  await Deno.chmod(path, FOLDER_MODE);
}

/**
 * Lets all read what programs have written in a folder, and none but the owner write it, whatever
 * the umask was.
 *
 * @param folder The folder; links in it are not followed.
 */
export async function openForAll(folder: string): Promise<void> {
  await Deno.chmod(folder, FOLDER_MODE);
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile) continue;
    const path = join(folder, name);
    const mode = (await Deno.stat(path)).mode ?? FILE_MODE;
    // A blob that other images share stays as they have it.
    const right = (mode | 0o444) & ~WRITABLE;
    if (right !== mode) await Deno.chmod(path, right & 0o7777);
  }
}

/**
 * Finds folders that other users may write to, and so put into what is taken for verified.
 *
 * @param folders The folders; they need not be there.
 * @returns Those that any user of this machine may write to, or that are another user's; root's are
 * not, as root may write anywhere.
 */
export async function findOpen(folders: readonly string[]): Promise<string[]> {
  const trusted = [Deno.uid(), 0];
  const found = await Promise.all(folders.map(async (folder) => {
    const info = await Deno.stat(folder).catch(() => undefined);
    if (!info) return [];
    const isOpen = ((info.mode ?? 0) & WRITABLE_BY_ALL) !== 0;
    return isOpen || (info.uid !== null && !trusted.includes(info.uid)) ? [folder] : [];
  }));
  return found.flat();
}
