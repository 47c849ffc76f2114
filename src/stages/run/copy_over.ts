import { join } from "@std/path";
import { StageError } from "../../errors/mod.ts";
import type { StageContext } from "../stage.ts";
import { makeFolders } from "./tree_file.ts";
import { resolveInTree } from "../../lib/fs/tree_path.ts";

/**
 * Copies folders into a folder of the tree, the later over the earlier; the folder they go to stays
 * as it is. Where the tree has a link to a folder (`/lib -> usr/lib`), what goes below it goes to
 * that folder.
 *
 * @param folders Folders on the tree's file system, which are taken apart, with the names of their
 * inputs.
 * @param to A path in the tree, absolute.
 * @param context What the engine gives to the stage.
 * @throws {StageError} If a folder and something else have the same path.
 */
export async function copyOver(
  folders: readonly { readonly name: string; readonly path: string }[],
  to: string,
  context: StageContext,
): Promise<void> {
  const target = await resolveInTree(context.tree, to);
  const changed = await makeFolders(target);
  for (const { name, path } of folders) {
    for (const part of await partsOf(path, target, name, context)) {
      // They are copies already. A link that is there is replaced, else cp would write to where it
      // leads on this machine.
      const copy = ["cp", "-a", "--link", "--remove-destination"];
      const find = [part.from, "-mindepth", "1", "-maxdepth", "1", "-exec", ...copy];
      await context.run("find", [...find, `--target-directory=${part.to}`, "--", "{}", "+"]);
      changed.push(part.to);
    }
  }
  await context.run("touch", [`--date=@${context.epoch}`, "--", ...new Set(changed)]);
}

/** A folder whose content is copied into another one. */
interface Part {
  readonly from: string;
  readonly to: string;
}

/**
 * Takes a tree apart where the tree that it goes to has links to folders.
 *
 * @param from The tree; what goes elsewhere is moved out of it.
 * @param to The folder of the other tree.
 * @param input Name of the input, for errors.
 * @param context What the engine gives to the stage.
 * @returns The parts, in the order in which they are copied.
 * @throws {StageError} If a folder and something else have the same path.
 */
async function partsOf(
  from: string,
  to: string,
  input: string,
  context: StageContext,
): Promise<Part[]> {
  const { tree, staging, name: stage } = context;
  const parts: Part[] = [{ from, to }];
  const behind = (place: string) =>
    resolveInTree(tree, place.slice(tree.length)).catch((error) => {
      if (error instanceof Deno.errors.FilesystemLoop) return undefined;
      throw error;
    });
  const look = async (folder: string, there: string): Promise<void> => {
    for await (const { name, isDirectory, isSymlink } of Deno.readDir(folder)) {
      const [path, place] = [join(folder, name), join(there, name)];
      const info = await Deno.lstat(place).catch(() => undefined);
      const conflict = (own: string, other: string) => {
        const inTree = place.slice(tree.length);
        return new StageError(
          stage,
          `input "${input}" has ${own} where the tree has ${other}: "${inTree}"`,
          { hint: "leave one of them out, with exclude" },
        );
      };
      if (!info) continue;
      if (!isDirectory) {
        if (info.isDirectory) throw conflict("no folder", "one");
        const isHidden = info.isSymlink && !isSymlink && await isFolder(await behind(place));
        if (isHidden) throw conflict("no folder", "a link to one");
      } else if (info.isDirectory) await look(path, place);
      else if (!info.isSymlink) throw conflict("a folder", "a file");
      else {
        const target = await behind(place);
        if (target === undefined || !await isFolder(target)) {
          throw conflict("a folder", "a link that leads to none");
        }
        const moved = join(staging, crypto.randomUUID());
        await Deno.rename(path, moved);
        parts.push(...await partsOf(moved, target, input, context));
      }
    }
  };
  await look(from, to);
  return parts;
}

async function isFolder(path: string | undefined): Promise<boolean> {
  return path !== undefined && await Deno.lstat(path).then((info) => info.isDirectory, () => false);
}
