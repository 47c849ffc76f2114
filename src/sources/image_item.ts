import { formatPlatform, type Platform, runsOn } from "../../config/mod.ts";
import type { ImageResult, IndexedImage } from "../events.ts";
import type { ImageQuery } from "../store/candidates.ts";
import type { DirImageData } from "../store/image.ts";
import type { Origin } from "../store/origin.ts";
import { formatLocation, type Location, recordPlace, transportOf } from "../transports/mod.ts";
import type { Subject } from "../trust/policy.ts";
import type { Resolved } from "./resolve.ts";
import type { Wanted } from "./wanted.ts";

/** An image that has to be in the store. */
export interface ImageItem extends Wanted {
  /** Where it may be, in the order in which they are tried. */
  readonly locations: readonly [Location, ...Location[]];
  /** The index that the lock says it was chosen from. */
  readonly lockedIndex?: string;
  /** Which referrers of it come along: all, or those of these kinds; absent where none does. */
  readonly referrers?: true | readonly string[];
  /** The tag that it is asked for by; absent where a digest says it all. */
  readonly tag?: string;
  /** Whether the config names a tag beside the digest, which has to stand for it. */
  readonly checksTag: boolean;
  /** Why the lock does not say which image it is, where there is one that does not. */
  readonly unlocked?: string;
}

/**
 * Names who is asked for an image first.
 *
 * @param item The item.
 * @returns The registry's host with its port, or another transport.
 */
export function serverOf(
  { locations: [first] }: { readonly locations: readonly [Location, ...Location[]] },
): string {
  return transportOf(first).server(first);
}

/**
 * What is recorded of where an image came from.
 *
 * @param item The item that it was fetched for.
 * @param found What its place says of it.
 * @param more What it is for, the mirror that has given it, if one has, and the folder that relative
 * paths start from.
 * @returns The record.
 */
export function originOf(
  item: ImageItem,
  { place, digest, index }: Resolved,
  { platform, mirror, root }: {
    readonly platform: Platform;
    readonly mirror?: string | undefined;
    readonly root: string;
  },
): Origin {
  const isPinned = item.digest !== undefined && !item.digestIsLocked;
  const isChosen = index !== undefined || item.lockedIndex !== undefined ||
    (isPinned && item.platformIsGiven);
  return {
    ...placeOf(item, root),
    digest,
    ...(index && { index: index.digest }),
    transport: place.transport,
    ...(mirror !== undefined && { mirror }),
    from: place.label,
    platform: formatPlatform(platform),
    ...(isChosen && { chosenFor: formatPlatform(item.platform) }),
    fetched: new Date().toISOString(),
  };
}

/**
 * Tells whether an image fits a platform.
 *
 * @param platform The platform.
 * @param own What the image is for.
 * @returns Whether it runs there.
 */
export function fits(platform: Platform, own: Platform): boolean {
  return runsOn(platform).includes(formatPlatform(own));
}

/**
 * What a policy is asked of.
 *
 * @param item The item.
 * @param location One of its places.
 * @returns The name of the image there, and how it comes.
 */
export function subjectOf(
  { digest, digestIsLocked }: Pick<ImageItem, "digest" | "digestIsLocked">,
  location: Location,
): Subject {
  const { transport } = location;
  const { isNamed } = transportOf(location);
  if (!("reference" in location)) return { transport, isNamed };
  const { reference } = location;
  return { transport, isNamed, reference, digest: digest ?? reference.digest, digestIsLocked };
}

/**
 * What a run tells of an image that is in the store.
 *
 * @param item The item that it stands for.
 * @param image The image.
 * @param platform What the image is for.
 * @returns All but how it got there.
 */
export function resultOf(
  { key, name }: ImageItem,
  { id, digest, path, size }: DirImageData,
  platform: Platform,
): Omit<ImageResult, "status" | "from"> {
  return {
    key,
    name,
    id,
    digest,
    manifest: digest,
    platform: formatPlatform(platform),
    path,
    size,
  };
}

/**
 * Which stored image a source means.
 *
 * @param item The source.
 * @param root Folder that relative paths start from.
 * @returns The query: by id, or else by digest, or else by what it is asked for by.
 */
export function queryOf(
  { imageId, digest, entry, platform, platformIsGiven, locations: [first] }: Pick<
    ImageItem,
    "imageId" | "digest" | "entry" | "platform" | "platformIsGiven" | "locations"
  >,
  root: string,
): ImageQuery {
  const { reference, place } = placeOf({ locations: [first] }, root);
  return { imageId, digest: entry ?? digest, reference, place, platform, platformIsGiven };
}

/**
 * What the store knows the place by that an image is asked for at first.
 *
 * @param item The image.
 * @param root Folder that relative paths start from.
 * @returns The place, and its text as the config has it.
 */
export function placeOf(
  { locations: [first] }: Pick<ImageItem, "locations">,
  root: string,
): Required<Pick<Origin, "reference" | "place" | "access">> {
  return { reference: formatLocation(first), ...recordPlace(first, root) };
}

/**
 * What is told of an image of an index.
 *
 * @param image The image.
 * @returns All that tells it from the others.
 */
export function indexedOf(
  { key, name, status, platform, id, digest, path, size }: ImageResult,
): IndexedImage {
  return { key, name, status, platform, id, digest, path, size };
}
