import { createHash } from "node:crypto";
import { join, relative } from "@std/path";
import { hash } from "./audit.ts";
import { STORAGE } from "./world.ts";

/**
 * Tells what is in a tree by its own bytes; of a container storage, which images it has.
 *
 * @param tree The folder.
 * @returns A digest of names, types, modes, owners and bytes.
 */
export async function describeTree(tree: string): Promise<string> {
  const lines: string[] = [];
  await describe(tree, tree, lines);
  return createHash("sha256").update(lines.sort().join("\n")).digest("hex");
}

async function describe(tree: string, path: string, lines: string[]): Promise<void> {
  const { isDirectory, isSymlink, mode, uid, gid } = await Deno.lstat(path);
  const name = relative(tree, path);
  if (`/${name}` === STORAGE) {
    const images = await Deno.readTextFile(join(path, "vfs-images/images.json"));
    const known: readonly { id: string; names: readonly string[] }[] = JSON.parse(images);
    for (const { id, names } of known) lines.push(`${name} ${id} ${names}`);
    return;
  }
  const content = isSymlink
    ? await Deno.readLink(path)
    : isDirectory
    ? "/"
    : hash(await Deno.readFile(path));
  lines.push(`${name} ${mode} ${uid}:${gid} ${content}`);
  if (!isDirectory || isSymlink) return;
  for await (const entry of Deno.readDir(path)) await describe(tree, join(path, entry.name), lines);
}
