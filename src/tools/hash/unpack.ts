import type { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { ZstdFrames } from "../../lib/archive/zstd_frames.ts";
import { runProcess } from "../process.ts";
import { joint } from "../process_streams.ts";

/** Why bytes cannot be unpacked; the message follows "it cannot be unpacked". */
export class UnpackError extends Error {
  /**
   * @param message Why.
   * @param needsMemory Whether it may be possible with more memory.
   */
  constructor(message: string, readonly needsMemory: boolean = false) {
    super(message);
  }
}

/** What unpacks bytes while they arrive. */
export interface Unpacker {
  /**
   * Takes the next bytes.
   *
   * @param chunk The bytes; they may be changed when the promise is fulfilled.
   */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Waits until all is unpacked.
   *
   * @throws {UnpackError} If that cannot be.
   * @throws {ToolMissingError} If there is no program for it.
   */
  end(): Promise<void>;
  /** Lets go of what unpacks, where there will be no end. */
  stop(): void;
}

/** What unpackers work with. */
export interface UnpackOptions {
  /** Takes what comes out, which counts until that is done; what it throws ends the work. */
  readonly take: (chunk: Uint8Array) => void | Promise<void>;
  /** How much a program may keep in memory of what it has unpacked, in MiB. */
  readonly memory: number;
}

/** How bytes are packed. */
export interface Packing {
  /** How they begin, as containers/image tells formats apart. */
  readonly start: readonly number[];
  /** Makes what unpacks them. */
  unpack(options: UnpackOptions): Unpacker;
}

/** How many bytes tell how all of them are packed. */
export const LONGEST_START = 6;

const PACKINGS: readonly Packing[] = [
  { start: [0x1f, 0x8b, 0x08], unpack: ({ take }) => new Gunzip(take) },
  {
    start: [0x28, 0xb5, 0x2f, 0xfd],
    unpack: (options) => new ZstdUnpacker(options),
  },
  {
    start: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
    unpack: (options) => {
      const limit = `--memlimit-decompress=${options.memory}MiB`;
      return new ProgramUnpacker("xz", ["-dc", "--threads=1", limit], options);
    },
  },
  {
    start: [0x42, 0x5a, 0x68],
    unpack: (options) => new ProgramUnpacker("bzip2", ["-dc"], options),
  },
];

/**
 * Finds out how bytes are packed.
 *
 * @param start The first of them, at least {@linkcode LONGEST_START} where there are as many.
 * @returns How; `undefined` if they are not.
 */
export function packingOf(start: Uint8Array): Packing | undefined {
  return PACKINGS.find((packing) => packing.start.every((byte, at) => start[at] === byte));
}

/** Larger ones take less time and leave more memory behind. */
const CHUNK = { chunkSize: 16 * 1024 };

/** node's own is several times as fast as the program. */
class Gunzip implements Unpacker {
  readonly #zip = zlib.createGunzip(CHUNK);
  readonly #draining: Promise<void>;
  #size = 0;
  #goOn = () => {};

  constructor(take: UnpackOptions["take"]) {
    this.#draining = this.#drain(take);
    this.#draining.catch(() => {}); // told at the end
  }

  async #drain(take: UnpackOptions["take"]): Promise<void> {
    try {
      for await (const chunk of this.#zip) {
        // Not a Buffer, whose slice() is no copy.
        await take(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
        release(chunk);
      }
    } catch (error) {
      if (error instanceof UnpackError) throw error;
      throw new UnpackError(`its gzip is damaged: ${error instanceof Error ? error.message : ""}`);
    } finally {
      this.#goOn();
    }
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#size += chunk.length;
    if (this.#zip.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#goOn = resolve;
      this.#zip.write(chunk, () => resolve());
    });
  }

  async end(): Promise<void> {
    this.#zip.end();
    await this.#draining;
    if (this.#zip.bytesWritten === this.#size) return;
    throw new UnpackError(
      "something follows the end of its gzip, which Go, and so podman, refuses",
    );
  }

  stop(): void {
    this.#zip.destroy();
  }
}

/** A bomb makes memory faster than it is collected; node writes no more into what it has filled. */
function release({ buffer, byteOffset, length }: Buffer): void {
  const isFull = byteOffset + length === buffer.byteLength && length === CHUNK.chunkSize;
  if (isFull && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Has a program unpack: what kills that is an answer. */
class ProgramUnpacker implements Unpacker {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #stop = new AbortController();
  readonly #memory: number;
  readonly #running;

  constructor(
    private readonly program: string,
    args: readonly string[],
    { take, memory }: UnpackOptions,
  ) {
    this.#memory = memory;
    const { readable, writable } = joint();
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => {}); // it need not read all of it
    this.#running = runProcess(program, args, {
      ...{
        stdin: readable,
        stdout: new WritableStream<Uint8Array>({ write: (chunk) => take(chunk) }),
      },
      ...{ isBare: true, env: { LC_ALL: "C" }, signal: this.#stop.signal },
    });
    this.#running.catch(() => {}); // told at the end
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#writer.write(chunk).catch(() => {});
  }

  async end(): Promise<void> {
    await this.#writer.close().catch(() => {});
    const { code, stderr } = await this.#running;
    // bzip2 only warns of what follows its end.
    if (code === 0 && stderr === "") return;
    if (/too much memory|memory usage limit/i.test(stderr)) {
      const words = `its ${this.program} needs a window of more than ${this.#memory} MiB`;
      throw new UnpackError(`${words}, which is all that it gets`, true);
    }
    const [line = ""] = stderr.split("\n");
    const why = line.split(": ").at(-1)?.trim() || `${this.program} exited with ${code}`;
    throw new UnpackError(`its ${this.program} is damaged: ${why}`);
  }

  stop(): void {
    this.#stop.abort();
  }
}

class ZstdUnpacker implements Unpacker {
  readonly #program: Promise<ProgramUnpacker>;
  readonly #frames = new ZstdFrames();
  #isZstd = true;

  constructor(options: UnpackOptions) {
    const limit = `--memory=${options.memory}MiB`;
    this.#program = zstdFlags().then((flags) =>
      new ProgramUnpacker("zstd", ["-dcq", ...flags, limit], options)
    );
    this.#program.catch(() => {}); // told at the end
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#isZstd &&= this.#frames.walk(chunk);
    if (this.#isZstd) await this.#program.then((program) => program.write(chunk), () => {});
  }

  async end(): Promise<void> {
    const program = await this.#program;
    if (this.#isZstd) return await program.end();
    program.stop();
    throw new UnpackError("something else follows its zstd");
  }

  stop(): void {
    this.#program.then((program) => program.stop(), () => {});
  }
}

let knownFlags: Promise<readonly string[]> | undefined;

/** Frames that are small take a hundred times as long where zstd 1.5.3 and later has threads. */
function zstdFlags(): Promise<readonly string[]> {
  return knownFlags ??= runProcess("zstd", ["-H"], { isBare: true }).then(({ stdout }) =>
    new TextDecoder().decode(stdout).includes("asyncio") ? ["--no-asyncio"] : []
  ).catch((error) => {
    knownFlags = undefined;
    throw error;
  });
}
