import { formatPlatform, type Platform } from "../../config/mod.ts";
import { PlatformError } from "../errors/mod.ts";
import { platformOfConfig, type StoredConfig } from "../store/manifest.ts";
import { fits, type ImageItem } from "./image_item.ts";
import { type Resolved, resolveImage } from "./resolve.ts";
import { mismatch, type Reader } from "./wanted.ts";

/** What is known of an image once its config was read. */
export interface Checked {
  /** What its place says of it, with the index if that was read for it. */
  readonly found: Resolved;
  /** What the image is for; what was asked for, where the image does not say it. */
  readonly platform: Platform;
}

/**
 * Tells what an image is for, and checks that it is for what was asked for, if a platform was. What
 * an index gives for a platform is for it, whatever the image itself says; an index that only the
 * lock names is read where the image says something else.
 *
 * @param item What the image must be.
 * @param found What its place says of it.
 * @param config The image's config.
 * @param read Reads what that place serves.
 * @returns What the image is for.
 * @throws {PlatformError} If it is for another platform.
 * @throws {ContentError} If the index that the lock names has another image for the platform.
 */
export async function checkPlatform(
  item: ImageItem,
  found: Resolved,
  config: StoredConfig,
  read: Reader,
): Promise<Checked> {
  const own = platformOfConfig(config);
  const platform = own ? completed(own, config, found.index?.platform) : item.platform;
  const same = { found, platform };
  if (!item.platformIsGiven || found.index?.platform || (own && fits(item.platform, own))) {
    return same;
  }
  const asked = formatPlatform(item.platform);
  const { lockedIndex: digest } = item;
  if (digest === undefined) {
    throw new PlatformError(item, asked, own ? [formatPlatform(own)] : []);
  }
  const { place } = found;
  const index = place.byDigest(digest);
  // What is no registry has no indexes to ask for.
  if (!index?.inRegistry) return same;
  const whole = { ...place, image: index, digest };
  const chosen = await resolveImage(whole, { ...item, digest }, read);
  if (chosen.digest !== found.digest) {
    throw mismatch(item, `the image for ${asked}`, found.digest, chosen.digest);
  }
  return {
    found: { ...found, ...(chosen.index && { index: chosen.index }) },
    platform: own ? completed(own, config, chosen.index?.platform) : platform,
  };
}

/** Configs leave the variant out at times, and only the index says it. */
function completed(own: Platform, { variant }: StoredConfig, listed?: Platform): Platform {
  const isSame = listed?.os === own.os && listed.architecture === own.architecture;
  return isSame && !variant ? listed : own;
}
