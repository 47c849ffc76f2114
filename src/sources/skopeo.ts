import { ContentError, FetchError, PolicyError, StoreError } from "../errors/mod.ts";
import { type ImageResult, type IndexedImage, nameOf } from "../events.ts";
import { digestOf, guard, list } from "../lib/fs/files.ts";
import type { DirImageData } from "../store/image.ts";
import { markUsed } from "../store/last_use.ts";
import { readManifest, sizeOfImage } from "../store/manifest.ts";
import { CONTAINERS, type StoredFile } from "../store/store.ts";
import { Absence } from "../transports/absence.ts";
import { checkPlatform } from "./check_platform.ts";
import { type ImageItem, indexedOf, originOf, resultOf, serverOf } from "./image_item.ts";
import { ImageDownloads } from "./image_download.ts";
import { attestationItems, otherItems } from "./other_platforms.ts";
import { requirePin } from "./pins.ts";
import { formatLocation, type PlaceImage, transportOf } from "../transports/mod.ts";
import { hintFor, Places } from "./places.ts";
import { Registries } from "../transports/docker/registries.ts";
import { type Resolved, resolveImage, type Wanted } from "./resolve.ts";
import { keepSignatures } from "./signatures.ts";
import { type Found as FoundOf, type Outcome, SourceService } from "./source.ts";
import { SkopeoRunner } from "./skopeo_runner.ts";
import { StoredImages } from "./stored_images.ts";
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
}

type Found = FoundOf<PreparedImage>;

/** Threads that hash layers: each takes memory, and the network and skopeo need a core too. */
const THREADS = navigator.hardwareConcurrency > 2 ? 2 : 1;

/** What has no images in it: it is one. */
const IMAGE_MANIFEST_TYPES: readonly string[] = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];

/** What a tag is expected to stand for. */
export interface Expected {
  /** The digest. */
  readonly digest: string;
  /** Whether it is what the tag itself stood for, and not an image of the index. */
  readonly isWhole: boolean;
}

/** Fetches images with skopeo, as osbuild's `org.osbuild.skopeo` source does. */
export class SkopeoSource extends SourceService<ImageItem, PreparedImage> {
  protected override readonly contentType = CONTAINERS;
  readonly #turns = new KeyedMutex();
  readonly #registries = new Registries(this.context);
  readonly #skopeo = new SkopeoRunner(this.context, this.#registries);
  readonly #digests = this.context.scratch.use(new DigestPool(this.context.signal, THREADS));
  readonly #stored = new StoredImages(this.context, this.#skopeo, this.#digests);
  readonly #downloads = new ImageDownloads(
    this.context,
    this.#skopeo,
    this.#registries,
    this.#digests,
  );

  /** How many manifests were read from registries. */
  get manifestReads(): number {
    return this.#skopeo.manifestReads;
  }

  protected override kindOf(item: ImageItem): string {
    return serverOf(item);
  }

  override async filter(item: ImageItem): Promise<ImageResult | undefined> {
    return await this.#stored.find(item);
  }

  override async prepare(item: ImageItem): Promise<PreparedImage> {
    if (item.checksTag) await this.#checkTag(item);
    const places = new Places(item, item.locations, this.context);
    const found = await this.#findNext(places);
    requirePin(item, found.index?.digest ?? found.digest, this.context);
    return { item, found, places };
  }

  protected override async complete(item: ImageItem, image: ImageResult): Promise<ImageResult> {
    const { store } = this.context;
    await markUsed(store.entryPath(image.id));
    const { index } = image;
    if (!item.wantsAll || !index) return image;
    const outcomes = await this.each(await this.#others(item, index), (other) => this.fetch(other));
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
    const others = await Promise.all(outcomes.map(async (outcome) => {
      if ("error" in outcome || !outcome.item.wantsAll) return [];
      const { item, value } = outcome;
      const index = "image" in value ? value.image.index : value.prepared.found.index;
      return index ? await this.#others(item, index) : [];
    }));
    return [...outcomes, ...await super.look(others.flat())];
  }

  /** The items of the other platforms of an item's index. */
  async #others(
    item: ImageItem,
    index:
      & { readonly digest: string }
      & ({ readonly path: string } | { readonly bytes: Uint8Array }),
  ): Promise<ImageItem[]> {
    const bytes = "bytes" in index
      ? index.bytes
      : await guard("read", index.path, () => Deno.readFile(index.path));
    return otherItems(item, index.digest, bytes);
  }

  /** What is in an item's index and for no platform; what is no image there is left out. */
  async #attestations(item: ImageItem, index: StoredFile): Promise<IndexedImage[]> {
    const { emit, offline } = this.context;
    const bytes = await guard("read", index.path, () => Deno.readFile(index.path));
    const items = attestationItems(item, index.digest, bytes);
    const outcomes = await this.each(items, async (other) => {
      try {
        return [await this.filter(other) ?? await this.fetchOne(await this.prepare(other))];
      } catch (error) {
        const isOdd = error instanceof ContentError || (offline && error instanceof FetchError);
        if (!isOdd) throw error;
        const message = `an attestation of "${item.name}" is left out: ${error.message}`;
        emit({ type: "notice", code: "ATTESTATION_LEFT", message });
        return [];
      }
    });
    return outcomes.flatMap((outcome) => {
      if ("error" in outcome) throw outcome.error;
      return outcome.value.map(indexedOf);
    });
  }

  /**
   * Runs the workflow up to the download, whatever the store and the fallbacks have.
   *
   * @param items The items.
   * @returns For each, the image that its own place has.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async resolve<Item extends ImageItem>(
    items: readonly Item[],
  ): Promise<Outcome<Item, PreparedImage>[]> {
    return await this.each(items, async (item) => {
      const [first, ...others] = item.locations;
      try {
        return await this.prepare({ ...item, locations: [first] });
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
    return await this.each(items, async (item) => {
      try {
        return await this.#readTag(item, expected(item));
      } catch (error) {
        if (!(error instanceof Absence)) throw error;
        const { locations: [first] } = item;
        const tagged = { source: item.source, locations: [first] } as const;
        const attempt = {
          transport: first.transport,
          reference: formatLocation(first),
          reason: error.reason,
          message: error.message,
          ...(error.hint && { hint: error.hint }),
        };
        const hint = hintFor([attempt], tagged, { skipped: 0 });
        throw new FetchError(item.name, [attempt], hint);
      }
    });
  }

  async #readTag(
    item: ImageItem,
    expected: Expected | undefined,
  ): Promise<readonly string[] | undefined> {
    const [first] = item.locations;
    const transport = transportOf(first);
    const tagged = item.tag === undefined ? undefined : transport.byTag(first);
    if (!tagged) return undefined;
    const { root, scratch, offline } = this.context;
    if (offline) throw new Absence("offline", "it was not asked");
    const location = transport.absolute(tagged, root);
    const place = await transport.open(location, { scratch: () => scratch.folder() });
    const head = expected && await this.#skopeo.readHead(item, place);
    const isEnough = head && expected &&
      (expected.isWhole || expected.digest === head.digest ||
        IMAGE_MANIFEST_TYPES.includes(head.mediaType));
    if (isEnough) return [head.digest];
    const bytes = await this.#skopeo.readManifest(item, place, place.image);
    const found = readManifest(bytes);
    const inner = found.kind === "index" ? found.index.manifests.map(({ digest }) => digest) : [];
    return [digestOf(bytes), ...inner];
  }

  /** A tag beside a digest says what the digest is meant to be; isar's fetcher checks it too. */
  async #checkTag(item: ImageItem): Promise<void> {
    const { name, source, digest, locations: [first] } = item;
    const tagged = transportOf(first).byTag(first);
    if (digest === undefined || !tagged) return;
    try {
      const digests = await this.#readTag(item, { digest, isWhole: false });
      if (!digests || digests.includes(digest)) return;
      const [actual = ""] = digests;
      const tag = formatLocation(tagged);
      const accept = "reference" in first && first.reference.digest
        ? `replace the digest in its reference by "${actual}"`
        : `set digest: "${actual}"`;
      throw new ContentError(name, `${tag} is ${actual} now, and the config pins ${digest}`, {
        expected: digest,
        actual,
        hint:
          `to accept what the tag is now, ${accept}; to keep the old image, leave the tag out ` +
          `of sources.${source}`,
      });
    } catch (error) {
      if (!(error instanceof Absence)) throw error; // the places will say so
    }
  }

  protected override async fetchOne({ item, found, places }: PreparedImage): Promise<ImageResult> {
    const { place, manifest, index } = found;
    const fetch = async (): Promise<ImageResult> => {
      const image = await this.#copy(item, found, places.wanted);
      return {
        ...resultOf(item, image),
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
      return { ...image, index: await this.context.store.putFile(index.digest, index.bytes) };
    } catch (error) {
      if (!(error instanceof Absence)) throw error;
      places.reject(place, error);
      return await this.fetchOne({ item, found: await this.#findNext(places), places });
    }
  }

  /** The image may be in the store although nothing there said so. */
  async #reuse(item: ImageItem, found: Resolved, id: string): Promise<ImageResult | undefined> {
    const here = await this.context.store.find(id);
    if (!here || !await this.#stored.isSame(here, found.digest)) return undefined;
    if (!await this.#skopeo.accepts(item, found.place, here)) return undefined;
    await this.#recordOrigin(item, id, await this.#checkPlatform(item, found, here));
    return { ...resultOf(item, here), status: "cached", digest: found.digest };
  }

  /** Asks one place after the other, until one has the image. */
  async #findNext(places: Places): Promise<Resolved> {
    while (true) {
      const place = await places.next();
      try {
        const found = await resolveImage(
          place,
          places.wanted,
          (image) => this.#skopeo.readManifest(places.wanted, place, image),
        );
        const { digest, manifest } = found;
        const known = manifest && { id: manifest.config.digest, size: sizeOfImage(manifest) };
        if (known && !places.wanted.imageId) {
          places.wanted = { ...places.wanted, imageId: known.id };
        }
        this.context.emit({
          type: "resolved",
          ...nameOf(places.wanted),
          from: place.label,
          digest,
          ...known,
        });
        return found;
      } catch (error) {
        if (!(error instanceof Absence)) throw error;
        places.reject(place, error);
      }
    }
  }

  async #copy(item: ImageItem, found: Resolved, wanted: Wanted): Promise<DirImageData> {
    const { store } = this.context;
    const { place } = found;
    await using workspace = await store.workspace();
    const platform = found.image === place.image && found.index ? item.platform : undefined;
    const { image } = await this.#downloads
      .download(wanted, found, workspace.path, platform)
      .catch((error) => {
        // A registry that does not know the manifest that it has just served has spoiled it.
        const isDisowned = error instanceof Absence && error.reason === "unknown" &&
          error.isOfManifest && found.image.inRegistry;
        throw isDisowned
          ? new ContentError(
            item.name,
            `${place.label}: it has no manifest ${found.digest}, and it has just served it`,
            { actual: found.digest },
          )
          : error;
      });
    const folder = image.path;
    const origin = originOf(item, await this.#checkPlatform(item, found, image));
    const kept = await store.commit(folder, image.id, origin);
    // Where another was first, its image stays.
    if (!(await list(folder)).includes("version")) return kept;
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
    return kept;
  }

  #checkPlatform(item: ImageItem, found: Resolved, image: DirImageData): Promise<Resolved> {
    const read = (image: PlaceImage) => this.#skopeo.readManifest(item, found.place, image);
    return checkPlatform(item, found, image, read);
  }

  /** The image was there, and another reference stands for it too. */
  async #recordOrigin(item: ImageItem, id: string, found: Resolved): Promise<void> {
    try {
      await this.context.store.addOrigin(id, originOf(item, found));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error; // a read-only store serves all the same
    }
  }
}
