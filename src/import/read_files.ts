import { ImportError } from "../errors/mod.ts";
import { codeOf } from "../lib/fs/files.ts";
import { readOutside } from "../lib/fs/outside_file.ts";
import { resolveInTree } from "../lib/fs/tree_path.ts";
import type { ImportFile, ImportKind } from "./import_kind.ts";

/**
 * Reads a file itself, or the files of a folder, or of a tree, that are of a kind.
 *
 * @param path The file, or the folder.
 * @param kind The kind.
 * @returns The files.
 * @throws {ImportError} If one cannot be read, or a folder is a mistake.
 */
export async function readFiles(
  path: string,
  { pattern, folders = [] }: Pick<ImportKind, "pattern" | "folders">,
): Promise<ImportFile[]> {
  try {
    const { isDirectory } = await Deno.stat(path);
    if (!isDirectory) return [{ path, text: await readText(path) }];
    if (!pattern) throw new ImportError(`Cannot import "${path}": it is a folder`);
    const files: ImportFile[] = [];
    const inTree = await findInTree(path, folders, pattern);
    if (inTree) {
      for (const [path, place] of inTree) {
        const text = await readText(place).catch((cause) => refuse(path, cause));
        files.push({ path, text });
      }
      return files;
    }
    for (const entry of (await Array.fromAsync(Deno.readDir(path))).sort(byName)) {
      const inner = `${path.replace(/\/+$/, "")}/${entry.name}`;
      if (entry.isDirectory) files.push(...await readFiles(inner, { pattern }));
      else if (pattern.test(inner)) files.push({ path: inner, text: await readText(inner) });
    }
    return files;
  } catch (cause) {
    return refuse(path, cause);
  }
}

function refuse(path: string, cause: unknown): never {
  if (cause instanceof ImportError || codeOf(cause) === undefined || !(cause instanceof Error)) {
    throw cause;
  }
  const why = cause.message.replace(/ \(os error \d+\)/, "");
  throw new ImportError(`Cannot read "${path}": ${why}`, { cause });
}

/**
 * Finds the files of a tree, whose links never lead out of it.
 *
 * @returns Their paths, and where they really are; `undefined` where this is no tree.
 */
async function findInTree(
  root: string,
  folders: readonly (readonly string[])[],
  pattern: RegExp,
): Promise<Map<string, string> | undefined> {
  const found = new Map<string, string>();
  const seen = new Set<string>();
  let isTree = false;
  const masked = await resolveInTree(root, "/dev/null");
  const look = async (path: string, names: Set<string>): Promise<boolean> => {
    const place = await resolveInTree(root, path);
    const isFolder = await Deno.lstat(place).then((info) => info.isDirectory, () => false);
    if (isFolder) {
      if (seen.has(place)) return true;
      seen.add(place);
      for (const { name } of (await Array.fromAsync(Deno.readDir(place))).sort(byName)) {
        await look(`${path}/${name}`, names);
      }
    } else if (pattern.test(path) && !seen.has(place)) {
      const name = path.slice(path.lastIndexOf("/") + 1);
      const isFirst = name.endsWith(".conf") || !names.has(name);
      names.add(name);
      if (place === masked || !isFirst) return false; // as systemd has it
      seen.add(place);
      found.set(`${root.replace(/\/+$/, "")}${path}`, place);
    }
    return isFolder;
  };
  for (const group of folders) {
    const names = new Set<string>();
    for (const folder of group) isTree = await look(folder, names) || isTree;
  }
  return isTree ? found : undefined;
}

/** Manifests of whole systems have some MiB. */
const MAX_BYTES = 64 * 2 ** 20;

async function readText(path: string): Promise<string> {
  const bytes = await readOutside(path, MAX_BYTES);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
    throw new ImportError(`Cannot read "${path}": it is ${isGzip ? "compressed" : "no text"}`, {
      cause,
      ...isGzip && { hint: "unpack it first: gzip -dk FILE" },
    });
  }
}

function byName(one: Deno.DirEntry, other: Deno.DirEntry): number {
  return one.name < other.name ? -1 : 1;
}
