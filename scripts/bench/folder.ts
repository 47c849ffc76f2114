import { join } from "@std/path";

/** A folder for the files of a case. */
export interface Folder {
  readonly path: string;
  /** A path inside the folder. */
  join(...parts: string[]): string;
}

/**
 * Makes a folder in a folder.
 *
 * @param parent The folder.
 * @param name What it is called.
 * @returns The new one.
 */
export async function folderIn(parent: Folder, name: string): Promise<Folder> {
  const path = parent.join(name);
  await Deno.mkdir(path);
  return { path, join: (...parts) => join(path, ...parts) };
}

/**
 * Removes a folder or a file.
 *
 * @param path Where it is; it may be absent.
 */
export async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
