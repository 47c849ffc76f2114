import { InterruptedError } from "../../errors/mod.ts";
import type { Growth } from "../fs/file_progress.ts";
import { openRegular, readChunks, readGrowing } from "../fs/regular_file.ts";

/** What to hash. */
export interface DigestRequest {
  /** The file; no symbolic link. */
  readonly path: string;
  /** The part of it that is meant, in bytes; all of it if absent. */
  readonly range?: { readonly start: number; readonly length: number };
  /** Whether it is hashed as it is without its compression as well. */
  readonly unpack: boolean;
}

/** What a file hashes to. */
export interface FileDigests {
  /** `sha256:` and 64 hex digits of its bytes. */
  readonly digest: string;
  /** The same of what they unpack to; absent if that was not asked for, or is not possible. */
  readonly unpacked?: string;
}

/**
 * Hashes a file in one pass, as it is and without its compression (gzip, zstd or none).
 *
 * @param request The file.
 * @param options Cancellation, what takes the count of each bytes read, and how far the file has
 * grown if somebody writes it still.
 * @returns Its digests.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function digestFile(
  { path, range, unpack }: DigestRequest,
  { signal, onBytes, growth }: {
    readonly growth?: Growth | undefined;
    readonly signal?: AbortSignal | undefined;
    readonly onBytes?: (count: number) => void;
  } = {},
): Promise<FileDigests> {
  // What needs node's zlib takes a while to load.
  const { LayerHash } = await import("./layer_hash.ts");
  using file = await openRegular(path);
  if (range) await file.seek(range.start, Deno.SeekMode.Start);
  using hash = new LayerHash(unpack);
  const chunks = growth ? readGrowing(file, growth) : readChunks(file, range?.length);
  for await (const chunk of chunks) {
    if (signal?.aborted) throw new InterruptedError(signal.reason);
    await hash.write(chunk);
    onBytes?.(chunk.length);
  }
  const { digest, diffId } = await hash.end();
  return { digest, ...(unpack && diffId !== undefined && { unpacked: diffId }) };
}
