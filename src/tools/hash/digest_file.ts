import { InterruptedError } from "../../errors/mod.ts";
import type { FileProgress } from "../../lib/fs/file_progress.ts";
import { openRegular, readChunks, readGrowing } from "../../lib/fs/regular_file.ts";

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
  /** Why it cannot be unpacked, if so. */
  readonly fault?: string;
}

/** How a file is hashed. */
export interface DigestOptions {
  /** Ends the work. */
  readonly signal?: AbortSignal | undefined;
  /** Takes the count of each bytes read. */
  readonly onBytes?: (count: number) => void;
  /** How far the file has grown, if somebody writes it still, and how large it will be, in bytes. */
  readonly growth?: { readonly now: FileProgress; readonly size: number } | undefined;
  /** How much a program that unpacks may keep in memory, in MiB; little if absent. */
  readonly memory?: number;
}

/** What the levels of zstd take that are not called ultra, and xz where it is not told, in MiB. */
const LITTLE = 16;
/** What zstd, the program, takes at most, unless it is told; Go takes four times as much. */
export const MUCH = 128;

/**
 * Hashes a file in one pass, as it is and without its compression (gzip, zstd, xz, bzip2 or none).
 * Where it is unpacked, this is to be called by what may die of that.
 *
 * @param request The file.
 * @param options Cancellation, progress, limits.
 * @returns Its digests, and whether more memory might help where it cannot be unpacked.
 * @throws {ToolMissingError} If there is no program that unpacks it.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function digestFile(
  { path, range, unpack }: DigestRequest,
  { signal, onBytes, growth, memory = LITTLE }: DigestOptions = {},
): Promise<FileDigests & { readonly needsMemory?: boolean }> {
  // What needs node's zlib takes a while to load.
  const { LayerHash, limitOf } = await import("./layer_hash.ts");
  using file = await openRegular(path);
  if (range) await file.seek(range.start, Deno.SeekMode.Start);
  const size = growth?.size ?? range?.length ?? (await file.stat()).size;
  using hash = new LayerHash(unpack ? { limit: limitOf(size), memory } : undefined);
  const chunks = growth ? readGrowing(file, growth.now) : readChunks(file, range?.length);
  for await (const chunk of chunks) {
    if (signal?.aborted) throw new InterruptedError(signal.reason);
    await hash.write(chunk);
    onBytes?.(chunk.length);
  }
  const { digest, diffId, fault } = await hash.end();
  if (!unpack) return { digest };
  if (diffId !== undefined) return { digest, unpacked: diffId };
  return { digest, fault: fault?.message ?? "", needsMemory: fault?.needsMemory ?? false };
}

/**
 * Tells whether a file is packed.
 *
 * @param path The file; no symbolic link.
 * @returns Whether it begins as what is.
 */
export async function isPacked(path: string): Promise<boolean> {
  const { LONGEST_START, packingOf } = await import("./unpack.ts");
  using file = await openRegular(path);
  const start = new Uint8Array(LONGEST_START);
  return packingOf(start.subarray(0, await file.read(start) ?? 0)) !== undefined;
}
