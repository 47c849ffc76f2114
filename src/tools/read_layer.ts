import { createHash } from "node:crypto";
import { InterruptedError } from "../errors/mod.ts";
import { openRegular, readChunks } from "../lib/fs/regular_file.ts";
import { MUCH } from "./hash/digest_file.ts";
import { LONGEST_START, packingOf } from "./hash/unpack.ts";

export { UnpackError } from "./hash/unpack.ts";

/**
 * Reads a layer without its compression: gzip, zstd, xz, bzip2 or none.
 *
 * @param path The file of the layer.
 * @param take Takes the next bytes, which count until that is done; what it throws ends it all.
 * @param signal Ends the work.
 * @returns The digest of the layer without compression, as an image's config names it.
 * @throws {UnpackError} If it is damaged.
 * @throws {ToolMissingError} If there is no program that unpacks it.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function readLayer(
  path: string,
  take: (chunk: Uint8Array) => void | Promise<void>,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash("sha256");
  let failure: { readonly reason: unknown } | undefined;
  const pass = async (chunk: Uint8Array) => {
    if (failure) return;
    hash.update(chunk);
    try {
      await take(chunk);
    } catch (reason) {
      failure = { reason };
    }
  };
  using file = await openRegular(path);
  const start = new Uint8Array(LONGEST_START);
  const packing = packingOf(start.subarray(0, await file.read(start) ?? 0));
  await file.seek(0, Deno.SeekMode.Start);
  const unpacker = packing?.unpack({ take: pass, memory: MUCH });
  try {
    for await (const chunk of readChunks(file)) {
      if (signal.aborted) throw new InterruptedError(signal.reason);
      await (unpacker ? unpacker.write(chunk) : pass(chunk));
      if (failure) throw failure.reason;
    }
    await unpacker?.end();
  } finally {
    unpacker?.stop();
  }
  if (failure) throw failure.reason;
  return `sha256:${hash.digest("hex")}`;
}
