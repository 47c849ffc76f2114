import { basename, dirname, join } from "@std/path";
import type { StageContext } from "../stage.ts";
import { StageError } from "../../errors/mod.ts";
import { OddFile, readIfThere } from "../../lib/fs/outside_file.ts";
import { resolveInTree } from "../../lib/fs/tree_path.ts";

/**
 * Reads a text of the tree.
 *
 * @param path A path in the tree, absolute.
 * @param context What the engine gives to the stage.
 * @returns The text; `undefined` where nothing is there.
 * @throws {StageError} If something else than a file is there.
 */
export async function readInTree(
  path: string,
  { tree, name }: Pick<StageContext, "tree" | "name">,
): Promise<string | undefined> {
  try {
    const bytes = await readIfThere(await resolveInTree(tree, path));
    return bytes && new TextDecoder().decode(bytes);
  } catch (error) {
    if (!(error instanceof OddFile)) throw error;
    throw new StageError(name, `cannot use the tree's ${path}: ${error.message}`, { cause: error });
  }
}

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
