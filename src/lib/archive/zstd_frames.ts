import { Transform } from "node:stream";
import { createZstdDecompress, type ZstdDecompress } from "node:zlib";
import { concat } from "../bytes.ts";

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const BLOCK_HEADER = 3;

/** What comes next in a frame, and how many bytes it has. */
type Part =
  | { readonly kind: "magic" | "descriptor" | "skip-size" | "block"; readonly length: number }
  | { readonly kind: "header" | "content" | "end" | "skip"; readonly length: number };

/**
 * Unpacks zstd as the program does: all frames of a file, of which podman's `zstd:chunked` has many,
 * none of them cut. node:zlib of Deno stops behind the first, and takes a cut one for whole.
 */
export class ZstdFrames extends Transform {
  readonly #chunkSize: number;
  #part: Part = { kind: "magic", length: 4 };
  /** The beginning of a part that has to be read as a whole. */
  #pending = new Uint8Array();
  #isLast = false;
  #hasChecksum = false;
  #frame: ZstdDecompress | undefined;
  #ended: Promise<void> | undefined;

  /**
   * Makes it.
   *
   * @param options How much comes out at a time, in bytes.
   */
  constructor({ chunkSize }: { readonly chunkSize: number }) {
    super({ readableHighWaterMark: chunkSize });
    this.#chunkSize = chunkSize;
  }

  /** Takes the next bytes. */
  override _transform(chunk: Uint8Array, _: string, done: (error?: Error) => void): void {
    this.#take(chunk).then(() => done(), done);
  }

  /** Tells whether the last frame is whole. */
  override _flush(done: (error?: Error) => void): void {
    const isWhole = this.#part.kind === "magic" && this.#pending.length === 0;
    done(isWhole ? undefined : new Error("it is cut"));
  }

  /** Lets go of what unpacks. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#frame?.destroy();
    done(error);
  }

  async #take(chunk: Uint8Array): Promise<void> {
    let at = 0;
    let from = 0; // what is before this has gone to the frame
    while (at < chunk.length || this.#part.length === 0) {
      const { kind } = this.#part;
      const isPassed = kind === "content" || kind === "skip" || kind === "header" || kind === "end";
      const length = Math.min(this.#part.length - this.#pending.length, chunk.length - at);
      const bytes = chunk.subarray(at, at + length);
      at += length;
      if (isPassed) {
        this.#part = { kind, length: this.#part.length - length };
        if (this.#part.length > 0) break;
        this.#next(new Uint8Array());
      } else {
        this.#pending = concat(this.#pending, bytes);
        if (this.#pending.length < this.#part.length) break;
        const whole = this.#pending;
        this.#pending = new Uint8Array();
        // A magic that began in an earlier chunk has not gone to a frame yet.
        if (kind === "magic") from = await this.#begin(whole, at);
        this.#next(whole);
      }
      if (this.#part.kind === "magic") {
        await this.#write(chunk.subarray(from, at));
        await this.#finish();
        from = at;
      }
    }
    if (this.#frame) await this.#write(chunk.subarray(from));
  }

  /** Begins a frame; what skips has no content. */
  async #begin(magic: Uint8Array, at: number): Promise<number> {
    if (numberIn(magic) !== MAGIC) return at;
    const frame = createZstdDecompress({ chunkSize: this.#chunkSize });
    this.#ended = new Promise((resolve, reject) => {
      frame.once("end", resolve);
      frame.once("error", reject);
    });
    this.#ended.catch(() => {});
    frame.on("data", (bytes: Uint8Array) => this.push(bytes));
    this.#frame = frame;
    await this.#write(magic);
    return at;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const frame = this.#frame;
    if (!frame || bytes.length === 0) return;
    const written = new Promise<void>((resolve) => frame.write(bytes, () => resolve()));
    await Promise.race([written, this.#ended]);
  }

  async #finish(): Promise<void> {
    this.#frame?.end();
    await this.#ended;
    this.#frame?.destroy();
    this.#frame = this.#ended = undefined;
  }

  /** Finds out what comes behind a part. */
  #next(bytes: Uint8Array): void {
    const { kind } = this.#part;
    if (kind === "magic") {
      const magic = numberIn(bytes);
      if (magic === MAGIC) this.#part = { kind: "descriptor", length: 1 };
      else if ((magic & ~0xf) >>> 0 === SKIPPABLE) this.#part = { kind: "skip-size", length: 4 };
      else throw new Error("it goes on with something else");
    } else if (kind === "skip-size") {
      this.#part = { kind: "skip", length: numberIn(bytes) };
    } else if (kind === "descriptor") {
      const [descriptor = 0] = bytes;
      const isSingle = (descriptor & 0x20) !== 0;
      const size = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
      const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
      this.#hasChecksum = (descriptor & 4) !== 0;
      this.#part = { kind: "header", length: (isSingle ? 0 : 1) + dictionary + size };
    } else if (kind === "block") {
      const header = numberIn(bytes);
      this.#isLast = (header & 1) !== 0;
      // A block of one byte that is repeated has just that byte.
      this.#part = { kind: "content", length: ((header >> 1) & 3) === 1 ? 1 : header >> 3 };
    } else if (kind === "header" || (kind === "content" && !this.#isLast)) {
      this.#part = { kind: "block", length: BLOCK_HEADER };
    } else if (kind === "content") {
      this.#part = { kind: "end", length: this.#hasChecksum ? 4 : 0 };
    } else {
      this.#part = { kind: "magic", length: 4 };
    }
  }
}

/** A number of up to 32 bits, the lowest byte first. */
function numberIn(bytes: Uint8Array): number {
  return bytes.reduceRight((number, byte) => number * 256 + byte, 0);
}
