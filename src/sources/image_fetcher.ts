import { formatPlatform, type Platform } from "../../config/mod.ts";
import { ContentError, FetchError, PolicyError, StoreError } from "../errors/mod.ts";
import { type ImageResult, type ItemName, nameOf } from "../events.ts";
import { KeyedMutex } from "../lib/async/keyed_mutex.ts";
import { digestOf, list } from "../lib/fs/files.ts";
import type { Run } from "../run.ts";
import type { DirImageData } from "../store/image.ts";
import { type ImageManifest, layersOf, sizeOfImage, type StoredConfig } from "../store/manifest.ts";
import type { LayerName } from "../store/blobs.ts";
import type { Origin } from "../store/origin.ts";
import { DigestPool } from "../tools/hash/digest_pool.ts";
import { Absence } from "../transports/absence.ts";
import { type BlobStream, Registries } from "../transports/docker/registries.ts";
import { formatLocation, type Place } from "../transports/mod.ts";
import type { Subject } from "../trust/policy.ts";
import { Caches } from "./caches.ts";
import { type Checked, checkPlatform } from "./check_platform.ts";
import { ImageDownloads } from "./image_download.ts";
import { type ImageItem, originOf, resultOf } from "./image_item.ts";
import { HASH_THREADS, hasItsLayers } from "./layers.ts";
import { requirePin } from "./pins.ts";
import { hintFor, Places } from "./places.ts";
import type { ReferrerDownloads } from "./referrers.ts";
import { type Resolved, resolveImage } from "./resolve.ts";
import { keepSignatures } from "./signatures.ts";
import { SkopeoRunner } from "./skopeo_runner.ts";
import { configOf, type Inspector, type StoredImages } from "./stored_images.ts";
import { type Expected, Tags } from "./tags.ts";
import type { Traffic } from "./traffic.ts";
import { readConfig } from "./verify.ts";
import { lacking, LACKING_HINT, type Reader, type Wanted } from "./wanted.ts";

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

/** An image of a registry that is read there. */
export interface OutsideImage {
  /** Image id. */
  readonly id: string;
  /** What it is for. */
  readonly platform: string;
  /** Digest of its manifest. */
  readonly digest: string;
  /** The manifest's media type. */
  readonly mediaType: string;
  /** The manifest. */
  readonly manifest: Uint8Array<ArrayBuffer>;
  /** The config. */
  readonly config: Uint8Array<ArrayBuffer>;
  /** Its layers, each once. */
  readonly layers: readonly LayerName[];
  /**
   * Reads a layer; its bytes are not checked.
   *
   * @param layer The layer.
   * @returns The bytes.
   * @throws {PlaceError} If the registry does not give them.
   */
  open(layer: LayerName): Promise<BlobStream>;
}

/** Asks places for images, and downloads them. */
export class ImageFetcher implements Inspector {
  readonly #turns = new KeyedMutex();
  readonly #registries: Registries;
  readonly #skopeo: SkopeoRunner;
  readonly #digests: DigestPool;
  readonly #caches: Caches;
  readonly #tags: Tags;
  readonly #downloads: ImageDownloads;
  #referrers: Promise<ReferrerDownloads> | undefined;

  /**
   * @param run The run.
   * @param stored The images that the store has.
   * @param traffic Counts bytes.
   */
  constructor(
    private readonly run: Run,
    private readonly stored: StoredImages,
    traffic: Traffic,
  ) {
    this.#registries = new Registries(run);
    this.#skopeo = new SkopeoRunner(run, this.#registries);
    this.#digests = run.scratch.use(new DigestPool(run.signal, HASH_THREADS));
    this.#caches = new Caches(run);
    this.#tags = new Tags(run, this.#skopeo);
    this.#downloads = new ImageDownloads(run, traffic, {
      skopeo: this.#skopeo,
      registries: this.#registries,
      digests: this.#digests,
    });
  }

  /** How many manifests were read from registries. */
  get manifestReads(): number {
    return this.#skopeo.manifestReads;
  }

  accepts(item: ItemName, subject: Subject, image: DirImageData): Promise<boolean> {
    return this.#skopeo.accepts(item, subject, image);
  }

  hasItsLayers(image: DirImageData): Promise<boolean> {
    return hasItsLayers(image, this.#digests);
  }

  /**
   * Finds out where an image is, and what has to be downloaded of it.
   *
   * @param item The item.
   * @returns What its place has.
   * @throws {StowageError} If no place has it, or what one has is not what was asked for.
   */
  async prepare(item: ImageItem): Promise<PreparedImage> {
    const options = { readsConfig: item.platformIsGiven, caches: this.#caches };
    const prepared = await this.#prepare(item, options);
    await this.#downloads.expect(item.key, prepared.found.manifest);
    return prepared;
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

  /**
   * Opens an image where it is. Its manifest and its config are checked as those that are fetched.
   *
   * @param prepared What `prepare` has found out.
   * @returns The image; `undefined` where it has to be fetched: the store has some of it, the policy
   * asks for signatures, or no registry serves it here.
   * @throws {StowageError} If it is not what was asked for.
   * @throws {Absence} If its place does not give it.
   */
  async openOutside({ item, found }: PreparedImage): Promise<OutsideImage | undefined> {
    const { run: { store, trust, sharesLayers, signal } } = this;
    const { place, image, manifest, digest } = found;
    const { inRegistry: reference } = image;
    if (!reference || !manifest || sharesLayers) return undefined;
    if (!await trust.acceptsAny(item.name, place)) return undefined;
    const { config: { digest: id }, mediaType } = manifest;
    const layers = layersOf(manifest);
    const here = await Promise.all(layers.map((layer) => store.blobs.sizeOf(layer)));
    if (here.some((size) => size > 0) || await store.find(id)) return undefined;
    const bytes = await this.#skopeo.readManifest(item, place, image);
    const config = await this.#skopeo.readConfig(item, place, image, id);
    const read = readConfig(item, found, manifest, config);
    const { platform } = await this.#check(item, found, read);
    const isOdd = manifest.layers.length !== read.rootfs.diff_ids.length;
    if (isOdd || digestOf(bytes) !== digest) return undefined;
    return {
      ...{ id, platform: formatPlatform(platform), digest, mediaType, layers },
      manifest: bytes.slice(),
      config: config.slice(),
      open: (layer) =>
        this.#registries.blob({ reference, how: place.how }, layer.digest, { offset: 0, signal }),
    };
  }

  /**
   * Finds out what an item's own place has, whatever the store, the caches and the fallbacks have.
   *
   * @param item The item.
   * @returns The image, with its platform unless an index says it.
   * @throws {FetchError} If the place does not have it.
   */
  async resolve(item: ImageItem): Promise<PreparedImage> {
    const [first, ...others] = item.locations;
    const alone = { ...item, locations: [first] } as const;
    try {
      return await this.#prepare(alone, { readsConfig: true });
    } catch (error) {
      if (!(error instanceof FetchError)) throw error;
      const { attempts } = error;
      const hint = hintFor(attempts, alone, { skipped: others.length });
      throw new FetchError(item.name, attempts, hint);
    }
  }

  /**
   * Asks what the tag of an item stands for.
   *
   * @param item The item.
   * @param expected What it is expected to be; if it is, no manifest is read.
   * @returns The digests that it stands for, of an index first; `undefined` where it has no tag of a
   * registry.
   * @throws {FetchError} If the registry does not answer.
   */
  async readTag(
    item: ImageItem,
    expected: Expected | undefined,
  ): Promise<readonly string[] | undefined> {
    return await askFirst(item, () => this.#tags.read(item, expected));
  }

  /**
   * Fetches what refers to images; few sources ask for that, so that it is loaded when one does.
   *
   * @returns What fetches it.
   */
  openReferrers(): Promise<ReferrerDownloads> {
    return this.#referrers ??= import("./referrers.ts").then(({ ReferrerDownloads }) =>
      new ReferrerDownloads(this.run, this.#skopeo, this.#registries, this.#digests)
    );
  }

  /**
   * Downloads an image, verifies it and moves it to its place.
   *
   * @param prepared What `prepare` has found out.
   * @returns What is in the store then.
   * @throws {StowageError} If no place gives it, or it is not what was asked for.
   */
  async fetchOne({ item, found, places }: PreparedImage): Promise<ImageResult> {
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
      return { ...image, index: await this.run.store.putFile(index.digest, await index.read()) };
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
    if (!here || !await this.stored.isSame(here, found.digest)) return undefined;
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
    } else if (!await this.stored.isSame(kept, image.digest)) {
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
    const attempt = error.at({ transport: first.transport, label: formatLocation(first) });
    const hint = hintFor([attempt], { source, locations: [first] }, { skipped: 0 });
    throw new FetchError(name, [attempt], hint);
  }
}
