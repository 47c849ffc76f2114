import { ContentError } from "../errors/mod.ts";
import { type FileDigests, isPacked } from "../tools/hash/digest_file.ts";
import type { DigestPool } from "../tools/hash/digest_pool.ts";
import { digestOf } from "../lib/fs/files.ts";
import { readOutside } from "../lib/fs/outside_file.ts";
import { blobPath, type DirImageData, readDirImage } from "../store/image.ts";
import { examineImageConfig, type ImageManifest, type StoredConfig } from "../store/manifest.ts";
import { DAMAGED } from "../transports/absence.ts";
import { noImage } from "./no_image.ts";
import { refuseEncrypted, type Resolved } from "./resolve.ts";
import { mismatch, ODD_HINT, type Wanted } from "./wanted.ts";

/** What an image has to be. */
type Asked = Pick<Wanted, "name" | "source" | "imageId">;

/** What its place has said of it, and how a person reads which place that is. */
type Said = Pick<Resolved, "digest" | "manifest"> & {
  readonly place: Pick<Resolved["place"], "label" | "keepsManifest">;
};

/** An image that is what its config says. */
export interface VerifiedImage {
  /** The image. */
  readonly image: DirImageData;
  /** Its config. */
  readonly config: StoredConfig;
}

/** What has arrived of an image. */
export interface Arrived {
  /** The image, in the format of the `dir` transport. */
  readonly folder: string;
  /** The layers whose digests without compression are known, by digest. */
  readonly hashed: ReadonlyMap<string, string>;
}

/**
 * Checks a downloaded image by its own bytes: manifest against digest, config against image id,
 * layers against the config, as a manifest could name any. Each blob was hashed on its way.
 *
 * @param arrived What has arrived.
 * @param wanted What the image must be.
 * @param found What its place said of it before the download.
 * @param digests Hashes layers.
 * @returns The image.
 * @throws {ContentError} If something differs.
 */
export async function verifyImage(
  { folder, hashed }: Arrived,
  wanted: Asked,
  found: Said,
  digests: DigestPool,
): Promise<VerifiedImage> {
  const { name, imageId = found.manifest?.config.digest } = wanted;
  const { label, keepsManifest } = found.place;
  const image = await readDirImage(folder);
  if ("missing" in image) {
    throw new ContentError(name, `${label}: what arrived is not whole: ${image.missing}`);
  }
  const { id } = image;
  const bytes = await readOutside(blobPath(folder, id));
  const config = readConfig(wanted, found, image.manifest, bytes);
  if (imageId && imageId !== id) throw mismatch(wanted, `${label}: the image id`, imageId, id);
  refuseEncrypted(wanted, label, image.manifest);
  if (keepsManifest && image.digest !== found.digest) {
    throw mismatch(wanted, `${label}: the manifest that arrived`, found.digest, image.digest);
  }
  // The entry is named by the config, and a digest vouches for no more than its own manifest.
  const names = { name, label, diffIds: config.rootfs.diff_ids };
  await checkLayers(image, names, { hashed, digests });
  return { image, config };
}

/**
 * Reads the config of an image.
 *
 * @param wanted What the image must be.
 * @param found What its place says of it.
 * @param manifest Its manifest, which names the config.
 * @param bytes The bytes of the config.
 * @returns What it says.
 * @throws {ContentError} If it is another one, or none.
 */
export function readConfig(
  wanted: Asked,
  { place: { label } }: Said,
  manifest: ImageManifest,
  bytes: Uint8Array,
): StoredConfig {
  const id = manifest.config.digest;
  const actual = digestOf(bytes);
  if (actual !== id) throw mismatch(wanted, `${label}: the config`, id, actual);
  const read = examineImageConfig(bytes);
  if ("config" in read) return read.config;
  throw noImage(wanted, label, manifest) ??
    new ContentError(wanted.name, `${label}: ${read.reason}`, { actual, hint: ODD_HINT });
}

/** The config of an image names its layers by their hashes without compression. */
async function checkLayers(
  image: DirImageData,
  { name, label, diffIds }: {
    readonly name: string;
    readonly label: string;
    readonly diffIds: readonly string[];
  },
  { hashed, digests }: Pick<Arrived, "hashed"> & { readonly digests: DigestPool },
): Promise<void> {
  const layers = image.manifest.layers;
  if (layers.length !== diffIds.length) {
    const counts = `${layers.length} layers, and its config has ${diffIds.length}`;
    throw new ContentError(name, `${label}: the image has ${counts}`, { hint: ODD_HINT });
  }
  const known = new Map<string, Promise<FileDigests>>();
  const unpack = async (digest: string, diffId: string): Promise<FileDigests> => {
    const unpacked = hashed.get(digest);
    if (unpacked !== undefined) return { digest, unpacked };
    const path = blobPath(image.path, digest);
    // The media type may say that it is compressed, and it is not.
    if (diffId === digest && !await isPacked(path)) return { digest, unpacked: digest };
    return await digests.digest({ path, unpack: true });
  };
  const check = async ([index, { digest }]: [number, { readonly digest: string }]) => {
    const diffId = diffIds[index] ?? "";
    const what = `${label}: layer ${index + 1}`;
    // An image may have the same layer hundreds of times.
    const found = known.get(digest) ?? unpack(digest, diffId);
    known.set(digest, found);
    const { unpacked, fault } = await found;
    if (unpacked === undefined) {
      const message = `${what} cannot be unpacked: ${fault}`;
      throw new ContentError(name, message, { hint: ODD_HINT });
    }
    if (unpacked === diffId) return;
    const message = `${what} unpacks to ${unpacked}, and the image's config names ${diffId}`;
    throw new ContentError(name, message, {
      expected: diffId,
      actual: unpacked,
      hint: DAMAGED,
    });
  };
  const checks = layers.entries().map(check).toArray();
  try {
    await Promise.all(checks);
  } finally {
    await Promise.allSettled(checks);
  }
}
