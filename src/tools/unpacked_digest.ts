import { createHash } from "node:crypto";
import { runProcess } from "./process.ts";

/** How a compressed file begins, and what unpacks it. */
const UNPACKERS: readonly (readonly [start: readonly number[], program: string])[] = [
  [[0x1f, 0x8b], "gzip"],
  [[0x28, 0xb5, 0x2f, 0xfd], "zstd"],
];

/**
 * Hashes a file as it is without its compression.
 *
 * @param path The file: compressed by gzip or zstd, or not at all.
 * @param signal Ends the work.
 * @returns `sha256:` and 64 hex digits; `undefined` if it cannot be unpacked.
 * @throws {ToolMissingError} If there is nothing to unpack it with.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function unpackedDigest(
  path: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const hash = createHash("sha256");
  const program = await unpackerOf(path);
  using file = await Deno.open(path);
  const hashing = new WritableStream<Uint8Array>({ write: (chunk) => void hash.update(chunk) });
  if (program) {
    const options = { stdin: file.readable, stdout: hashing, signal };
    const { code } = await runProcess(program, ["-dcq"], options);
    if (code !== 0) return undefined;
  } else {
    await file.readable.pipeTo(hashing, signal && { signal });
  }
  return `sha256:${hash.digest("hex")}`;
}

async function unpackerOf(path: string): Promise<string | undefined> {
  using file = await Deno.open(path);
  const start = new Uint8Array(4);
  await file.read(start);
  return UNPACKERS.find(([magic]) => magic.every((byte, at) => start[at] === byte))?.[1];
}
