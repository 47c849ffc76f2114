import { createHash } from "node:crypto";
import { concat } from "../../lib/bytes.ts";
import { LONGEST_START, packingOf, type Unpacker, UnpackError } from "./unpack.ts";

/** The two names of a layer: of the bytes as they are, and as they are without compression. */
export interface LayerDigests {
  /** Digest of the bytes, as a manifest names them. */
  readonly digest: string;
  /** Digest without compression, as a config names it; absent if they cannot be unpacked. */
  readonly diffId?: string;
  /** Why they cannot be unpacked. */
  readonly fault?: UnpackError;
}

/** How layers are unpacked. */
export interface LayerOptions {
  /** How many bytes it may unpack to. */
  readonly limit: number;
  /** How much a program may keep in memory of what it has unpacked, in MiB. */
  readonly memory: number;
}

/**
 * What any layer may unpack to, in bytes, and for larger ones how many times their own size. Layers
 * of files shrink to a third or a tenth; only those of empty disks come near this.
 */
const ALWAYS = 4 * 2 ** 30;
const MAX_RATIO = 250;

/**
 * Tells how large a layer may be that is no decompression bomb.
 *
 * @param size Its size as it is, in bytes.
 * @returns What it may unpack to, in bytes.
 */
export function limitOf(size: number): number {
  return Math.max(ALWAYS, MAX_RATIO * size);
}

/** Hashes a layer while it arrives, with and without its compression; memory stays flat. */
export class LayerHash {
  readonly #packed = createHash("sha256");
  readonly #unpacked = createHash("sha256");
  #start = new Uint8Array(0);
  #hasBegun = false;
  #unpacker: Unpacker | undefined;
  #left: number;

  /**
   * @param options How it is unpacked; not at all if absent.
   */
  constructor(private readonly options?: LayerOptions) {
    this.#left = options?.limit ?? 0;
  }

  /**
   * Takes the next bytes.
   *
   * @param chunk The bytes; they may be changed when the promise is fulfilled.
   */
  async write(chunk: Uint8Array): Promise<void> {
    this.#packed.update(chunk);
    if (this.#hasBegun) return await this.#unpacker?.write(chunk);
    this.#start = concat(this.#start, chunk);
    if (this.#start.length >= LONGEST_START) await this.#begin();
  }

  /**
   * Ends the layer.
   *
   * @returns Its digests.
   * @throws {ToolMissingError} If there is no program that unpacks it.
   */
  async end(): Promise<LayerDigests> {
    if (!this.#hasBegun) await this.#begin();
    const unpacking = this.#unpacker?.end();
    const fault = await unpacking?.then(() => undefined, (error) => {
      if (error instanceof UnpackError) return error;
      throw error;
    });
    const digest = `sha256:${this.#packed.digest("hex")}`;
    if (fault) return { digest, fault };
    return { digest, diffId: this.#unpacker ? `sha256:${this.#unpacked.digest("hex")}` : digest };
  }

  /** Lets go of what unpacks, where there will be no end. */
  [Symbol.dispose](): void {
    this.#unpacker?.stop();
  }

  async #begin(): Promise<void> {
    this.#hasBegun = true;
    const { options } = this;
    const take = (chunk: Uint8Array) => {
      this.#left -= chunk.length;
      if (this.#left < 0) throw new UnpackError(BOMB);
      this.#unpacked.update(chunk);
    };
    const packing = options && packingOf(this.#start);
    this.#unpacker = packing?.unpack({ take, memory: options?.memory ?? 0 });
    await this.#unpacker?.write(this.#start);
  }
}

const BOMB =
  `it unpacks to more than ${ALWAYS / 2 ** 30} GiB and ${MAX_RATIO} times its size, as ` +
  "bombs do; a layer that is meant to be so empty can be pushed without compression";
