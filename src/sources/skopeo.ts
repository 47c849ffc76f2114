import type { Platform } from "../../config/mod.ts";
import { ContentError, FetchError, PolicyError, StoreError } from "../errors/mod.ts";
import { type ImageResult, type IndexedImage, type ItemName, nameOf } from "../events.ts";
import { guard, list } from "../lib/fs/files.ts";
import { readOutside } from "../lib/fs/outside_file.ts";
import type { DirImageData } from "../store/image.ts";
import { markUsed } from "../store/last_use.ts";
import { type ImageManifest, sizeOfImage, type StoredConfig } from "../store/manifest.ts";
import type { Origin } from "../store/origin.ts";
import { CONTAINERS, type StoredFile } from "../store/store.ts";
import { Absence } from "../transports/absence.ts";
import { Caches } from "./caches.ts";
import { type Checked, checkPlatform } from "./check_platform.ts";
import { type ImageItem, indexedOf, originOf, resultOf, serverOf } from "./image_item.ts";
import { ImageDownloads } from "./image_download.ts";
import { HASH_THREADS } from "./layers.ts";
import { attestationItems, otherItems } from "./other_platforms.ts";
import { requirePin } from "./pins.ts";
import type { ReferrerDownloads } from "./referrers.ts";
import { formatLocation, type Place } from "../transports/mod.ts";
import { hintFor, Places } from "./places.ts";
import { Registries } from "../transports/docker/registries.ts";
import { type Resolved, resolveImage } from "./resolve.ts";
import { lacking, LACKING_HINT, type Reader, type Wanted } from "./wanted.ts";
import { keepSignatures } from "./signatures.ts";
import { type Found as FoundOf, type Outcome, SourceService } from "./source.ts";
import { SkopeoRunner } from "./skopeo_runner.ts";
import { type Expected, Tags } from "./tags.ts";
import { readConfig } from "./verify.ts";
import { configOf, StoredImages } from "./stored_images.ts";
import { DigestPool } from "../tools/hash/digest_pool.ts";
import { KeyedMutex } from "../lib/async/keyed_mutex.ts";

/** An image that a place has. */
export interface PreparedImage {
  /** What has to be in the store. */
  readonly item: ImageItem;
  /** The image. */
  readonly found: Resolved;
  /** The places that are left, should this one not give it after all. */
  readonly places: Places;
  /** What it is for, where its config was read. */
  readonly platform?: Platform | undefined;
}

type Found = FoundOf<PreparedImage>;

/** Fetches images with skopeo, as osbuild's `org.osbuild.skopeo` source does. */
export class SkopeoSource extends SourceService<ImageItem, PreparedImage> {
  protected override readonly contentType = CONTAINERS;
  readonly #turns = new KeyedMutex();
  /** The items of other platforms that an item brings with it, and the index that lists them. */
  readonly #brought = new WeakMap<ImageItem, { index: string; items: readonly ImageItem[] }>();
  readonly #registries = new Registries(this.run);
  readonly #skopeo = new SkopeoRunner(this.run, this.#registries);
  readonly #digests = this.run.scratch.use(new DigestPool(this.run.signal, HASH_THREADS));
  readonly #caches = new Caches(this.run);
  readonly #tags = new Tags(this.run, this.#skopeo);
  readonly #stored = new StoredImages(this.run, this.#skopeo, this.#digests);
  readonly #downloads = new ImageDownloads(
    this.run,
    this.#skopeo,
    this.#registries,
    this.#digests,
  );
  #referrers: Promise<ReferrerDownloads> | undefined;

  /** How many manifests were read from registries. */
  get manifestReads(): number {
    return this.#skopeo.manifestReads;
  }

  protected override kindOf(item: ImageItem): string {
    return serverOf(item);
  }

  override async filter(item: ImageItem): Promise<ImageResult | undefined> {
    const image = await this.#stored.find(item);
    if (image) this.#downloads.settle(item.key);
    return image;
  }

  override async prepare(item: ImageItem): Promise<PreparedImage> {
    const options = { readsConfig: item.platformIsGiven, caches: this.#caches };
    const prepared = await this.#prepare(item, options);
    await this.#downloads.expect(item.key, prepared.found.manifest);
    return prepared;
  }

  override lookAhead(items: readonly ImageItem[]): AsyncDisposable {
    this.#downloads.foresee(items.map(({ key }) => key));
    return super.lookAhead(items);
  }

  override async fetch(item: ImageItem): Promise<ImageResult> {
    try {
      return await super.fetch(item);
    } finally {
      this.#downloads.settle(item.key);
    }
  }

  /** The config of what no index gives for a platform is read where the platform matters. */
  async #prepare(
    item: ImageItem,
    { readsConfig, caches }: { readonly readsConfig: boolean; readonly caches?: Caches },
  ): Promise<PreparedImage> {
    if (item.checksTag) await this.#tags.check(item);
    const places = new Places(item, item.locations, this.run, caches);
    const { found, platform } = await this.#findNext(item, places, readsConfig);
    requirePin(item, found.index?.digest ?? found.digest, this.run);
    return { item, found, places, platform };
  }

  /** Few sources ask for referrers: loaded when one does. */
  #openReferrers(): Promise<ReferrerDownloads> {
    return this.#referrers ??= import("./referrers.ts").then(({ ReferrerDownloads }) =>
      new ReferrerDownloads(this.run, this.#skopeo, this.#registries, this.#digests)
    );
  }

  protected override async complete(item: ImageItem, one: ImageResult): Promise<ImageResult> {
    const { store } = this.run;
    await markUsed(store.entryPath(one.id));
    const image = item.referrers
      ? { ...one, referrers: await (await this.#openReferrers()).fetch(item, one) }
      : one;
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
      & ({ readonly path: string } | { readonly bytes: Uint8Array }),
  ): Promise<readonly ImageItem[]> {
    const known = this.#brought.get(item);
    if (known?.index === index.digest) return known.items;
    const bytes = "bytes" in index
      ? index.bytes
      : await guard("read", index.path, () => readOutside(index.path));
    const items = otherItems(item, index.digest, bytes);
    this.#brought.set(item, { index: index.digest, items });
    return items;
  }

  /** What is in an item's index and for no platform; what is no image there is left out. */
  async #attestations(item: ImageItem, index: StoredFile): Promise<IndexedImage[]> {
    const { emit, offline } = this.run;
    const bytes = await guard("read", index.path, () => readOutside(index.path));
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
    return await this.each(items, async (item) => {
      const [first, ...others] = item.locations;
      try {
        return await this.#prepare({ ...item, locations: [first] }, { readsConfig: true });
      } catch (error) {
        if (!(error instanceof FetchError)) throw error;
        const { attempts } = error;
        throw new FetchError(
          item.name,
          attempts,
          hintFor(attempts, { ...item, locations: [first] }, { skipped: others.length }),
        );
      }
    });
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
    return await this.each(
      items,
      (item) => askFirst(item, () => this.#tags.read(item, expected(item))),
    );
  }

  protected override async fetchOne({ item, found, places }: PreparedImage): Promise<ImageResult> {
    const { place, manifest, index } = found;
    const fetch = async (): Promise<ImageResult> => {
      const { image, platform } = await this.#copy(item, found, places.wanted);
      return {
        ...resultOf(item, image, platform),
        status: "fetched",
        digest: found.digest,
        from: place.label,
      };
    };
    try {
      const id = manifest?.config.digest;
      // Of two sources that stand for the same image, one downloads it.
      const image = id === undefined
        ? await fetch()
        : await this.#turns.take(id, async () => await this.#reuse(item, found, id) ?? fetch());
      if (!item.keepsIndex || !index) return image;
      if (image.manifest !== found.digest) {
        throw new ContentError(item.name, `the store has it with the manifest ${image.manifest}`, {
          expected: found.digest,
          actual: image.manifest,
          hint: "its index names another manifest of the same image: fetch it into another store",
        });
      }
      return { ...image, index: await this.run.store.putFile(index.digest, index.bytes) };
    } catch (error) {
      places.passOver(place, error instanceof Absence ? lacking(error) : error);
      return await this.fetchOne({
        item,
        places,
        ...await this.#findNext(item, places, item.platformIsGiven),
      });
    }
  }

  /** The image may be in the store although nothing there said so. */
  async #reuse(item: ImageItem, found: Resolved, id: string): Promise<ImageResult | undefined> {
    const here = await this.run.store.find(id);
    if (!here || !await this.#stored.isSame(here, found.digest)) return undefined;
    if (!await this.#skopeo.accepts(item, found.place, here)) return undefined;
    const config = await configOf(here);
    if (!config) return undefined;
    const { found: checked, platform } = await this.#check(item, found, config);
    const { root } = this.run;
    await this.#recordOrigin(id, originOf(item, checked, { platform, root }));
    return { ...resultOf(item, here, platform), status: "cached", digest: found.digest };
  }

  /** Asks one place after the other, until one has the image. */
  async #findNext(
    item: ImageItem,
    places: Places,
    readsConfig: boolean,
  ): Promise<Pick<PreparedImage, "found" | "platform">> {
    while (true) {
      const place = await places.next();
      try {
        const found = await resolveImage(
          place,
          places.wanted,
          this.#reader(places.wanted, place),
        );
        const { digest, manifest } = found;
        const known = manifest && { id: manifest.config.digest, size: sizeOfImage(manifest) };
        if (known && !places.wanted.imageId) {
          places.wanted = { ...places.wanted, imageId: known.id };
        }
        this.run.emit({
          type: "resolved",
          ...nameOf(places.wanted),
          from: place.label,
          digest,
          ...known,
        });
        const isOpen = readsConfig && !found.index && item.lockedIndex === undefined;
        return isOpen && manifest ? await this.#readPlatform(item, found, manifest) : { found };
      } catch (error) {
        places.passOver(place, error);
      }
    }
  }

  /** Before the layers, so that none comes for nothing. */
  async #readPlatform(
    item: ImageItem,
    found: Resolved,
    manifest: ImageManifest,
  ): Promise<Checked> {
    const { place, image } = found;
    const id = manifest.config.digest;
    const here = await this.run.store.find(id);
    const stored = here && await configOf(here);
    if (stored) return await this.#check(item, found, stored);
    const bytes = await this.#skopeo.readConfig(item, place, image, id);
    return await this.#check(item, found, readConfig(item, found, manifest, bytes));
  }

  async #copy(
    item: ImageItem,
    found: Resolved,
    wanted: Wanted,
  ): Promise<{ readonly image: DirImageData; readonly platform: Platform }> {
    const { store } = this.run;
    const { place } = found;
    await using workspace = await store.workspace();
    const choice = found.image === place.image && found.index ? item.platform : undefined;
    const { image, config, mirror } = await this.#downloads
      .download(wanted, found, workspace.path, choice)
      .catch((error) => {
        // A registry that does not know the manifest that it has just served has spoiled it.
        const isDisowned = error instanceof Absence && error.reason === "unknown" &&
          error.isOfManifest && found.image.inRegistry;
        throw isDisowned
          ? new ContentError(
            item.name,
            `${place.label}: it has no manifest ${found.digest}, and it has just served it`,
            { actual: found.digest, hint: LACKING_HINT },
          )
          : error;
      });
    const folder = image.path;
    const { found: checked, platform } = await this.#check(item, found, config);
    const { root } = this.run;
    const origin = originOf(item, checked, { platform, mirror, root });
    const kept = await store.commit(folder, image.id, origin);
    // Where another was first, its image stays.
    if (!(await list(folder)).includes("version")) return { image: kept, platform };
    if (kept.digest === image.digest) {
      await keepSignatures(folder, kept.path, store.entryPath(kept.id));
    } else if (!await this.#stored.isSame(kept, image.digest)) {
      throw new ContentError(
        item.name,
        `the layers that the store has are not those of ${kept.id}`,
        {
          expected: image.digest,
          actual: kept.digest,
          hint: `remove "${kept.path}", then run it again; something has put them there`,
        },
      );
    } else if (!await this.#skopeo.accepts(item, place, kept)) {
      throw new PolicyError(
        item.name,
        `the store has it as ${kept.digest}, which is not signed; what is signed is ${image.digest}`,
        `remove "${kept.path}", then run it again`,
      );
    }
    return { image: kept, platform };
  }

  #check(item: ImageItem, found: Resolved, config: StoredConfig): Promise<Checked> {
    return checkPlatform(item, found, config, this.#reader(item, found.place));
  }

  #reader(item: ItemName, place: Place): Reader {
    return {
      manifest: (image) => this.#skopeo.readManifest(item, place, image),
      config: (image, id) => this.#skopeo.readConfig(item, place, image, id),
    };
  }

  /** The image was there, and another reference stands for it too. */
  async #recordOrigin(id: string, origin: Origin): Promise<void> {
    try {
      await this.run.store.addOrigin(id, origin);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error; // a read-only store serves all the same
    }
  }
}

/** Says what has become of an item whose own place only is asked. */
async function askFirst<Value>(item: ImageItem, ask: () => Promise<Value>): Promise<Value> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Absence)) throw error;
    const { name, source, locations: [first] } = item;
    const attempt = {
      transport: first.transport,
      reference: formatLocation(first),
      reason: error.reason,
      message: error.message,
      ...(error.hint && { hint: error.hint }),
    };
    const hint = hintFor([attempt], { source, locations: [first] }, { skipped: 0 });
    throw new FetchError(name, [attempt], hint);
  }
}
