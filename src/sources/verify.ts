import pLimit from "p-limit";
import { ContentError } from "../errors/mod.ts";
import { digestFile } from "../lib/hash/digest_file.ts";
import { digestOf } from "../lib/fs/files.ts";
import { blobPath, type DirImageData, readDirImage } from "../store/image.ts";
import { examineImageConfig } from "../store/manifest.ts";
import { mismatch, ODD_HINT, type Resolved, type Wanted } from "./resolve.ts";

/** An image that is what its config says. */
export interface VerifiedImage {
  /** The image. */
  readonly image: DirImageData;
  /** Digests of its layers without compression, in their order. */
  readonly diffIds: readonly string[];
}

/**
 * Checks a downloaded image by its own bytes: manifest against digest, config against image id,
 * layers against the config, as a manifest could name any. Each blob was hashed on its way.
 *
 * @param folder The image, in the format of the `dir` transport.
 * @param wanted What the image must be.
 * @param found What its place said of it before the download.
 * @param hashed The layers whose digests without compression are known, by digest.
 * @param signal Ends the work.
 * @returns The image.
 * @throws {ContentError} If something differs.
 */
export async function verifyImage(
  folder: string,
  wanted: Wanted,
  found: Resolved,
  hashed: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<VerifiedImage> {
  const { name, imageId = found.manifest?.config.digest } = wanted;
  const { label, transport } = found.place;
  const image = await readDirImage(folder);
  if ("missing" in image) {
    throw new ContentError(name, `${label}: what arrived is not whole: ${image.missing}`);
  }
  const bytes = await Deno.readFile(blobPath(folder, image.id));
  const id = digestOf(bytes);
  if (id !== image.id) throw mismatch(wanted, `${label}: the config`, image.id, id);
  if (imageId && imageId !== id) throw mismatch(wanted, `${label}: the image id`, imageId, id);
  const read = examineImageConfig(bytes);
  if ("reason" in read) {
    throw new ContentError(name, `${label}: ${read.reason}`, { actual: id, hint: ODD_HINT });
  }
  const { config } = read;
  if (transport !== "containers-storage" && image.digest !== found.digest) {
    throw mismatch(wanted, `${label}: the manifest that arrived`, found.digest, image.digest);
  }
  // The entry is named by the config, and a digest vouches for no more than its own manifest.
  const diffIds = config.rootfs.diff_ids;
  await checkLayers(wanted, label, image, diffIds, hashed, signal);
  return { image, diffIds };
}

/** The config of an image names its layers by their hashes without compression. */
async function checkLayers(
  wanted: Wanted,
  label: string,
  image: DirImageData,
  diffIds: readonly string[],
  hashed: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const layers = image.manifest.layers;
  if (layers.length !== diffIds.length) {
    const counts = `${layers.length} layers, and its config has ${diffIds.length}`;
    throw new ContentError(wanted.name, `${label}: the image has ${counts}`, { hint: ODD_HINT });
  }
  const known = new Map<string, Promise<string | undefined>>();
  const unpack = async (digest: string, diffId: string) => {
    // What is known was recorded, and a record may be wrong.
    if (hashed.get(digest) === diffId) return diffId;
    const request = { path: blobPath(image.path, digest), unpack: true };
    return (await digestFile(request, { signal })).unpacked;
  };
  const check = async ([index, { digest }]: [number, { readonly digest: string }]) => {
    const diffId = diffIds[index];
    // The media type may say that it is compressed, and it is not.
    if (diffId === undefined || diffId === digest) return;
    const what = `${label}: layer ${index + 1}`;
    // An image may have the same layer hundreds of times.
    const unpacked = known.get(digest) ?? unpack(digest, diffId);
    known.set(digest, unpacked);
    const actual = await unpacked;
    if (!actual) {
      throw new ContentError(wanted.name, `${what} cannot be unpacked`, { hint: ODD_HINT });
    }
    if (actual !== diffId) throw mismatch(wanted, what, diffId, actual);
  };
  const limit = pLimit(AT_ONCE);
  const checks = layers.entries().map((entry) => limit(() => check(entry))).toArray();
  try {
    await Promise.all(checks);
  } finally {
    await Promise.allSettled(checks);
  }
}

/** How many layers are unpacked side by side. */
const AT_ONCE = 2;
