import { join } from "@std/path";
import type { Finding, FindingKind, FindingProblem } from "../finding.ts";
import { codeOf, digestOf, look } from "../lib/fs/files.ts";
import { readOutside } from "../lib/fs/outside_file.ts";

/** What is found, before it is known where else the same file is. */
export type FoundOne = Omit<Finding, "links" | "quarantine"> & {
  /** The file on its disk, where it is one. */
  readonly inode?: string;
};

/** A file, or a part of one, whose bytes have to be hashed. */
export interface Check {
  /** What it is. */
  readonly kind: FindingKind;
  /** Where it is. */
  readonly path: string;
  /** The file on its disk; the same for hard links. */
  readonly inode: string;
  /** How much there is to hash, in bytes. */
  readonly size: number;
  /** The part that is meant, in bytes; all of it if absent. */
  readonly range?: { readonly start: number; readonly length: number };
  /** What it has to hash to. */
  readonly digest?: string;
  /** What it has to hash to without its compression. */
  readonly unpacked?: string;
  /** The folder that is put aside with it; the file alone if absent. */
  readonly whole?: string;
  /** Its name in the store, where it is not its digest. */
  readonly id?: string;
  /** What is wrong if it does not hash to `unpacked`, where that is not the file itself. */
  readonly onUnpacked?: Pick<FoundOne, "kind" | "path" | "digest">;
  /** Ids of the images that it belongs to. */
  readonly entries: readonly string[];
}

/** What was found at first sight, and what has to be hashed. */
export interface Looked {
  /** What is wrong. */
  readonly found: readonly FoundOne[];
  /** What has to be hashed. */
  readonly checks: readonly Check[];
}

/** A file as it is on its disk. */
export interface SeenFile {
  /** The file on its disk; the same for hard links. */
  readonly inode: string;
  /** Its size in bytes. */
  readonly size: number;
}

/** What is at a path, with links told apart. */
export type Seen = (SeenFile & { readonly type: "file" }) | {
  readonly type: "folder" | "link" | "other" | "nothing";
};

/**
 * Looks what is at a path; symbolic links are not followed.
 *
 * @param path The path.
 * @returns What is there.
 */
export async function see(path: string): Promise<Seen> {
  try {
    const info = await look(path);
    if (info.isSymlink) return { type: "link" };
    if (info.isDirectory) return { type: "folder" };
    return info.isFile
      ? { type: "file", inode: `${info.dev}:${info.ino}`, size: info.size }
      : { type: "other" };
  } catch (error) {
    // ELOOP: what it would be in is a link that leads to itself.
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(error) ?? "")) return { type: "nothing" };
    throw error;
  }
}

/**
 * Says how something is wrong that is not of the type that it has to be.
 *
 * @param type What is there.
 * @param wanted What has to be there.
 * @returns The problem and its message.
 */
export function wrongType(
  type: Seen["type"],
  wanted: "file" | "folder",
): { readonly problem: FindingProblem; readonly message: string } {
  if (type === "nothing") return { problem: "missing", message: `the ${wanted} is not there` };
  if (type === "link") {
    return { problem: "link", message: `it is a symbolic link, expected a ${wanted}` };
  }
  return { problem: "format", message: `it is no ${wanted}` };
}

/**
 * Looks at something; what the system does not let be read is told, and ends nothing.
 *
 * @param what What it is, and where.
 * @param look Looks at it.
 * @returns What was found.
 */
export async function lookAt(
  what: Pick<FoundOne, "kind" | "path" | "digest" | "id" | "entries">,
  look: () => Promise<Looked>,
): Promise<Looked> {
  try {
    return await look();
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return { found: [{ ...what, ...unreadable(error) }], checks: [] };
  }
}

/**
 * Says that something cannot be read. It may be right for all that: who reads may not be allowed to,
 * and a disk that fails now may give it the next time.
 *
 * @param error What the system says.
 * @returns The problem and its message.
 */
export function unreadable(
  error: unknown,
): { readonly problem: FindingProblem; readonly message: string } {
  const said = error instanceof Error ? error.message : String(error);
  const [why] = said.split(" (os error");
  return { problem: "unreadable", message: `it cannot be read: ${why}` };
}

/** How large a file may be that is read as a whole, in bytes; manifests have 4 MiB at most. */
export const MAX_SMALL = 64 * 2 ** 20;

/**
 * Reads a small file and compares it with its digest.
 *
 * @param what What it is, where, and the digest that it has to have.
 * @returns Its bytes, or what is wrong with it.
 */
export async function readSmall(
  what: Pick<FoundOne, "kind" | "path" | "digest" | "entries">,
): Promise<{ readonly bytes: Uint8Array } | { readonly wrong: FoundOne }> {
  const seen = await see(what.path);
  if (seen.type !== "file") return { wrong: { ...what, ...wrongType(seen.type, "file") } };
  const { inode, size } = seen;
  if (size > MAX_SMALL) {
    const message = `it has ${size} bytes, which is too much for what it is`;
    return { wrong: { ...what, inode, problem: "size", message } };
  }
  const bytes = await readOutside(what.path, MAX_SMALL).catch(unreadable);
  if ("problem" in bytes) return { wrong: { ...what, inode, ...bytes } };
  const digest = digestOf(bytes);
  if (what.digest === undefined || what.digest === digest) return { bytes };
  return { wrong: { ...what, inode, ...otherDigest(digest, what.digest) } };
}

/**
 * Says that bytes are not what their digest says.
 *
 * @param actual What they hash to.
 * @param expected What they have to hash to.
 * @returns The problem and its message.
 */
export function otherDigest(
  actual: string,
  expected: string,
): { readonly problem: "content"; readonly message: string } {
  return { problem: "content", message: `it hashes to ${actual}, expected ${expected}` };
}

/**
 * Finds what is no file in a folder where nothing else belongs: links, pipes, folders.
 *
 * @param folder The folder.
 * @returns Their paths.
 */
export async function oddIn(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile) paths.push(join(folder, name));
  }
  return paths.sort();
}
