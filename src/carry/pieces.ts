import { createHash } from "node:crypto";
import { basename, dirname, join } from "@std/path";
import { format as formatBytes } from "@std/fmt/bytes";
import { BundleError, InterruptedError, StowageError } from "../errors/mod.ts";
import { codeOf } from "../lib/fs/files.ts";
import { readChunks } from "../lib/fs/regular_file.ts";
import type { Piece } from "./bundle_format.ts";

/** A part of a file that has a piece of a bundle. */
export interface PlacedPiece {
  /** The file. */
  readonly path: string;
  /** Where the piece begins in the file, in bytes. */
  readonly at: number;
  /** Its size in bytes. */
  readonly size: number;
}

/** Writes bytes into pieces, each of the same size but the last, and hashes them. */
export class PieceWriter implements AsyncDisposable {
  readonly #pieces: Piece[] = [];
  #file: Deno.FsFile | undefined;
  #hash = createHash("sha256");
  #size = 0;
  readonly #names: readonly string[];

  /**
   * @param folder The folder that they are written to.
   * @param name What all of them are called together.
   * @param total How many bytes there will be.
   * @param chunk How many bytes a piece has at most; one piece has all, if absent.
   */
  constructor(
    private readonly folder: string,
    name: string,
    total: number,
    private readonly chunk: number | undefined,
  ) {
    this.#names = chunk === undefined ? [name] : piecesOf(name, Math.ceil(total / chunk));
  }

  /**
   * Writes bytes.
   *
   * @param bytes The bytes.
   */
  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      if (this.#size === this.chunk) await this.#close();
      const file = this.#file ??= await this.#open();
      const room = (this.chunk ?? Infinity) - this.#size;
      const part = bytes.subarray(done, done + Math.min(room, bytes.length - done));
      for (let count = 0; count < part.length;) count += await file.write(part.subarray(count));
      this.#hash.update(part);
      this.#size += part.length;
      done += part.length;
    }
  }

  /**
   * Ends the last piece.
   *
   * @returns All of them.
   */
  async end(): Promise<readonly Piece[]> {
    await this.#close();
    return this.#pieces;
  }

  async #open(): Promise<Deno.FsFile> {
    const path = join(this.folder, this.#names[this.#pieces.length] ?? "");
    return await Deno.open(path, { write: true, createNew: true, mode: 0o644 });
  }

  async #close(): Promise<void> {
    const name = this.#names[this.#pieces.length];
    if (!this.#file || name === undefined) return;
    await this.#file.sync();
    this.#file.close();
    this.#file = undefined;
    this.#pieces.push({ name, size: this.#size, digest: `sha256:${this.#hash.digest("hex")}` });
    this.#hash = createHash("sha256");
    this.#size = 0;
  }

  /** Lets go of what is open. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#file?.close();
    this.#file = undefined;
    return Promise.resolve();
  }
}

/** With as many digits that they sort as they follow each other. */
function piecesOf(name: string, count: number): string[] {
  const digits = Math.max(3, String(count).length);
  return Array.from(
    { length: count },
    (_, at) => `${name}.${String(at + 1).padStart(digits, "0")}`,
  );
}

/**
 * The name that all pieces have together.
 *
 * @param path A bundle, or a piece of it.
 * @returns The path without the piece's number.
 */
export function wholeOf(path: string): string {
  return path.replace(/\.\d{3,}$/, "");
}

/**
 * Looks for pieces: among the files that were named, and beside them.
 *
 * @param pieces The pieces.
 * @param paths The files that were named.
 * @param folder The folder of the pieces' sums.
 * @returns Where each is; `undefined` for one that is not at hand.
 * @throws {BundleError} If one is there in another size, or a file that was named is none of them.
 */
export async function findPieces(
  pieces: readonly Piece[],
  paths: readonly string[],
  folder: string,
): Promise<(PlacedPiece | undefined)[]> {
  const total = pieces.reduce((sum, { size }) => sum + size, 0);
  const names = new Set(pieces.map(({ name }) => name));
  for (const path of paths.filter((path) => !names.has(basename(path)))) {
    // The name of all of them together may be a file, too: what `cat` has joined.
    const size = await sizeOfFile(path);
    if (size === undefined) continue;
    if (size !== total) {
      const message = `it has ${size} bytes, and the pieces of its sums have ${total}`;
      throw new BundleError("BUNDLE_DAMAGED", path, message, { items: [basename(path)] });
    }
    let at = 0;
    return pieces.map(({ size }) => {
      const placed = { path, at, size };
      at += size;
      return placed;
    });
  }
  const folders = [...new Set([...paths.map(dirname), folder])];
  const wrong: string[] = [];
  const placed = await Promise.all(pieces.map(async ({ name, size }) => {
    const named = paths.filter((path) => basename(path) === name);
    for (const path of [...named, ...folders.map((folder) => join(folder, name))]) {
      const found = await sizeOfFile(path);
      if (found === undefined) continue;
      if (found !== size) wrong.push(`${path} has ${found} bytes, and it had ${size}`);
      return { path, at: 0, size };
    }
    return undefined;
  }));
  if (wrong.length === 0) return placed;
  throw new BundleError("BUNDLE_DAMAGED", paths[0] ?? "", wrong.join("; "), { items: wrong });
}

/**
 * Says which piece is meant, so that a person finds its disc.
 *
 * @param pieces All pieces.
 * @param at Which of them.
 * @returns Such as `site.tar.002 (piece 2 of 3, 4 GB)`.
 */
export function describePiece(pieces: readonly Piece[], at: number): string {
  const { name = "", size = 0 } = pieces[at] ?? {};
  return `${name} (piece ${at + 1} of ${pieces.length}, ${formatBytes(size)})`;
}

async function sizeOfFile(path: string): Promise<number | undefined> {
  try {
    const { isFile, size } = await Deno.stat(path);
    return isFile ? size : undefined;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** A part of a file. */
export interface FilePart {
  /** The file. */
  readonly path: string;
  /** Where the part begins, in bytes. */
  readonly from: number;
  /** How many bytes there are. */
  readonly count: number;
}

/** Where the bytes of a bundle are. */
export interface Places {
  /** How many bytes there are. */
  readonly size: number;
  /**
   * Finds a byte.
   *
   * @param start Which one.
   * @returns The file that has it, and those that follow.
   */
  find(start: number): FilePart | Promise<FilePart>;
}

/**
 * Says where bytes are of which all pieces are at hand.
 *
 * @param pieces The pieces, in their order.
 * @returns Where they are.
 */
export function placesOf(pieces: readonly PlacedPiece[]): Places {
  return {
    size: pieces.reduce((sum, { size }) => sum + size, 0),
    find(start) {
      let before = 0;
      for (const { path, at, size } of pieces) {
        const from = start - before;
        if (from < size) return { path, from: at + from, count: size - from };
        before += size;
      }
      throw new RangeError(`There is no byte ${start} in ${before}`);
    },
  };
}

/** Reads pieces as the one file that they are together. */
export class PieceReader {
  /**
   * @param places Where the bytes are.
   * @param signal Ends the reading.
   */
  constructor(private readonly places: Places, private readonly signal: AbortSignal) {}

  /** How many bytes there are. */
  get size(): number {
    return this.places.size;
  }

  /**
   * Reads bytes.
   *
   * @param start Where they begin.
   * @param length How many there are.
   * @returns Parts of them; each counts only until the next one is asked for. They are fewer where
   * a file has become shorter.
   * @throws {BundleError} If a file cannot be read.
   * @throws {InterruptedError} If the signal was aborted.
   */
  async *read(start: number, length: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for await (const { path, from, count } of this.#partsOf(start, length)) {
      try {
        using file = await Deno.open(path);
        await file.seek(from, Deno.SeekMode.Start);
        for await (const chunk of readChunks(file, count)) {
          if (this.signal.aborted) throw new InterruptedError(this.signal.reason);
          yield chunk;
        }
      } catch (error) {
        throw unreadable(path, error);
      }
    }
  }

  async *#partsOf(start: number, length: number): AsyncGenerator<FilePart> {
    const end = Math.min(start + length, this.size);
    for (let at = start; at < end;) {
      const part = await this.places.find(at);
      const count = Math.min(part.count, end - at);
      yield { ...part, count };
      at += count;
    }
  }

  /**
   * Reads few bytes.
   *
   * @param start Where they begin.
   * @param length How many there are.
   * @returns The bytes; fewer where the bundle ends before.
   * @throws {BundleError} If a file cannot be read.
   * @throws {InterruptedError} If the signal was aborted.
   */
  async readAll(start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(Math.max(Math.min(length, this.size - start), 0));
    let done = 0;
    for await (const { path, from, count } of this.#partsOf(start, bytes.length)) {
      if (this.signal.aborted) throw new InterruptedError(this.signal.reason);
      try {
        using file = await Deno.open(path);
        await file.seek(from, Deno.SeekMode.Start);
        for (const end = done + count; done < end;) {
          const more = await file.read(bytes.subarray(done, end));
          if (more === null) return bytes.subarray(0, done);
          done += more;
        }
      } catch (error) {
        throw unreadable(path, error);
      }
    }
    return bytes;
  }

  /**
   * Hashes bytes.
   *
   * @param start Where they begin.
   * @param length How many there are.
   * @param onBytes Takes the count of bytes that were read since it was called last.
   * @returns Their digest.
   * @throws {BundleError} If a file cannot be read.
   * @throws {InterruptedError} If the signal was aborted.
   */
  async digest(
    start: number,
    length: number,
    onBytes: (count: number) => void = () => {},
  ): Promise<string> {
    const hash = createHash("sha256");
    for await (const chunk of this.read(start, length)) {
      hash.update(chunk);
      onBytes(chunk.length);
    }
    return `sha256:${hash.digest("hex")}`;
  }
}

/**
 * Hashes a piece.
 *
 * @param piece The piece.
 * @param signal Ends it.
 * @param onBytes Takes the count of bytes that were read since it was called last.
 * @returns Its digest.
 * @throws {BundleError} If it cannot be read.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function digestOfPiece(
  piece: PlacedPiece,
  signal: AbortSignal,
  onBytes: (count: number) => void,
): Promise<string> {
  return await new PieceReader(placesOf([piece]), signal).digest(0, piece.size, onBytes);
}

/** What the system says of a file, such as of a scratched disc. */
function unreadable(path: string, error: unknown): unknown {
  const isOurs = error instanceof StowageError || codeOf(error) === undefined;
  if (isOurs || !(error instanceof Error)) return error;
  const why = error.message.replace(/ \(os error \d+\)/, "");
  return new BundleError("BUNDLE_DAMAGED", path, `it cannot be read: ${why}`, {
    items: [basename(path)],
    cause: error,
  });
}
