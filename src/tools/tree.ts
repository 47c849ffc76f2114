import { createHash } from "node:crypto";
import { all, mustRun, type ProcessOptions } from "./process.ts";
import { joint } from "./process_streams.ts";

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

/** No name sorts before it, as none has a byte of 0. */
const AFTER_NAME = "\\1";

/**
 * Tells whether a tree is as it was, without reading its files. A tree may have millions of them:
 * their list is sorted by a program that keeps little in memory.
 *
 * @param tree The folder.
 * @param options Cancellation; `changes` also sees what was written and then dated back, and follows
 * a link to the folder; `strict` sees what was put in the place of something else as well. A copy has
 * another fingerprint then.
 * @returns sha256 over names, types, modes, owners, sizes, times and links, 64 hex digits.
 */
export async function fingerprint(
  tree: string,
  options: ProcessOptions & { readonly strict?: boolean; readonly changes?: boolean } = {},
): Promise<string> {
  const { signal, strict = false, changes = strict } = options;
  const hash = createHash("sha256");
  const list = joint();
  const stdout = new WritableStream<Uint8Array>({ write: (chunk) => void hash.update(chunk) });
  const format = `%P${AFTER_NAME}${strict ? "%i " : ""}${
    changes ? "%C@ " : ""
  }%y %s %m %U %G %T@ %l\\0`;
  const sort = ["--zero-terminated", "--buffer-size=16M"];
  await all([
    mustRun("find", [...(changes ? ["-H"] : []), tree, "-printf", format], {
      signal,
      stdout: list.writable,
    }),
    mustRun("sort", sort, { signal, stdin: list.readable, stdout, env: { LC_ALL: "C" } }),
  ]);
  return hash.digest("hex");
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
