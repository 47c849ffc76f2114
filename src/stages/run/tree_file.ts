import { basename, dirname, join } from "@std/path";
import type { StageContext } from "../stage.ts";
import { resolveInTree } from "./tree_path.ts";

/**
 * Adds a file to the tree, with the folders that it needs; all that is new there is dated as the
 * context says. A file that is there already gives way.
 *
 * @param path A path in the tree, absolute.
 * @param write Makes the file.
 * @param context What the engine gives to the stage.
 */
export async function addToTree(
  path: string,
  write: (file: string) => Promise<void>,
  { tree, epoch, run }: StageContext,
): Promise<void> {
  const folder = await resolveInTree(tree, dirname(path));
  const changed = await makeFolders(folder);
  const file = join(folder, basename(path));
  await Deno.remove(file).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await write(file);
  await run("touch", ["--no-dereference", `--date=@${epoch}`, "--", file, ...changed]);
}

/**
 * Writes a text with a mode, whatever the umask is.
 *
 * @param path The file.
 * @param text What it says then.
 * @param mode Its permissions.
 */
export async function writeWithMode(path: string, text: string, mode: number): Promise<void> {
  await Deno.writeTextFile(path, text);
  await Deno.chmod(path, mode);
}

/**
 * Makes a folder, if need be, with all above it.
 *
 * @param folder The folder, where it really is.
 * @returns The folders that have, or will have, something new in them.
 */
export async function makeFolders(folder: string): Promise<string[]> {
  if (await Deno.stat(folder).then(() => true, () => false)) return [folder];
  const changed = await makeFolders(dirname(folder));
  await Deno.mkdir(folder);
  await Deno.chmod(folder, 0o755);
  return [...changed, folder];
}
