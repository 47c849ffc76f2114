/** A blob, as a manifest lists it. */
export interface ListedBlob {
  /** Its digest. */
  readonly digest: string;
  /** Its size in bytes. */
  readonly size: number;
}

/** What a manifest lists. */
interface Listed {
  readonly config: ListedBlob;
  readonly layers: readonly ListedBlob[];
}

/**
 * The blobs of an image, each once.
 *
 * @param manifest The image's manifest.
 * @returns Size in bytes by digest, the config's first.
 */
export function blobsOf({ config, layers }: Listed): Map<string, number> {
  return new Map([config, ...layers].map(({ digest, size }) => [digest, size]));
}

/**
 * The layers of an image, each once.
 *
 * @param manifest The image's manifest.
 * @returns Digest and size in bytes of each, in their order.
 */
export function layersOf({ layers }: Listed): ListedBlob[] {
  const sizes = new Map(layers.map(({ digest, size }) => [digest, size]));
  return [...sizes].map(([digest, size]) => ({ digest, size }));
}

/**
 * The size of an image.
 *
 * @param manifest The image's manifest.
 * @returns Size of config and layers, each blob once, in bytes.
 */
export function sizeOfImage(manifest: Listed): number {
  return [...blobsOf(manifest).values()].reduce((sum, size) => sum + size, 0);
}
