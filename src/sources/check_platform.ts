import { formatPlatform } from "../../config/mod.ts";
import { PlatformError } from "../errors/mod.ts";
import type { DirImageData } from "../store/image.ts";
import { platformOf } from "../store/manifest.ts";
import type { ImageItem } from "./image_item.ts";
import type { PlaceImage } from "../transports/mod.ts";
import { mismatch, type Resolved, resolveImage } from "./resolve.ts";
import { configOf } from "./stored_images.ts";

/**
 * Checks that an image is for the platform that was asked for, if one was. What an index gives for
 * a platform is for it, whatever the image itself says; an index that only the lock names is read
 * where the image says something else.
 *
 * @param item What the image must be.
 * @param found What its place says of it.
 * @param image The image.
 * @param read Reads the bytes of a manifest of that place, as served.
 * @returns What its place says of it, with the index if that was read.
 * @throws {PlatformError} If it is for another platform.
 * @throws {ContentError} If the index that the lock names has another image for the platform.
 */
export async function checkPlatform(
  item: ImageItem,
  found: Resolved,
  image: DirImageData,
  read: (image: PlaceImage) => Promise<Uint8Array>,
): Promise<Resolved> {
  if (!item.platformIsGiven || found.index) return found;
  const config = await configOf(image);
  const asked = formatPlatform(item.platform);
  const offered = config ? formatPlatform(platformOf(config)) : asked;
  if (asked === offered) return found;
  const { lockedIndex: digest } = item;
  if (digest === undefined) throw new PlatformError(item.name, asked, [offered]);
  const { place } = found;
  const index = place.byDigest(digest);
  // What is no registry has no indexes to ask for.
  if (!index?.inRegistry) return found;
  const whole = { ...place, image: index, digest };
  const chosen = await resolveImage(whole, { ...item, digest }, read);
  if (chosen.digest !== found.digest) {
    throw mismatch(item, `the image for ${asked}`, found.digest, chosen.digest);
  }
  return { ...found, ...(chosen.index && { index: chosen.index }) };
}
