import type { FileProgress } from "./file_progress.ts";

/**
 * Opens a file that is one itself: no symbolic link, nor anything that would wait for a writer.
 *
 * @param path The file.
 * @returns The file, open for reading.
 * @throws {Error} If it is something else, or cannot be opened; `code` is the system's.
 */
export async function openRegular(path: string): Promise<Deno.FsFile> {
  const seen = await Deno.lstat(path);
  if (!seen.isFile) throw Object.assign(new Error(`"${path}" is no file`), { code: "EINVAL" });
  const file = await Deno.open(path);
  const opened = await file.stat();
  if (opened.ino === seen.ino && opened.dev === seen.dev) return file;
  file.close();
  throw Object.assign(new Error(`"${path}" was replaced meanwhile`), { code: "ENOENT" });
}

/** How much is read at a time, in bytes. */
const CHUNK = 2 ** 20;
/** The same where the file does not grow faster. */
const SMALL_CHUNK = 256 * 1024;

/**
 * Reads a file from start to end; while one part is worked on, the next is read.
 *
 * @param file The file.
 * @param length How many bytes there are to read, from where the file is; all if absent.
 * @returns Its parts; each counts only until the next one is asked for.
 */
export async function* readChunks(
  file: Deno.FsFile,
  length = Infinity,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const buffers = [new Uint8Array(CHUNK), new Uint8Array(CHUNK)] as const;
  let left = length;
  const read = (buffer: Uint8Array<ArrayBuffer>) =>
    left > 0 ? file.read(buffer.subarray(0, Math.min(CHUNK, left))) : Promise.resolve(null);
  let next = read(buffers[0]);
  try {
    for (let at = 0;; at = 1 - at) {
      const [current, other] = at === 0 ? buffers : [buffers[1], buffers[0]];
      const count = await next;
      if (count === null) return;
      left -= count;
      next = read(other);
      yield current.subarray(0, count);
    }
  } finally {
    await next.catch(() => {}); // the file must not be closed before
  }
}

/**
 * Reads a file that somebody writes.
 *
 * @param file The file.
 * @param growth How far it is.
 * @returns Its parts; each counts only until the next one is asked for.
 */
export async function* readGrowing(
  file: Deno.FsFile,
  growth: FileProgress,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(SMALL_CHUNK);
  for (let offset = 0;;) {
    const left = await growth.beyond(offset) - offset;
    const part = buffer.subarray(0, Math.min(SMALL_CHUNK, left));
    const count = left > 0 ? await file.read(part) : null;
    if (count === null) return;
    offset += count;
    yield buffer.subarray(0, count);
  }
}
