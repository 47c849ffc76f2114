import { createHash } from "node:crypto";
import type { OutsideImage } from "../sources/skopeo.ts";
import type { LayerName } from "../store/blobs.ts";
import type { BlobStream } from "../transports/docker/registries.ts";
import type { PassingBlob } from "../transports/docker/repository.ts";
import type { Cargo } from "./cargo.ts";
import type { Ware } from "./gather.ts";
import { NotPassed } from "./sender.ts";

/** How much is read at a time, in bytes. */
const PIECE = 128 * 1024;

/**
 * Makes of an image what is carried of it while it is read from its registry. Each blob is compared
 * with its digest before the upload ends; layers are not unpacked.
 *
 * @param ware The source.
 * @param image The image.
 * @returns What the source stands for.
 */
export function passing(
  { key, name }: Ware,
  { id, platform, digest, mediaType, manifest: bytes, config, layers, open }: OutsideImage,
): Cargo<PassingBlob> {
  const top = { digest, mediaType, bytes };
  const own = passBlob({ digest: id, size: config.length }, () => [config]);
  const blobs = [own, ...layers.map((layer) => passBlob(layer, () => read(() => open(layer))))];
  return { key, name, top, images: [{ ...top, id, platform, blobs, signatures: [] }], absent: [] };
}

async function* read(open: () => Promise<BlobStream>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  // What is on its way out must stay as it is.
  for await (const piece of (await open()).read(PIECE)) yield new Uint8Array(piece);
}

type Pieces = AsyncIterable<Uint8Array<ArrayBuffer>> | Iterable<Uint8Array<ArrayBuffer>>;

function passBlob({ digest, size }: LayerName, open: () => Pieces): PassingBlob {
  let isRead = false;
  async function* check(onBytes: (bytes: number) => void): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const hash = createHash("sha256");
    let left = size;
    for await (const piece of open()) {
      left -= piece.length;
      if (left < 0) break;
      hash.update(piece);
      onBytes(piece.length);
      yield piece;
    }
    if (left === 0 && `sha256:${hash.digest("hex")}` === digest) return;
    throw new NotPassed(`what arrives is not ${digest}`);
  }
  return {
    digest,
    size,
    read(onBytes) {
      if (isRead) throw new NotPassed("it would have to be read again");
      isRead = true;
      return ReadableStream.from(check(onBytes));
    },
  };
}
