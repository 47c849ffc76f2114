import {
  formatPlatform,
  InvalidValueError,
  parsePlatform,
  type Platform,
} from "../../config/mod.ts";
import type { SourceNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { hashOf } from "../lib/hash/hash.ts";
import { type ImageItem, placeOf } from "../sources/image_item.ts";
import { isAt, type Origin, type OriginRecord } from "../store/origin.ts";
import { type Location, readPlace, recordPlace, transportOf } from "../transports/mod.ts";
import { readOriginText } from "./origin_text.ts";

/** An image of the store that has to be fetched again. */
export interface LostImage {
  /** Image id. */
  readonly id: string;
  /** What is recorded of it. */
  readonly record: OriginRecord;
  /** Digest of its manifest, where that is there. */
  readonly digest?: string;
}

/** Where an image came from. */
interface Located {
  /** What is recorded. */
  readonly origin: Origin;
  /** The place; `undefined` where it cannot be read. */
  readonly location: Location | undefined;
}

/** Makes items of images that the store has, or had: pinned to be what they were. */
export class RepairItems {
  /**
   * @param sources The sources of the config, which know how their places are reached.
   * @param run What the run gives.
   */
  constructor(
    private readonly sources: readonly SourceNode[],
    private readonly run: Pick<Run, "root" | "reach">,
  ) {}

  /**
   * Makes the items of an image, one for each digest that it was fetched by, and one for each source
   * that names it without.
   *
   * @param image The image.
   * @returns The items, the likeliest first; each of them gives the image.
   */
  async of({ id, record, digest }: LostImage): Promise<ImageItem[]> {
    const found = inOrder(await this.#locate(record.origins), [record.manifest, digest]);
    const origins = found.map(({ origin }) => origin);
    const items: ImageItem[] = [];
    for (const wanted of new Set(origins.map((origin) => origin.digest))) {
      const same = found.filter(({ origin }) => origin.digest === wanted);
      const item = this.#ofOrigins(id, same, wanted);
      if (item) items.push(item);
    }
    const known = new Set(origins.flatMap((origin) => [origin.digest, origin.index]));
    known.add(digest);
    for (const source of this.sources) {
      if (origins.some((origin) => this.#isOf(source, origin))) continue;
      const isIt = source.imageId === id ||
        (source.imageId === undefined && source.digest && known.has(source.digest));
      const { referrers: _, ...own } = source;
      if (isIt) items.push({ ...own, ...ALONE, imageId: id });
    }
    return items;
  }

  /**
   * Makes the items that bring an index back, with an image of it that the store has.
   *
   * @param index Digest of the index.
   * @param image The image.
   * @returns The items; none if the image is not known to be of that index.
   */
  async ofIndex(index: string, { id, record }: LostImage): Promise<ImageItem[]> {
    const origins = record.origins.filter((origin) => origin.index === index).toReversed();
    const item = this.#ofOrigins(id, await this.#locate(origins), index);
    return item ? [{ ...item, keepsIndex: true }] : [];
  }

  #ofOrigins(
    id: string,
    found: readonly Located[],
    digest: string | undefined,
  ): ImageItem | undefined {
    const first = found[0]?.origin;
    const platform = first && readPlatform(platformOf(first));
    if (!platform) return undefined;
    const places = found.flatMap((each) => this.#locationsOf(each));
    const [location, ...others] = new Map(
      places.map((place) => [hashOf(recordPlace(place, this.run.root).place), place]),
    ).values();
    if (!location) return undefined;
    const source = this.#sourceOf(first);
    const isOther = source?.wantsAll && formatPlatform(source.platform) !== first.chosenFor;
    const name = isOther ? `${source.name}@${first.chosenFor}` : source?.name;
    return {
      ...ALONE,
      key: `source/${name ?? first.reference}`,
      name: name ?? first.reference,
      source: source?.source ?? first.reference,
      imageId: id,
      ...(digest !== undefined && { digest }),
      platform,
      locations: [location, ...others],
    };
  }

  #sourceOf(origin: Origin): SourceNode | undefined {
    const named = this.sources.filter((source) => this.#isOf(source, origin));
    return named.find((source) => formatPlatform(source.platform) === platformOf(origin)) ??
      named[0];
  }

  #isOf(source: SourceNode, origin: Origin): boolean {
    return isAt(origin, placeOf(source, this.run.root));
  }

  async #locate(origins: readonly Origin[]): Promise<Located[]> {
    return await Promise.all(origins.map(async (origin) => {
      const location = origin.place === undefined
        ? await readOriginText(origin.reference, this.run)
        : readPlace(origin, this.run.reach);
      return { origin, location };
    }));
  }

  #locationsOf({ origin, location }: Located): readonly Location[] {
    const source = this.#sourceOf(origin);
    if (source) return source.locations;
    if (!location) return [];
    const transport = transportOf(location);
    const reached = this.sources.flatMap(({ locations }) => locations)
      .filter((other) => other.transport === location.transport)
      .map((other) => transport.reachedAs(location, other))
      .find((similar) => similar !== undefined);
    return [reached ?? location];
  }
}

/** An item that stands for one image only. */
const ALONE = {
  platformIsGiven: false,
  keepsIndex: false,
  wantsAll: false,
  checksTag: false,
} as const;

/** What has the manifest that was here first, then registries, then what was fetched last. */
function inOrder(
  found: readonly Located[],
  manifests: readonly (string | undefined)[],
): readonly Located[] {
  const rank = ({ origin, location }: Located) =>
    (origin.digest !== undefined && manifests.includes(origin.digest) ? 0 : 2) +
    (location && transportOf(location).isNamed ? 0 : 1);
  return found.toReversed().sort((a, b) => rank(a) - rank(b));
}

/** The platform that an image was chosen for, or else what it is for. */
function platformOf({ chosenFor, platform = "" }: Origin): string {
  return chosenFor ?? platform;
}

function readPlatform(text: string): Platform | undefined {
  try {
    return parsePlatform(text);
  } catch (error) {
    if (error instanceof InvalidValueError) return undefined;
    throw error;
  }
}
