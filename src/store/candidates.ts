import { formatPlatform, type Platform, runsOn } from "../../config/mod.ts";
import { isAt, type Origin, type RecordedPlace } from "./origin.ts";

/** Which stored image is meant: by its id, or else by a digest, or else by a reference. */
export interface ImageQuery {
  /** Image id. */
  readonly imageId?: string | undefined;
  /** Digest of its manifest, or of the index that it was chosen from. */
  readonly digest?: string | undefined;
  /** Reference that it was fetched by. */
  readonly reference?: string | undefined;
  /** The place that the reference is the text of. */
  readonly place?: RecordedPlace["place"];
  /** Platform that it is wanted for. */
  readonly platform: Platform;
  /** Whether one for another platform would be wrong; if not, a reference to one image means it. */
  readonly platformIsGiven: boolean;
}

/** What has to be known of a stored image to tell whether it is meant. */
export interface Candidate {
  /** Image id. */
  readonly id: string;
  /** Digest of its manifest, where it is there. */
  readonly digest?: string | undefined;
  /** Where it came from. */
  readonly origins: readonly Origin[];
}

/**
 * Tells which stored images a query means. Whoever asks the store for an image asks here, so that
 * listing, fetching, verifying and removing mean the same one.
 *
 * @param entries What is in the store.
 * @param query Which image is meant.
 * @returns The images that fit; first the one that was fetched last as what the query asks for,
 * whatever else it was fetched as since.
 */
export function candidates<Entry extends Candidate>(
  entries: readonly Entry[],
  query: ImageQuery,
): Entry[] {
  if (query.imageId !== undefined) return entries.filter(({ id }) => id === query.imageId);
  const fits = entries.flatMap((entry) => {
    const fetched = entry.origins.filter((origin) => isFrom(origin, query))
      .map((origin) => origin.fetched).sort().at(-1);
    const isIt = fetched !== undefined ||
      (query.digest !== undefined && entry.digest === query.digest);
    return isIt ? [{ entry, fetched: fetched ?? "" }] : [];
  });
  const compare = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;
  return fits
    .sort((a, b) => compare(b.fetched, a.fetched) || compare(a.entry.id, b.entry.id))
    .map(({ entry }) => entry);
}

/**
 * Whether an image was fetched as what a query asks for.
 *
 * @param origin Where it came from.
 * @param query The query.
 * @returns Whether it was.
 */
export function isFrom(origin: Origin, query: ImageQuery): boolean {
  const { digest } = query;
  if (digest === undefined) return isAt(origin, query) && isFor(origin, query);
  return origin.digest === digest || (origin.index === digest && isFor(origin, query));
}

/**
 * Whether an image was fetched for the platform that a query asks for.
 *
 * @param origin Where it came from.
 * @param query The platform.
 * @returns Whether it was chosen for it, or its place had no other, and it fits.
 */
export function isFor(
  { chosenFor, platform: own }: Origin,
  { platform, platformIsGiven }: Pick<ImageQuery, "platform" | "platformIsGiven">,
): boolean {
  if (chosenFor !== undefined) return chosenFor === formatPlatform(platform);
  return !platformIsGiven || own === undefined || runsOn(platform).includes(own);
}
