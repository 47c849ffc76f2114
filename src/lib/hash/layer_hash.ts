import { createHash } from "node:crypto";
import type { Transform } from "node:stream";
import zlib from "node:zlib";
import { concat } from "../bytes.ts";
import { ZstdFrames } from "../archive/zstd_frames.ts";

/** The two names of a layer: of the bytes as they are, and as they are without compression. */
export interface LayerDigests {
  /** Digest of the bytes, as a manifest names them. */
  readonly digest: string;
  /** Digest without compression, as a config names it; `undefined` if they cannot be unpacked. */
  readonly diffId: string | undefined;
}

/** Larger ones take less time and leave more memory behind. */
const CHUNK = { chunkSize: 16 * 1024 };

/** How a compressed layer begins, and what unpacks it; anything else is not compressed. */
const UNPACKERS: readonly (readonly [start: readonly number[], make: () => Transform])[] = [
  [[0x1f, 0x8b], () => zlib.createGunzip(CHUNK)],
  [[0x28, 0xb5, 0x2f, 0xfd], () => new ZstdFrames(CHUNK)],
];
const LONGEST_START = 4;

/** Hashes a layer while it arrives, with and without its compression; memory stays flat. */
export class LayerHash {
  readonly #packed = createHash("sha256");
  readonly #unpacked = createHash("sha256");
  #start = new Uint8Array(0);
  #unpacker: Transform | undefined;
  #unpacking: Promise<boolean> | undefined;

  /**
   * Makes it.
   *
   * @param unpack Whether the digest without compression is wanted.
   */
  constructor(private readonly unpack = true) {}

  /**
   * Takes the next bytes.
   *
   * @param chunk The bytes; they may be changed when the promise is fulfilled.
   */
  async write(chunk: Uint8Array): Promise<void> {
    this.#packed.update(chunk);
    if (this.#unpacking) return await this.#unpack(chunk);
    this.#start = concat(this.#start, chunk);
    if (this.#start.length >= LONGEST_START) await this.#begin();
  }

  /**
   * Ends the layer.
   *
   * @returns Its digests.
   */
  async end(): Promise<LayerDigests> {
    if (!this.#unpacking) await this.#begin();
    this.#unpacker?.end();
    const isWhole = await this.#unpacking;
    const digest = `sha256:${this.#packed.digest("hex")}`;
    if (!this.#unpacker) return { digest, diffId: digest };
    return { digest, diffId: isWhole ? `sha256:${this.#unpacked.digest("hex")}` : undefined };
  }

  /** Lets go of what unpacks, where there will be no end. */
  [Symbol.dispose](): void {
    this.#unpacker?.destroy();
  }

  async #begin(): Promise<void> {
    const start = this.#start;
    const [, make] = this.unpack
      ? UNPACKERS.find(([magic]) => magic.every((byte, at) => start[at] === byte)) ?? []
      : [];
    this.#unpacker = make?.();
    this.#unpacking = this.#unpacker ? this.#drain(this.#unpacker) : Promise.resolve(true);
    await this.#unpack(start);
  }

  async #drain(unpacker: Transform): Promise<boolean> {
    try {
      for await (const chunk of unpacker) this.#unpacked.update(chunk);
      return true;
    } catch {
      return false; // it is not what its first bytes say
    }
  }

  async #unpack(chunk: Uint8Array): Promise<void> {
    const unpacker = this.#unpacker;
    if (!unpacker || unpacker.destroyed) return;
    // The bytes are the caller's again when they are taken, not before.
    const taken = new Promise<void>((resolve) => unpacker.write(chunk, () => resolve()));
    await Promise.race([taken, this.#unpacking]);
  }
}
