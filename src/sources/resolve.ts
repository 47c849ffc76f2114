import { formatPlatform, type Platform, runsOn } from "../../config/mod.ts";
import { ContentError, PlatformError } from "../errors/mod.ts";
import type { ItemName } from "../events.ts";
import { digestOf } from "../lib/fs/files.ts";
import {
  type ImageManifest,
  type Index,
  platformOfEntry,
  readManifest,
} from "../store/manifest.ts";
import type { Place, PlaceImage } from "../transports/mod.ts";

/** What an image must be. */
export interface Wanted extends ItemName {
  /** Name of its source in the config. */
  readonly source: string;
  /** Digest of the manifest or the index. */
  readonly digest?: string;
  /** Whether the lock says the digest, and the config does not. */
  readonly digestIsLocked?: boolean;
  /** Image id. */
  readonly imageId?: string;
  /** Its platform. */
  readonly platform: Platform;
  /** Whether the config names the platform, so that another is wrong. */
  readonly platformIsGiven: boolean;
  /** Digest of the entry of the index that is meant; its platform says it, if absent. */
  readonly entry?: string;
  /** Whether the index that the image is chosen from is kept too. */
  readonly keepsIndex: boolean;
  /** Whether the images of all platforms of that index are kept too. */
  readonly wantsAll: boolean;
}

/** What to do about what can be read, and is no image. */
export const ODD_HINT =
  "look at it with `skopeo inspect --raw`, and tell who serves it; another tag may be whole";

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
    readonly bytes: Uint8Array;
    /** The platform that it gives the image for. */
    readonly platform: Platform;
  };
  /** Its manifest; `undefined` where the place gives it only with the download. */
  readonly manifest?: ImageManifest;
}

/**
 * Finds out which image a place has.
 *
 * @param place The place.
 * @param wanted What the image must be.
 * @param read Reads the bytes of a manifest, as served.
 * @returns The image.
 * @throws {ContentError} If what the place has is not what is wanted, or no manifest at all.
 * @throws {PlatformError} If the place has it for other platforms only.
 */
export async function resolveImage(
  place: Place,
  wanted: Wanted,
  read: (image: PlaceImage) => Promise<Uint8Array>,
): Promise<Resolved> {
  const bytes = await read(place.image);
  const digest = digestOf(bytes);
  // Before anything in it is believed, such as the digest of a manifest that nobody has.
  if (place.digest && place.digest !== digest) {
    throw mismatch(wanted, `${place.label}: the digest`, place.digest, digest);
  }
  const found = readManifest(bytes);
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
    checkPins(place, wanted, digest, found.manifest.config.digest);
    refuseEncrypted(wanted, place.label, found.manifest);
    // A registry's tag may move before the download; skopeo holds it to a digest.
    const image = place.image.inRegistry && place.byDigest(digest) || place.image;
    return { place, image, digest, manifest: found.manifest };
  }
  const { digest: chosen, platform } = choose(found.index, wanted);
  const index = { digest, mediaType: found.index.mediaType, bytes, platform };
  checkPins(place, wanted, digest, undefined, chosen);
  const image = place.byDigest(chosen);
  if (image === undefined) return { place, image: place.image, digest: chosen, index };
  const inner = await read(image);
  const actual = digestOf(inner);
  if (actual !== chosen) throw mismatch(wanted, `${place.label}: a manifest`, chosen, actual);
  const manifest = readManifest(inner);
  if (manifest.kind !== "image") {
    const reason = manifest.kind === "invalid" ? manifest.reason : "an index within an index";
    throw new ContentError(wanted.name, `${place.label}: ${reason}`, { actual, hint: ODD_HINT });
  }
  checkPins(place, wanted, digest, manifest.manifest.config.digest, chosen);
  refuseEncrypted(wanted, place.label, manifest.manifest);
  return { place, image, digest: chosen, index, manifest: manifest.manifest };
}

/** Places other than registries may keep an image under another manifest; then its id decides. */
function checkPins(
  place: Place,
  wanted: Wanted,
  digest: string,
  id: string | undefined,
  chosen?: string,
): void {
  if (wanted.imageId && id && wanted.imageId !== id) {
    throw mismatch(wanted, `${place.label}: the image id`, wanted.imageId, id);
  }
  if (!wanted.digest || wanted.digest === digest || wanted.digest === chosen) return;
  if (wanted.imageId) return;
  throw mismatch(wanted, `${place.label}: the digest`, wanted.digest, digest);
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

/**
 * The error of a digest that differs.
 *
 * @param wanted What was wanted.
 * @param what What differs, to follow the name of the item.
 * @param expected The digest that was wanted.
 * @param actual The digest that was found.
 * @returns The error.
 */
export function mismatch(
  { name, source }: Pick<Wanted, "name" | "source">,
  what: string,
  expected: string,
  actual: string,
): ContentError {
  return new ContentError(name, `${what} is ${actual}, and ${expected} was asked for`, {
    expected,
    actual,
    hint: `if the new one is right, put it into sources.${source}, or run ` +
      `\`stowage lock --update ${source}\`; if not, ask who serves it`,
  });
}

/** An image of an index, and what it is for. */
interface Offer {
  readonly digest: string;
  readonly platform: Platform;
}

function choose(index: Index, { name, platform, entry: wanted }: Wanted): Offer {
  const entry = index.manifests.find(({ digest }) => digest === wanted);
  if (entry) return { digest: entry.digest, platform: platformOfEntry(entry) ?? platform };
  const offers = index.manifests.flatMap((entry): Offer[] => {
    const found = platformOfEntry(entry);
    return found ? [{ digest: entry.digest, platform: found }] : [];
  });
  for (const candidate of runsOn(platform)) {
    const offer = offers.find((offer) => formatPlatform(offer.platform) === candidate);
    if (offer) return offer;
  }
  const odd = index.manifests.flatMap((entry) =>
    "oddPlatform" in entry ? [`"${entry.oddPlatform}", which is no platform`] : []
  );
  const offered = offers.map((offer) => formatPlatform(offer.platform));
  throw new PlatformError(name, formatPlatform(platform), [...offered, ...odd]);
}
