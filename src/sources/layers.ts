import type { DigestPool } from "../tools/hash/digest_pool.ts";
import { guard } from "../lib/fs/files.ts";
import { readOutside } from "../lib/fs/outside_file.ts";
import { blobPath, type DirImageData } from "../store/image.ts";
import { readImageConfig } from "../store/manifest.ts";

/** Threads that hash layers: each takes memory, and the network and skopeo need a core too. */
export const HASH_THREADS = navigator.hardwareConcurrency > 2 ? 2 : 1;

/**
 * Tells whether the layers of an image are those that its config names. Whoever writes a manifest
 * can put other layers below the config of somebody else's image: an image id vouches for what
 * came under another manifest only if they are.
 *
 * @param image The image; its blobs are what their digests say.
 * @param digests Hashes them.
 * @returns Whether they are.
 */
export async function hasItsLayers(
  { id, path, manifest: { layers } }: DirImageData,
  digests: DigestPool,
): Promise<boolean> {
  const blob = blobPath(path, id);
  const config = readImageConfig(await guard("read", blob, () => readOutside(blob)));
  const diffIds = config?.rootfs.diff_ids;
  if (diffIds?.length !== layers.length) return false;
  for (const [index, { digest }] of layers.entries()) {
    const { unpacked } = await digests.digest({ path: blobPath(path, digest), unpack: true });
    if (unpacked !== diffIds[index]) return false;
  }
  return true;
}
