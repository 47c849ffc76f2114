import { createHash } from "node:crypto";
import { join } from "@std/path";
import type { CarriedBlob } from "../carry/cargo.ts";
import type { TarMember } from "../lib/archive/tar_editor.ts";
import { writableFile } from "../lib/fs/files.ts";
import { Tap } from "../lib/hash/tap.ts";
import { all, joint, mustRun } from "../tools/process.ts";
import { writeTar } from "../tools/tar.ts";

/** A tree as it is kept in a cache. */
export interface PackedTree {
  /** Parts of one tar archive, in order, each compressed with zstd. */
  readonly parts: readonly CarriedBlob[];
  /** Size of that archive, in bytes. */
  readonly size: number;
}

/** A part has so many bytes before compression at least, if others follow, … */
const LEAST = 4 * 2 ** 20;
/** … and about so many at most, unless a file has more. */
const MOST = 16 * 2 ** 20;
/** Of so many files between the two, one begins a part. */
const ONE_OF = 8;

/**
 * Packs a tree. The names of files say where parts begin, so that where one file has changed, most
 * parts are as they were.
 *
 * @param tree The tree.
 * @param folder Where its parts are written.
 * @param signal Ends the work.
 * @returns The parts.
 * @throws {ToolError} If a file cannot be read.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function packTree(
  tree: string,
  folder: string,
  signal: AbortSignal,
): Promise<PackedTree> {
  const splitter = new Splitter(folder, signal);
  const { onMember } = splitter;
  const options = { attributes: { dates: "keep" }, keepsHoles: true, onMember, signal } as const;
  await writeTar(tree, splitter.stream, options);
  return { parts: splitter.parts, size: splitter.size };
}

/** Cuts an archive between its members, and compresses the parts. */
class Splitter {
  readonly parts: CarriedBlob[] = [];
  readonly stream: WritableStream<Uint8Array>;
  size = 0;
  readonly #cuts: number[] = [];
  #begun = 0;
  #part: Part | undefined;

  constructor(private readonly folder: string, private readonly signal: AbortSignal) {
    this.stream = new WritableStream({
      write: (chunk) => this.#write(chunk),
      close: () => this.#end(),
      abort: (reason) => this.#part?.abort(reason),
    });
  }

  /** Members are told of before their bytes pass. */
  readonly onMember = ({ path, offset }: TarMember): void => {
    const size = offset - this.#begun;
    if (size < LEAST || (size < MOST && !isStart(path))) return;
    this.#cuts.push(offset);
    this.#begun = offset;
  };

  async #write(chunk: Uint8Array): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      const [cut = Infinity] = this.#cuts;
      if (cut === this.size) {
        this.#cuts.shift();
        await this.#end();
        continue;
      }
      this.#part ??= new Part(join(this.folder, `part-${this.parts.length}`), this.signal);
      const bytes = rest.subarray(0, cut - this.size);
      await this.#part.write(bytes);
      this.size += bytes.length;
      rest = rest.subarray(bytes.length);
    }
  }

  async #end(): Promise<void> {
    if (this.#part) this.parts.push(await this.#part.end());
    this.#part = undefined;
  }
}

function isStart(path: string): boolean {
  return createHash("sha256").update(path).digest().readUInt32BE() % ONE_OF === 0;
}

/** A part that is being written. */
class Part {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #done: Promise<CarriedBlob>;

  constructor(path: string, signal: AbortSignal) {
    const { readable, writable } = joint();
    this.#writer = writable.getWriter();
    this.#done = (async () => {
      const blob = new Tap(await writableFile(path));
      const streams = { stdin: readable, stdout: blob.stream, signal, isBare: true };
      await mustRun("zstd", ["--quiet", "-3", "--stdout"], streams);
      return { path, size: blob.size, digest: blob.digest() };
    })();
    // A program that fails lets nobody wait for what it would have read.
    this.#done.catch((error) => this.#writer.abort(error).catch(() => {}));
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(bytes);
  }

  async end(): Promise<CarriedBlob> {
    await all([this.#writer.close(), this.#done]);
    return await this.#done;
  }

  async abort(reason: unknown): Promise<void> {
    await this.#writer.abort(reason).catch(() => {});
    await this.#done.catch(() => {});
  }
}
