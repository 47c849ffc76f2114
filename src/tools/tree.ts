import { createHash } from "node:crypto";
import { mustRun, type ProcessOptions } from "./process.ts";

const MAX_LISTING = 2 ** 30;

/**
 * Copies what is in a folder into another one, with all that belongs to a file: owners, modes,
 * times, extended attributes, hard links, holes. Blocks are shared where the file system can.
 *
 * @param from The folder.
 * @param to The other folder; it must be there.
 * @param options Cancellation.
 * @throws {ToolError} If something cannot be copied.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function copyInto(
  from: string,
  to: string,
  options: ProcessOptions = {},
): Promise<void> {
  await mustRun("cp", ["-a", "--reflink=auto", "--", `${from}/.`, to], options);
}

/**
 * Tells whether a tree is as it was, without reading its files.
 *
 * @param tree The folder.
 * @param options Cancellation.
 * @returns sha256 over names, types, modes, owners, sizes, times and links, 64 hex digits.
 */
export async function fingerprint(tree: string, options: ProcessOptions = {}): Promise<string> {
  const { stdout } = await mustRun("find", [tree, "-printf", "%P\\0%y %s %m %U %G %T@ %l\\0"], {
    ...options,
    maxOutput: MAX_LISTING,
  });
  // A pair a file, in the order of the disk; names are bytes, not text.
  const fields = new TextDecoder("latin1").decode(stdout).split("\0");
  const files = fields.flatMap((name, at) => at % 2 === 0 ? [`${name}\0${fields[at + 1]}`] : []);
  return createHash("sha256").update(files.sort().join("\0")).digest("hex");
}

/**
 * Makes sure that all of a file system would survive a loss of power; for trees, which may have too
 * many files to do it one by one.
 *
 * @param path Any path on it.
 */
export async function syncFileSystem(path: string): Promise<void> {
  await mustRun("sync", ["--file-system", "--", path]);
}
