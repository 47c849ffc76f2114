import { ContentError, FetchError, InterruptedError, StowageError } from "../errors/mod.ts";
import { PlaceError } from "../transports/absence.ts";
import type { ImageResult, IndexedImage } from "../events.ts";
import { guard } from "../lib/fs/files.ts";
import { readOutside } from "../lib/fs/outside_file.ts";
import { markUsed } from "../store/last_use.ts";
import { CONTAINERS, type StoredFile } from "../store/store.ts";
import type { ImageFetcher, OutsideImage, PreparedImage } from "./image_fetcher.ts";
import { type ImageItem, indexedOf, serverOf } from "./image_item.ts";
import type { LookedReferrer } from "./referrers.ts";
import { type Found as FoundOf, type Outcome, SourceService } from "./source.ts";
import { StoredImages } from "./stored_images.ts";
import type { Expected } from "./tags.ts";
import { Traffic } from "./traffic.ts";

export type { LookedReferrer, OutsideImage, PreparedImage };

type Found = FoundOf<PreparedImage>;

/** Fetches images with skopeo, as osbuild's `org.osbuild.skopeo` source does. */
export class SkopeoSource extends SourceService<ImageItem, PreparedImage> {
  protected override readonly contentType = CONTAINERS;
  /** The items of other platforms that an item brings with it, and the index that lists them. */
  readonly #brought = new WeakMap<ImageItem, { index: string; items: readonly ImageItem[] }>();
  readonly #stored = new StoredImages(this.run, () => this.#openFetcher());
  readonly #traffic = new Traffic(this.run.emit);
  #fetcher: Promise<ImageFetcher> | undefined;

  /**
   * Loads what asks registries, runs skopeo and hashes layers: most runs find all in the store, and
   * need not wait for so much code.
   */
  #openFetcher(): Promise<ImageFetcher> {
    return this.#fetcher ??= import("./image_fetcher.ts").then(({ ImageFetcher }) =>
      new ImageFetcher(this.run, this.#stored, this.#traffic)
    );
  }

  /**
   * Counts manifests.
   *
   * @returns How many were read from registries so far.
   */
  async manifestReads(): Promise<number> {
    return (await this.#fetcher)?.manifestReads ?? 0;
  }

  protected override kindOf(item: ImageItem): string {
    return serverOf(item);
  }

  override async filter(item: ImageItem): Promise<ImageResult | undefined> {
    const image = await this.#stored.find(item);
    if (image) this.#traffic.settle(item.key);
    return image;
  }

  override async prepare(item: ImageItem): Promise<PreparedImage> {
    return await (await this.#openFetcher()).prepare(item);
  }

  protected override async fetchOne(prepared: PreparedImage): Promise<ImageResult> {
    return await (await this.#openFetcher()).fetchOne(prepared);
  }

  override lookAhead(items: readonly ImageItem[]): AsyncDisposable {
    this.#traffic.foresee(items.map(({ key }) => key));
    return super.lookAhead(items);
  }

  override async fetch(item: ImageItem): Promise<ImageResult> {
    try {
      return await super.fetch(item);
    } finally {
      this.#traffic.settle(item.key);
    }
  }

  protected override async complete(item: ImageItem, one: ImageResult): Promise<ImageResult> {
    const { store } = this.run;
    await markUsed(store.entryPath(one.id));
    const image = item.referrers ? await this.#withReferrers(item, one) : one;
    const { index } = image;
    if (!item.wantsAll || !index) return image;
    const others = await this.#others(item, index);
    const outcomes = await this.each(others, (other) => this.fetch(other));
    const images = outcomes.map((outcome) => {
      if ("error" in outcome) throw outcome.error;
      return outcome.value;
    });
    const attestations = await this.#attestations(item, index);
    return {
      ...image,
      index: {
        ...index,
        images: [image, ...images].map(indexedOf),
        ...attestations.length > 0 && { attestations },
      },
    };
  }

  async #withReferrers(item: ImageItem, image: ImageResult): Promise<ImageResult> {
    const downloads = await (await this.#openFetcher()).openReferrers();
    return { ...image, referrers: await downloads.fetch(item, image) };
  }

  /**
   * Finds out which referrers would come along with an image; nothing is stored.
   *
   * @param item The item.
   * @param found What was found of it.
   * @returns The referrers; none where none is asked for.
   * @throws {FetchError} If the registry does not say what there is.
   */
  async lookAtReferrers(item: ImageItem, found: Found): Promise<readonly LookedReferrer[]> {
    if (!item.referrers) return [];
    const { digest, index } = "image" in found ? found.image : found.prepared.found;
    const downloads = await (await this.#openFetcher()).openReferrers();
    return await downloads.look(item, [digest, ...index ? [index.digest] : []]);
  }

  /**
   * Finds an image that may be read where it is, as the store has nothing of it and the policy lets
   * all pass.
   *
   * @param item The item.
   * @returns The image; `undefined` if it has to be fetched, which also tells what is wrong.
   */
  async findOutside(item: ImageItem): Promise<OutsideImage | undefined> {
    try {
      const found = await this.find(item);
      if ("image" in found) return undefined;
      return await (await this.#openFetcher()).openOutside(found.prepared);
    } catch (error) {
      if (this.run.signal.aborted) throw new InterruptedError(this.run.signal.reason);
      if (error instanceof StowageError || error instanceof PlaceError) return undefined;
      throw error;
    }
  }

  /**
   * Says that an item is not fetched.
   *
   * @param item The item.
   */
  leaveOut({ key }: ImageItem): void {
    this.#traffic.settle(key);
  }

  override async look(items: readonly ImageItem[]): Promise<Outcome<ImageItem, Found>[]> {
    const outcomes = await super.look(items);
    const others = await Promise.all(
      outcomes.map((outcome) => "error" in outcome ? [] : this.others(outcome.item, outcome.value)),
    );
    return [...outcomes, ...await super.look(others.flat())];
  }

  protected override async others(item: ImageItem, found: Found): Promise<readonly ImageItem[]> {
    if (!item.wantsAll) return [];
    const index = "image" in found ? found.image.index : found.prepared.found.index;
    return index ? await this.#others(item, index) : [];
  }

  /** The items of the other platforms of an item's index. */
  async #others(
    item: ImageItem,
    index:
      & { readonly digest: string }
      & ({ readonly path: string } | { read(): Promise<Uint8Array> }),
  ): Promise<readonly ImageItem[]> {
    const known = this.#brought.get(item);
    if (known?.index === index.digest) return known.items;
    const bytes = "read" in index
      ? await index.read()
      : await guard("read", index.path, () => readOutside(index.path));
    const { otherItems } = await import("./other_platforms.ts"); // few sources want them
    const items = otherItems(item, index.digest, bytes);
    this.#brought.set(item, { index: index.digest, items });
    return items;
  }

  /** What is in an item's index and for no platform; what is no image there is left out. */
  async #attestations(item: ImageItem, index: StoredFile): Promise<IndexedImage[]> {
    const { emit, offline } = this.run;
    const bytes = await guard("read", index.path, () => readOutside(index.path));
    const { attestationItems } = await import("./other_platforms.ts");
    const items = attestationItems(item, index.digest, bytes);
    const left: string[] = [];
    const outcomes = await this.each(items, async (other) => {
      try {
        return [await this.filter(other) ?? await this.fetchOne(await this.prepare(other))];
      } catch (error) {
        const isOdd = error instanceof ContentError || (offline && error instanceof FetchError);
        if (!isOdd) throw error;
        left.push(error.message);
        return [];
      }
    });
    const [why, ...others] = left;
    if (why !== undefined) {
      const more = others.length > 0 ? ` (and ${others.length} more)` : "";
      const message = `an attestation of "${item.name}"${more} is left out: ${why}`;
      emit({ type: "notice", code: "ATTESTATION_LEFT", message, keys: [item.key] });
    }
    return outcomes.flatMap((outcome) => {
      if ("error" in outcome) throw outcome.error;
      return outcome.value.map(indexedOf);
    });
  }

  /**
   * Runs the workflow up to the download, whatever the store and the fallbacks have.
   *
   * @param items The items.
   * @returns For each, the image that its own place has, with its platform unless an index says it.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async resolve<Item extends ImageItem>(
    items: readonly Item[],
  ): Promise<Outcome<Item, PreparedImage>[]> {
    const fetcher = await this.#openFetcher();
    return await this.each(items, (item) => fetcher.resolve(item));
  }

  /**
   * Asks what tags stand for.
   *
   * @param items The items.
   * @param expected What one is expected to be; if it is, no manifest is read.
   * @returns For each, the digests that its tag stands for: of an index first, then of its images;
   * `undefined` where it has no tag of a registry.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async readTags<Item extends ImageItem>(
    items: readonly Item[],
    expected: (item: Item) => Expected | undefined,
  ): Promise<Outcome<Item, readonly string[] | undefined>[]> {
    const fetcher = await this.#openFetcher();
    return await this.each(items, (item) => fetcher.readTag(item, expected(item)));
  }
}
