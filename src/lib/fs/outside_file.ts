import { ConfigFileError, UsageError } from "../../errors/mod.ts";
import { MAX_JSON } from "../json.ts";
import { codeOf, sizeOf } from "./files.ts";

const NOT_THERE = ["ENOENT", "ENOTDIR"];

/** A path leads to something that is never read: a pipe, a device, a folder, far too much. */
export class OddFile extends Error {
  /** As the system would say it. */
  readonly code = "EINVAL";
}

/**
 * Reads a file that others have put there. Links are followed; but a pipe would wait for who writes
 * to it, and a device may never end.
 *
 * @param path The file.
 * @param limit How many bytes it may have at most.
 * @returns Its bytes.
 * @throws {OddFile} If it is no regular file, or larger; the message follows its path.
 * @throws {Error} If it cannot be read; `code` is the system's.
 */
export async function readOutside(
  path: string | URL,
  limit: number = MAX_JSON,
): Promise<Uint8Array<ArrayBuffer>> {
  refuseOdd(await Deno.stat(path), limit);
  using file = await Deno.open(path);
  const info = await file.stat(); // it may have been replaced
  refuseOdd(info, limit);
  // Files of the kernel's own have no size.
  let bytes = new Uint8Array(Math.max(info.size, 4095) + 1);
  for (let length = 0;;) {
    const count = await file.read(bytes.subarray(length));
    if (count === null) return bytes.slice(0, length);
    length += count;
    if (length > limit) throw new OddFile(`it has more than ${limit} bytes`);
    if (length < bytes.length) continue;
    const more = new Uint8Array(2 * bytes.length);
    more.set(bytes);
    bytes = more;
  }
}

function refuseOdd({ isFile, size }: Deno.FileInfo, limit: number): void {
  if (!isFile) throw new OddFile("it is no regular file");
  if (size > limit) throw new OddFile(`it has ${size} bytes, and at most ${limit} are read`);
}

/**
 * Reads the text of a file that others have put there.
 *
 * @param path The file; links are followed.
 * @returns Its text.
 * @throws {OddFile} If it is no regular file, or too large; the message follows its path.
 * @throws {Error} If it cannot be read; `code` is the system's.
 */
export async function readOutsideText(path: string): Promise<string> {
  return new TextDecoder().decode(await readOutside(path));
}

/**
 * Reads a file that others have put there, or not.
 *
 * @param path The file; links are followed.
 * @param limit How many bytes it may have at most.
 * @returns Its bytes, or `undefined` if nothing is there.
 * @throws {OddFile} If it is no regular file, or larger; the message follows its path.
 * @throws {Error} If it cannot be read; `code` is the system's.
 */
export async function readIfThere(
  path: string,
  limit: number = MAX_JSON,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await readOutside(path, limit);
  } catch (error) {
    if (NOT_THERE.includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/**
 * Reads a file where others may have put something else: a link is not followed, and what is no
 * regular file, or is too large, is not read.
 *
 * @param path The file.
 * @param limit How many bytes it may have at most.
 * @returns Its bytes, or `undefined` if no such file is there.
 * @throws {Error} If it cannot be read; `code` is the system's.
 */
export async function readRegular(
  path: string,
  limit: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const size = await sizeOf(path);
  return size === undefined || size > limit ? undefined : await readSeen(path);
}

/**
 * Reads a file of which it was seen a moment ago that it is a regular one, and not too large.
 *
 * @param path The file.
 * @returns Its bytes, or `undefined` if it is gone.
 * @throws {Error} If it cannot be read; `code` is the system's.
 */
export async function readSeen(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    // In one go: a store has thousands of these.
    return await Deno.readFile(path);
  } catch (error) {
    if (NOT_THERE.includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/**
 * Says of a file of this machine's settings that it is odd: skopeo must not be sent there either, as
 * it would wait for it.
 *
 * @param path The file.
 * @param error Why it was not read.
 * @returns The error to throw, where it is odd.
 */
export function ofOddFile(path: string, error: unknown): ConfigFileError | undefined {
  if (!(error instanceof OddFile)) return undefined;
  return new ConfigFileError(`Cannot use "${path}": ${error.message}`, {
    cause: error,
    hint: "put the file that is meant in its place",
  });
}

/**
 * Refuses a path that a file must not be renamed to: a device, a pipe or a folder is there, which
 * the file would replace; root may do so even to `/dev/null`.
 *
 * @param path The path, as a person has named it; nothing need be there.
 * @throws {UsageError} If what is there is no regular file.
 */
export async function refuseOddOutput(path: string): Promise<void> {
  const refuse = (what: string) =>
    new UsageError(`Cannot write "${path}": ${what} is there`, {
      hint: "name a file, or a path where nothing is",
    });
  const { isSymlink } = await Deno.lstat(path).catch(() => ({ isSymlink: false }));
  // `/dev/stdout` and its like, which may stand for a regular file.
  const isOpenFile = isSymlink && (await Deno.readLink(path)).startsWith("/proc/");
  const info = await Deno.stat(path).catch(() => undefined);
  if (info?.isDirectory) throw refuse("a folder");
  if (isOpenFile || (info && !info.isFile)) throw refuse("what is no regular file");
}
