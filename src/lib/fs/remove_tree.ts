import { join } from "@std/path";

/**
 * Removes a tree, also where its own folders do not let their owner write. Files are not touched,
 * which may be in other trees as well.
 *
 * @param path Its folder; it need not be there.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    await openFolders(path);
    await Deno.remove(path, { recursive: true });
  }
}

async function openFolders(path: string): Promise<void> {
  const { isDirectory, mode } = await Deno.lstat(path);
  if (!isDirectory) return;
  if (mode !== null && (mode & 0o700) !== 0o700) await Deno.chmod(path, (mode & 0o7777) | 0o700);
  for await (const entry of Deno.readDir(path)) {
    if (entry.isDirectory) await openFolders(join(path, entry.name));
  }
}
