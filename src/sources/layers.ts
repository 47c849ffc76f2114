import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { guard } from "../store/files.ts";
import { blobPath, type DirImageData } from "../store/image.ts";
import { readImageConfig } from "../store/manifest.ts";

/**
 * Tells whether the layers of an image are those that its config names. Whoever writes a manifest
 * can put other layers below the config of somebody else's image: an image id vouches for what
 * came under another manifest only if they are.
 *
 * @param image The image; its blobs are what their digests say.
 * @param signal Ends it.
 * @returns Whether they are.
 */
export async function hasItsLayers(
  { id, path, manifest: { layers } }: DirImageData,
  signal: AbortSignal,
): Promise<boolean> {
  const blob = blobPath(path, id);
  const config = readImageConfig(await guard("read", blob, () => Deno.readFile(blob)));
  const diffIds = config?.rootfs.diff_ids;
  if (diffIds?.length !== layers.length) return false;
  for (const [index, { digest, mediaType }] of layers.entries()) {
    if (digest === diffIds[index]) continue;
    const actual = await hashPlain(blobPath(path, digest), mediaType, signal);
    if (actual !== diffIds[index]) return false;
  }
  return true;
}

/** The digest of what is compressed in a file; `undefined` if it cannot be read. */
async function hashPlain(
  path: string,
  mediaType: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const hash = createHash("sha256");
  const decompress = /zstd$/.test(mediaType) ? createZstdDecompress() : createGunzip();
  try {
    await pipeline(createReadStream(path), decompress, hash, { signal });
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
  return `sha256:${hash.digest("hex")}`;
}
