import { formatLocation, formatPlatform } from "../../config/mod.ts";
import type { ImageResult } from "../events.ts";
import type { SourceNode } from "../graph/node.ts";
import type { DirImageData } from "../store/image.ts";
import { guard } from "../lib/fs/files.ts";
import { type Origin, readOriginRecord } from "../store/origin.ts";
import { isFrom, type Store } from "../store/store.ts";

/** An entry of the store. */
interface Entry {
  readonly id: string;
  readonly origins: readonly Origin[];
  /** Whether what is recorded of it could be read. */
  readonly isKnown: boolean;
  /** The image; absent where it is not complete. */
  readonly image?: DirImageData;
}

/** What a source needs of a store. */
export interface NeededImages {
  /** Ids of the entries that have to stay. */
  readonly ids: readonly string[];
  /** The image that a run would take from the store, if there is one. */
  readonly image?: ImageResult;
}

/** Tells what sources need of a store; no registry is asked. */
export class ImageNeeds {
  private constructor(
    private readonly store: Store,
    private readonly entries: readonly Entry[],
  ) {}

  /**
   * Reads the entries of a store.
   *
   * @param store The store.
   * @returns What there is.
   */
  static async read(store: Store): Promise<ImageNeeds> {
    const entries = await Promise.all((await store.ids()).map(async (id): Promise<Entry> => {
      const entry = store.entryPath(id);
      const record = await guard("read", entry, () => readOriginRecord(entry));
      const image = await store.find(id);
      return { id, origins: record?.origins ?? [], isKnown: !!record, ...(image && { image }) };
    }));
    return new ImageNeeds(store, entries);
  }

  /** Ids of the images that came from who knows where, as a later version has recorded it. */
  get unknown(): readonly string[] {
    return this.entries.filter(({ isKnown }) => !isKnown).map(({ id }) => id);
  }

  /**
   * Tells what a source needs.
   *
   * @param source The source.
   * @returns By id that image; by digest all that were fetched as it; by tag what was fetched last.
   */
  async neededBy(source: SourceNode): Promise<NeededImages> {
    const entries = this.#entriesOf(source);
    const image = entries.find((entry) => entry.image)?.image;
    const result = image && await this.#resultOf(source, image);
    const ids = [...entries, ...this.#othersOf(source, entries)].map(({ id }) => id);
    return { ids, ...(result && { image: result }) };
  }

  /** The images for other platforms, of the same indexes. */
  #othersOf({ wantsAll }: SourceNode, entries: readonly Entry[]): readonly Entry[] {
    if (!wantsAll) return [];
    const indexes = new Set(entries.flatMap(({ origins }) => origins.map(({ index }) => index)));
    indexes.delete(undefined);
    return this.entries.filter(({ origins }) => origins.some(({ index }) => indexes.has(index)));
  }

  #entriesOf({ imageId, digest, locations: [first], platform }: SourceNode) {
    if (imageId !== undefined) return this.entries.filter(({ id }) => id === imageId);
    const of = { platform: formatPlatform(platform) };
    const query = { ...of, ...(digest ? { digest } : { reference: formatLocation(first) }) };
    const found = this.entries.flatMap((entry) => {
      const fetched = entry.origins.filter((origin) => isFrom(origin, query))
        .map((origin) => origin.fetched).sort().at(-1);
      const isIt = fetched !== undefined || (digest && entry.image?.digest === digest);
      return isIt ? [{ entry, fetched: fetched ?? "" }] : [];
    });
    const entries = found.sort((a, b) => a.fetched < b.fetched ? 1 : -1).map(({ entry }) => entry);
    if (digest) return entries;
    // A damaged one is repaired, and until then the one before it serves.
    const whole = entries.findIndex((entry) => entry.image);
    return whole < 0 ? entries : entries.slice(0, whole + 1);
  }

  /** The image as a run would give it to inputs. */
  async #resultOf(
    { name, platform, keepsIndex, digest }: SourceNode,
    { id, digest: manifest, path, size }: DirImageData,
  ): Promise<ImageResult | undefined> {
    const of = formatPlatform(platform);
    const served = (await this.store.origins(id)).findLast((origin) =>
      origin.platform === of && (!keepsIndex || !digest || origin.index === digest)
    );
    const index = keepsIndex && served?.index && await this.store.findFile(served.index);
    if (keepsIndex && !index) return undefined;
    return {
      ...{ name, status: "cached", id, path, size, platform: of },
      ...{ digest: served?.digest ?? manifest, manifest },
      ...(index && { index }),
    };
  }
}
