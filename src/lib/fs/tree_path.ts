import { join } from "@std/path";

const MAX_LINKS = 40;

/**
 * Finds where a path of a tree really is, as a process that has the tree as its root would: a link
 * in the tree never leads out of it.
 *
 * @param tree The tree.
 * @param path A path in it, absolute.
 * @returns The path on this machine; what is not there yet is taken as it is written.
 * @throws {Deno.errors.FilesystemLoop} If links go round in a circle.
 */
export async function resolveInTree(tree: string, path: string): Promise<string> {
  let rest = path.split("/");
  let inside: string[] = [];
  for (let links = 0; rest.length > 0;) {
    const [part = "", ...others] = rest;
    rest = others;
    if (part === "" || part === ".") continue;
    if (part === "..") {
      inside = inside.slice(0, -1);
      continue;
    }
    const target = await Deno.readLink(join(tree, ...inside, part)).catch(() => undefined);
    if (target === undefined) {
      inside.push(part);
      continue;
    }
    if (++links > MAX_LINKS) {
      throw new Deno.errors.FilesystemLoop(`too many links in "${path}" of the tree`);
    }
    if (target.startsWith("/")) inside = [];
    rest = [...target.split("/"), ...rest];
  }
  return join(tree, ...inside);
}

/**
 * Makes a folder of a tree.
 *
 * @param tree The tree.
 * @param path A path in it, absolute.
 * @returns The folder on this machine, there now.
 */
export async function ensureDirInTree(tree: string, path: string): Promise<string> {
  const folder = await resolveInTree(tree, path);
  await Deno.mkdir(folder, { recursive: true, mode: 0o755 });
  return folder;
}
