import { join } from "@std/path";
import { formatLocation, formatPlatform, type Location } from "../../config/mod.ts";
import { ContentError, FetchError, PolicyError, StoreError } from "../errors.ts";
import type { ImageResult } from "../events.ts";
import { digestOf, guard, list } from "../store/files.ts";
import { blobPath, type DirImageData } from "../store/image.ts";
import {
  platformOf,
  readImageConfig,
  readManifest,
  sizeOfImage,
  type StoredConfig,
} from "../store/manifest.ts";
import type { Origin } from "../store/origin.ts";
import { CONTAINERS } from "../store/store.ts";
import { Absence } from "./absence.ts";
import { hasItsLayers } from "./layers.ts";
import { Pins } from "./pins.ts";
import { openPlace, type Place } from "./place.ts";
import { Places } from "./places.ts";
import type { Subject } from "./policy.ts";
import { type Resolved, resolveImage, type Wanted } from "./resolve.ts";
import { keepSignatures } from "./signatures.ts";
import { type Outcome, type SourceItem, SourceService } from "./source.ts";
import { SkopeoRunner } from "./skopeo_runner.ts";
import { Turns } from "./turns.ts";
import { checkPlatform, verifyImage } from "./verify.ts";

/** An image that has to be in the store. */
export interface ImageItem extends SourceItem, Wanted {
  /** Where it may be, in the order in which they are tried. */
  readonly locations: readonly [Location, ...Location[]];
  /** The tag that it is asked for by; absent where a digest says it all. */
  readonly tag?: string;
  /** Whether the config names a tag beside the digest, which has to stand for it. */
  readonly checksTag: boolean;
  /** Why the lock does not say which image it is, where there is one that does not. */
  readonly unlocked?: string;
}

/** An image that a place has. */
export interface PreparedImage {
  /** What has to be in the store. */
  readonly item: ImageItem;
  /** The image. */
  readonly found: Resolved;
  /** The places that are left, should this one not give it after all. */
  readonly places: Places;
}

/** Fetches images with skopeo, as osbuild's `org.osbuild.skopeo` source does. */
export class SkopeoSource extends SourceService<ImageItem, PreparedImage> {
  protected override readonly contentType = CONTAINERS;
  readonly #turns = new Turns();
  readonly #pins = new Pins(this.context);
  readonly #skopeo = new SkopeoRunner(this.context);
  /** The sources that a notice has said nothing pins. */

  /** How many manifests were read from registries. */
  get manifestReads(): number {
    return this.#skopeo.manifestReads;
  }

  override async filter(item: ImageItem): Promise<ImageResult | undefined> {
    const { store, offline } = this.context;
    const { imageId, digest, locations, locations: [first] } = item;
    const platform = formatPlatform(item.platform);
    const reference = formatLocation(first);
    const image = imageId
      ? await store.find(imageId)
      : digest
      ? await store.search({ digest, platform })
      : offline && "reference" in first
      ? await store.search({ reference, platform })
      : undefined;
    if (image && !imageId && !digest) {
      if (this.context.digests === "require") this.#pins.ask(item, image.digest);
      const message = `"${item.name}" is what ${reference} was when it was fetched last: ` +
        "nothing pins it, and no registry was asked";
      this.context.emit({ type: "notice", code: "UNPINNED_OFFLINE", message });
    }
    if (!image || (item.platformIsGiven && !await this.#isFor(platform, image))) return undefined;
    if (digest && !await this.#isSame(image, digest)) return undefined;
    if (!await this.#isAccepted(item, image)) {
      const isAlone = locations.every(({ transport }) => transport === "docker");
      if (!offline || !isAlone) return undefined;
      const message =
        "it is in the store without a signature that counts, and no registry was asked";
      throw new PolicyError(item.name, message, this.context.trust.hintFor(subjectOf(item, first)));
    }
    const served = (await store.origins(image.id)).findLast((origin) =>
      origin.platform === platform && (!item.keepsIndex || !digest || origin.index === digest)
    );
    const { index: kept } = served ?? {};
    const index = item.keepsIndex && kept !== undefined ? await store.findFile(kept) : undefined;
    if (item.keepsIndex && !index) return undefined;
    return {
      ...resultOf(item, image),
      status: "cached",
      digest: served?.digest ?? image.digest,
      ...(index && { index }),
    };
  }

  override async prepare(item: ImageItem): Promise<PreparedImage> {
    if (item.checksTag) await this.#checkTag(item);
    const places = new Places(item, item.locations, this.context);
    const found = await this.#findNext(places);
    if (!item.digest && !item.imageId) {
      this.#pins.ask(item, found.index?.digest ?? found.digest);
    }
    return { item, found, places };
  }

  /**
   * Runs the workflow up to the download, whatever the store has.
   *
   * @param items The items.
   * @returns For each, the image that its place has.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async resolve<Item extends ImageItem>(
    items: readonly Item[],
  ): Promise<Outcome<Item, PreparedImage>[]> {
    return await this.each(items, (item) => this.prepare(item));
  }

  /**
   * Asks what tags stand for.
   *
   * @param items The items.
   * @returns For each, the digests that its tag stands for: of an index first, then of its images;
   * `undefined` where it has no tag of a registry.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async readTags<Item extends ImageItem>(
    items: readonly Item[],
  ): Promise<Outcome<Item, readonly string[] | undefined>[]> {
    return await this.each(items, async (item) => {
      try {
        return await this.#readTag(item);
      } catch (error) {
        if (!(error instanceof Absence)) throw error;
        const { locations: [first] } = item;
        const attempt = {
          transport: first.transport,
          reference: formatLocation(first),
          reason: error.reason,
          message: error.message,
        };
        throw new FetchError(item.name, [attempt]);
      }
    });
  }

  async #readTag(item: ImageItem): Promise<readonly string[] | undefined> {
    const [first] = item.locations;
    if (first.transport !== "docker" || item.tag === undefined) return undefined;
    const { root, scratch } = this.context;
    const { digest: _, ...reference } = first.reference;
    const tag = { ...first, reference };
    const place = await openPlace(tag, { root, scratch: () => scratch.folder() });
    const bytes = await this.#skopeo.readManifest(item.name, place, place.image);
    const found = readManifest(bytes);
    const inner = found.kind === "index" ? found.index.manifests.map(({ digest }) => digest) : [];
    return [digestOf(bytes), ...inner];
  }

  /** A tag beside a digest says what the digest is meant to be; isar's fetcher checks it too. */
  async #checkTag(item: ImageItem): Promise<void> {
    const { name, source, digest, locations: [first] } = item;
    if (digest === undefined || this.context.offline) return;
    try {
      const digests = await this.#readTag(item);
      if (!digests || digests.includes(digest)) return;
      const [actual = ""] = digests;
      const message = `${formatLocation(first)} is ${actual} now, and the config pins ${digest}`;
      throw new ContentError(name, message, {
        expected: digest,
        actual,
        hint: `to accept what the tag is now, set digest: "${actual}"; to keep the old image, ` +
          `leave the tag out of sources.${source}`,
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
      places.giveUp(place, error);
      return await this.fetchOne({ item, found: await this.#findNext(places), places });
    }
  }

  /** The image may be in the store although nothing there said so. */
  async #reuse(item: ImageItem, found: Resolved, id: string): Promise<ImageResult | undefined> {
    const here = await this.context.store.find(id);
    if (!here || !await this.#isSame(here, found.digest)) return undefined;
    if (!await this.#skopeo.accepts(item.name, found.place, here)) return undefined;
    const config = await configOf(here);
    if (config) checkPlatform(item, found, config);
    await this.#recordOrigin(item, id, found);
    return { ...resultOf(item, here), status: "cached", digest: found.digest };
  }

  /** Under another manifest than was asked for, its layers have to be those of its config. */
  async #isSame(image: DirImageData, digest: string): Promise<boolean> {
    const { store, signal } = this.context;
    if (image.digest === digest) return true;
    const origins = await store.origins(image.id);
    const isOfIndex = origins.some((origin) =>
      origin.index === digest && origin.digest === image.digest
    );
    return isOfIndex || await hasItsLayers(image, signal);
  }

  /** An image may have come by another source, or under another policy. */
  async #isAccepted(item: ImageItem, image: DirImageData): Promise<boolean> {
    const [first] = item.locations;
    const reference = formatLocation(first);
    const origins = await this.context.store.origins(image.id);
    const came = new Set(
      origins.filter((origin) => origin.reference === reference).map(({ transport }) => transport),
    );
    const subjects: Subject[] = item.locations
      .filter((each) => each === first || each.transport === "docker" || came.has(each.transport))
      .map((location) => subjectOf(item, location));
    // An archive that an old osbuild left is in no config.
    if (came.has("docker-archive")) subjects.push({ transport: "docker-archive" });
    for (const subject of subjects) {
      if (await this.#skopeo.accepts(item.name, subject, image)) return true;
    }
    return false;
  }

  /** What an index says of an image counts, else what its config says. */
  async #isFor(platform: string, image: DirImageData): Promise<boolean> {
    const origins = await this.context.store.origins(image.id);
    if (origins.some((origin) => origin.index && origin.platform === platform)) return true;
    const config = await configOf(image);
    return config !== undefined && formatPlatform(platformOf(config)) === platform;
  }

  /** Asks one place after the other, until one has the image. */
  async #findNext(places: Places): Promise<Resolved> {
    while (true) {
      const place = await places.next();
      try {
        const found = await resolveImage(
          place,
          places.wanted,
          (image) => this.#skopeo.readManifest(places.wanted.name, place, image),
        );
        const { digest, manifest } = found;
        const known = manifest && { id: manifest.config.digest, size: sizeOfImage(manifest) };
        if (known && !places.wanted.imageId) {
          places.wanted = { ...places.wanted, imageId: known.id };
        }
        const { name } = places.wanted;
        this.context.emit({ type: "resolved", name, from: place.label, digest, ...known });
        return found;
      } catch (error) {
        if (!(error instanceof Absence)) throw error;
        places.giveUp(place, error);
      }
    }
  }

  async #copy(item: ImageItem, found: Resolved, wanted: Wanted): Promise<DirImageData> {
    const { store } = this.context;
    const { place, manifest } = found;
    await using workspace = await store.workspace();
    // The folder that is moved must not be the one that is cleaned up.
    const archive = join(workspace.path, "archive");
    const folder = join(archive, "image");
    const image = await this.#skopeo.insist(item.name, place, async () => {
      await Deno.remove(archive, { recursive: true }).catch(() => {});
      await guard(
        "make the folder",
        folder,
        () => Deno.mkdir(folder, { recursive: true, mode: 0o755 }),
      );
      const total = manifest && sizeOfImage(manifest);
      const platform = found.image === place.image && found.index ? item.platform : undefined;
      const into = { folder, work: workspace.path, total };
      await this.#skopeo.copy(item.name, place, found.image, into, platform);
      return await verifyImage(folder, wanted, found, this.context.signal);
    }).catch((error) => {
      throw error instanceof Absence && disowns(error, place)
        ? new ContentError(
          item.name,
          `${place.label}: it has no manifest ${found.digest}, and it has just served it`,
          { actual: found.digest },
        )
        : error;
    });
    const kept = await store.commit(folder, image.id, originOf(item, found));
    // Where another was first, its image stays.
    if (!(await list(folder)).includes("version")) return kept;
    if (kept.digest === image.digest) {
      await keepSignatures(folder, kept.path, store.entryPath(kept.id));
    } else if (!await this.#isSame(kept, image.digest)) {
      throw new ContentError(
        item.name,
        `the layers that the store has are not those of ${kept.id}`,
        {
          expected: image.digest,
          actual: kept.digest,
          hint: `remove "${kept.path}", then run it again; something has put them there`,
        },
      );
    } else if (!await this.#skopeo.accepts(item.name, place, kept)) {
      throw new PolicyError(
        item.name,
        `the store has it as ${kept.digest}, which is not signed; what is signed is ${image.digest}`,
        `remove "${kept.path}", then run it again`,
      );
    }
    return kept;
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

async function configOf({ id, path }: DirImageData): Promise<StoredConfig | undefined> {
  const blob = blobPath(path, id);
  return readImageConfig(await guard("read", blob, () => Deno.readFile(blob)));
}

/** Whether a registry does not know the manifest that it has just served: it was spoiled. */
function disowns({ reason, message }: Absence, { transport }: Place): boolean {
  return transport === "docker" && reason === "unknown" && message.startsWith("reading manifest ");
}

function originOf(item: ImageItem, { place, digest, index }: Resolved): Origin {
  return {
    reference: formatLocation(item.locations[0]),
    digest,
    ...(index && { index: index.digest }),
    transport: place.transport,
    platform: formatPlatform(item.platform),
    fetched: new Date().toISOString(),
  };
}

function subjectOf({ digest }: ImageItem, location: Location): Subject {
  const { transport } = location;
  if (!("reference" in location)) return { transport };
  const { reference } = location;
  return { transport, reference, digest: digest ?? reference.digest };
}

function resultOf(
  { name, platform }: ImageItem,
  { id, digest, path, size }: DirImageData,
): Omit<ImageResult, "status" | "from"> {
  return { name, id, digest, manifest: digest, platform: formatPlatform(platform), path, size };
}
