import type { Platform } from "../../config/mod.ts";
import { ContentError } from "../errors/mod.ts";
import { digestOf } from "../lib/fs/files.ts";
import type { ImageManifest } from "../store/manifest.ts";
import type { Place, PlaceImage } from "../transports/mod.ts";
import { Choice } from "./choice.ts";
import { refuseNoImage } from "./no_image.ts";
import { mismatch, ODD_HINT, type Reader, type Wanted } from "./wanted.ts";

/** Which image a place has, read from its manifest and found to be the one that is wanted. */
export interface Resolved {
  /** The place. */
  readonly place: Place;
  /** The one image of it. */
  readonly image: PlaceImage;
  /** Digest of the image's manifest. */
  readonly digest: string;
  /** The index that it was chosen from. */
  readonly index?: {
    readonly digest: string;
    readonly mediaType: string;
    /** How many bytes it has. */
    readonly size: number;
    /** Reads it, each time as it was at first: it is not kept in memory. */
    read(): Promise<Uint8Array>;
    /** The platform that it gives the image for; `undefined` where only the image can say it. */
    readonly platform: Platform | undefined;
  };
  /** Its manifest; `undefined` where the place gives it only with the download. */
  readonly manifest?: ImageManifest;
}

/**
 * Finds out which image a place has.
 *
 * @param place The place.
 * @param wanted What the image must be.
 * @param read Reads what the place serves.
 * @returns The image.
 * @throws {ContentError} If what the place has is not what is wanted, or no manifest at all.
 * @throws {PlatformError} If the place has it for other platforms only.
 */
export async function resolveImage(
  place: Place,
  wanted: Wanted,
  read: Reader,
): Promise<Resolved> {
  const bytes = await read.manifest(place.image);
  const digest = digestOf(bytes);
  // Before anything in it is believed, such as the digest of a manifest that nobody has.
  if (place.digest && place.digest !== digest) {
    throw mismatch(wanted, `${place.label}: the digest`, place.digest, digest);
  }
  const choice = new Choice(place, wanted, read);
  const found = choice.examine(bytes);
  if (found.kind === "invalid") {
    throw new ContentError(wanted.name, `${place.label}: ${found.reason}`, {
      actual: digest,
      hint: ODD_HINT,
    });
  }
  if (found.kind === "image") {
    if (wanted.keepsIndex) {
      throw new ContentError(
        wanted.name,
        `${place.label}: it is one image, not an index of several`,
        {
          hint: `remove index: true from sources.${wanted.source}`,
        },
      );
    }
    checkPins(place, wanted, { digests: [digest], id: found.manifest.config.digest });
    // A registry's tag may move before the download; skopeo holds it to a digest.
    const image = place.image.inRegistry && place.byDigest(digest) || place.image;
    const { manifest } = found;
    await refuseUnfit(wanted, { place, image, manifest }, read);
    return { place, image, digest, manifest };
  }
  const chosen = await choice.of(found.candidates);
  if (wanted.keepsIndex && !chosen.isListed) {
    throw new ContentError(
      wanted.name,
      `${place.label}: its index does not list ${chosen.digest} with a platform, so that it cannot be kept`,
      { hint: `remove index: true from sources.${wanted.source}` },
    );
  }
  const { platform, manifest, image = place.image } = chosen;
  const index = {
    ...{ digest, mediaType: found.mediaType, size: bytes.length, platform },
    read: () => read.manifest(place.image),
  };
  checkPins(place, wanted, { digests: [digest, chosen.digest], id: manifest?.config.digest });
  if (manifest) await refuseUnfit(wanted, { place, image, manifest }, read);
  return { place, image, digest: chosen.digest, index, ...(manifest && { manifest }) };
}

/** Refuses what cannot be taken, before its layers come. */
async function refuseUnfit(
  wanted: Wanted,
  { place: { label }, image, manifest }: Required<Pick<Resolved, "place" | "image" | "manifest">>,
  read: Reader,
): Promise<void> {
  refuseEncrypted(wanted, label, manifest);
  const readConfig = () => read.config(image, manifest.config.digest);
  await refuseNoImage(wanted, label, manifest, readConfig);
}

/** Places other than registries may keep an image under another manifest; then its id decides. */
function checkPins(
  place: Place,
  wanted: Wanted,
  { digests, id }: {
    /** Of what its name stands for, then of what was chosen from that. */
    readonly digests: readonly [string, string?];
    readonly id: string | undefined;
  },
): void {
  if (wanted.imageId && id && wanted.imageId !== id) {
    throw mismatch(wanted, `${place.label}: the image id`, wanted.imageId, id);
  }
  if (!wanted.digest || digests.includes(wanted.digest) || wanted.imageId) return;
  throw mismatch(wanted, `${place.label}: the digest`, wanted.digest, digests[0]);
}

/**
 * Refuses an image whose layers only the owner of a key can compare with its config,
 * https://github.com/containers/ocicrypt/blob/main/docs/media-types.md
 *
 * @param wanted What was wanted.
 * @param label The place that has it.
 * @param manifest Its manifest.
 * @throws {ContentError} If a layer is encrypted.
 */
export function refuseEncrypted(
  { name }: Pick<Wanted, "name">,
  label: string,
  { layers }: ImageManifest,
): void {
  const at = layers.findIndex(({ mediaType }) => mediaType.endsWith("+encrypted"));
  if (at < 0) return;
  throw new ContentError(name, `${label}: layer ${at + 1} is encrypted`, {
    hint: "decrypt it first, by `skopeo copy --decryption-key`, into a folder or a registry",
  });
}
