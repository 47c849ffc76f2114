import {
  formatPlatform,
  InvalidValueError,
  parsePlatform,
  type Platform,
} from "../../config/mod.ts";
import type { SourceNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import type { ImageItem } from "../sources/image_item.ts";
import { readOriginLocation } from "../sources/origin_location.ts";
import type { Origin, OriginRecord } from "../store/origin.ts";
import { formatLocation, type Location, transportOf } from "../transports/mod.ts";

/** An image of the store that has to be fetched again. */
export interface LostImage {
  /** Image id. */
  readonly id: string;
  /** What is recorded of it. */
  readonly record: OriginRecord;
  /** Digest of its manifest, where that is there. */
  readonly digest?: string;
}

/** Makes items of images that the store has, or had: pinned to be what they were. */
export class RepairItems {
  /**
   * @param sources The sources of the config, which know how their places are reached.
   * @param context What the run gives.
   */
  constructor(
    private readonly sources: readonly SourceNode[],
    private readonly context: Pick<Run, "root" | "reach">,
  ) {}

  /**
   * Makes the items of an image, one for each digest that it was fetched by, and one for each source
   * that names it without.
   *
   * @param image The image.
   * @returns The items, the likeliest first; each of them gives the image.
   */
  async of({ id, record, digest }: LostImage): Promise<ImageItem[]> {
    const origins = inOrder(record, digest);
    const items: ImageItem[] = [];
    for (const wanted of new Set(origins.map((origin) => origin.digest))) {
      const same = origins.filter((origin) => origin.digest === wanted);
      const item = await this.#ofOrigins(id, same, wanted);
      if (item) items.push(item);
    }
    const known = new Set(origins.flatMap((origin) => [origin.digest, origin.index]));
    known.add(digest);
    const references = new Set(origins.map(({ reference }) => reference));
    for (const source of this.sources) {
      if (references.has(formatLocation(source.locations[0]))) continue;
      const isIt = source.imageId === id ||
        (source.imageId === undefined && source.digest && known.has(source.digest));
      if (isIt) items.push({ ...source, ...ALONE, imageId: id });
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
    const item = await this.#ofOrigins(id, origins, index);
    return item ? [{ ...item, keepsIndex: true }] : [];
  }

  async #ofOrigins(
    id: string,
    origins: readonly Origin[],
    digest: string | undefined,
  ): Promise<ImageItem | undefined> {
    const [first] = origins;
    const platform = first && readPlatform(platformOf(first));
    if (!platform) return undefined;
    const places = (await Promise.all(origins.map((origin) => this.#locationsOf(origin)))).flat();
    const [location, ...others] = new Map(
      places.map((place) => [formatLocation(place), place]),
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
    const { reference } = origin;
    const named = this.sources.filter(({ locations: [first] }) =>
      formatLocation(first) === reference
    );
    return named.find((source) => formatPlatform(source.platform) === platformOf(origin)) ??
      named[0];
  }

  async #locationsOf(origin: Origin): Promise<readonly Location[]> {
    const source = this.#sourceOf(origin);
    if (source) return source.locations;
    const location = await readOriginLocation(origin.reference, this.context);
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
function inOrder({ manifest, origins }: OriginRecord, digest: string | undefined): Origin[] {
  const rank = (origin: Origin) =>
    (origin.digest !== undefined && [manifest, digest].includes(origin.digest) ? 0 : 2) +
    (origin.reference.startsWith("docker://") ? 0 : 1);
  return origins.toReversed().sort((a, b) => rank(a) - rank(b));
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
