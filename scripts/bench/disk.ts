import { join } from "@std/path";

/**
 * Counts what is in files, each of which counts once however many names it has.
 *
 * @param path A file or a folder, or nothing.
 * @returns Bytes of the content of regular files.
 */
export async function bytesOnDisk(path: string): Promise<number> {
  const sizes = new Map<string, number>();
  await visit(path, (info) => {
    if (info.isFile) sizes.set(`${info.dev}:${info.ino}`, info.size);
  });
  return sizes.values().reduce((sum, size) => sum + size, 0);
}

async function visit(path: string, look: (info: Deno.FileInfo) => void): Promise<void> {
  const info = await Deno.lstat(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  if (!info) return;
  look(info);
  if (!info.isDirectory) return;
  for await (const { name } of Deno.readDir(path)) await visit(join(path, name), look);
}
