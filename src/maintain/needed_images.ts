import type { ImageResult } from "../events.ts";
import type { SourceNode } from "../graph/node.ts";
import type { DirImageData } from "../store/image.ts";
import { guard } from "../lib/fs/files.ts";
import { readOriginRecord } from "../store/origin.ts";
import { type Candidate, candidates } from "../store/candidates.ts";
import type { Store } from "../store/store.ts";
import { queryOf } from "../sources/image_item.ts";
import { storedResult, tellOf } from "../sources/stored_images.ts";

/** An entry of the store. */
interface Entry extends Candidate {
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
      return {
        id,
        origins: record?.origins ?? [],
        isKnown: !!record,
        digest: image?.digest,
        ...(image && { image }),
      };
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
   * @param root Folder that its relative paths start from.
   * @returns By id that image; by digest all that were fetched as it; by tag what was fetched last.
   */
  async neededBy(source: SourceNode, root: string): Promise<NeededImages> {
    const entries = this.#entriesOf(source, root);
    const image = entries.find((entry) => entry.image)?.image;
    const result = image &&
      await storedResult(source, await tellOf(image, this.store), { store: this.store, root });
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

  #entriesOf(source: SourceNode, root: string): readonly Entry[] {
    const entries = candidates(this.entries, queryOf(source, root));
    if (source.imageId !== undefined || source.digest !== undefined) return entries;
    // A damaged one is repaired, and until then the one before it serves.
    const whole = entries.findIndex((entry) => entry.image);
    return whole < 0 ? entries : entries.slice(0, whole + 1);
  }
}
