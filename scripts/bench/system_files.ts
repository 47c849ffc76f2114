import { createHash } from "node:crypto";
import { dirname, join } from "@std/path";
import { fileLayer, type Layer, type TarFile } from "../../tests/support/mod.ts";

const FOLDERS = ["usr/bin", "usr/lib", "usr/share"];

/** The longest path that the plainest kind of tar archive holds. */
const LONGEST = 99;

/** A file of this machine. */
interface SystemFile {
  /** Without the leading slash. */
  readonly path: string;
  readonly size: number;
  readonly mode: number;
}

/**
 * Makes a layer as images of real systems have it: programs, libraries, data and texts of this
 * machine's /usr, in gzip as usual.
 *
 * @param size How much of them, in bytes before compression.
 * @returns The layer.
 */
export async function systemLayer(size: number): Promise<Layer> {
  const tree: Record<string, TarFile> = {};
  for (const { path, mode } of await systemFiles(size)) {
    tree[path] = { data: await Deno.readFile(`/${path}`), mode };
  }
  return await fileLayer(tree);
}

/**
 * Copies files of this machine's /usr, those that {@linkcode systemLayer} takes.
 *
 * @param folder Where to.
 * @param size How much, in bytes.
 */
export async function copySystemFiles(folder: string, size: number): Promise<void> {
  for (const { path } of await systemFiles(size)) {
    const target = join(folder, path);
    await Deno.mkdir(dirname(target), { recursive: true });
    await Deno.copyFile(`/${path}`, target);
  }
}

/** A mixture: files in the order of their names' hashes, until it is enough. */
async function systemFiles(size: number): Promise<SystemFile[]> {
  const all = (await Promise.all(FOLDERS.map(list))).flat();
  const keyed = all.map((file) => ({
    file,
    key: createHash("sha256").update(file.path).digest("hex"),
  }));
  const files: SystemFile[] = [];
  let left = size;
  for (const { file } of keyed.sort((a, b) => a.key < b.key ? -1 : 1)) {
    if (file.size > left) continue;
    files.push(file);
    left -= file.size;
  }
  return files;
}

async function list(folder: string): Promise<SystemFile[]> {
  const files: SystemFile[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(`/${folder}`)) {
    const path = `${folder}/${name}`;
    if (isDirectory) files.push(...await list(path));
    if (!isFile || path.length > LONGEST) continue;
    const { size, mode } = await Deno.lstat(`/${path}`);
    files.push({ path, size, mode: (mode ?? 0o644) & 0o777 });
  }
  return files;
}
