import { createHash } from "node:crypto";
import type { PushedImage } from "../../tests/support/mod.ts";

/** What is known of a file's content. */
interface Blob {
  readonly digest: string;
  readonly size: number;
}

/**
 * The blobs of images, each once: manifests, configs and layers.
 *
 * @param images The images.
 * @returns The blobs.
 */
export function blobsOf(images: readonly PushedImage[]): Blob[] {
  const blobs = images.flatMap(({ digest, id, manifest, layers, size }) => {
    const layerSize = layers.reduce((sum, layer) => sum + layer.size, 0);
    return [
      { digest, size: new TextEncoder().encode(manifest).length },
      { digest: id, size: size - layerSize },
      ...layers,
    ];
  });
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}

/**
 * The least that has to be fetched and kept of images.
 *
 * @param images The images.
 * @returns Size of their unique blobs and manifests, in bytes.
 */
export function wholeOf(images: readonly PushedImage[]): number {
  return blobsOf(images).reduce((sum, { size }) => sum + size, 0);
}

/**
 * Checks that images are somewhere.
 *
 * @param images The images.
 * @param pathOf Where a blob of an image has to be.
 * @param isThorough Whether to hash every byte; else sizes have to do.
 * @throws {Error} If one is not.
 */
export async function checkImages(
  images: readonly PushedImage[],
  pathOf: (image: PushedImage, digest: string) => string,
  isThorough: boolean,
): Promise<void> {
  for (const image of images) {
    for (const { digest, size } of blobsOf([image])) {
      const path = pathOf(image, digest);
      const found = (await Deno.stat(path)).size;
      if (found !== size) throw new Error(`"${path}" has ${found} bytes, not ${size}`);
      if (!isThorough) continue;
      const hash = await hashFile(path);
      if (hash !== digest) throw new Error(`"${path}" is ${hash}, not ${digest}`);
    }
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return `sha256:${hash.digest("hex")}`;
}
