import type { Run } from "../run.ts";
import { formatPlatform, parsePlatform, type Platform } from "../../config/mod.ts";
import { PolicyError } from "../errors/mod.ts";
import type { ImageResult, ItemName } from "../events.ts";
import { guard } from "../lib/fs/files.ts";
import { readSeen } from "../lib/fs/outside_file.ts";
import { isFor } from "../store/candidates.ts";
import { blobPath, type DirImageData } from "../store/image.ts";
import { platformOfConfig, readImageConfig, type StoredConfig } from "../store/manifest.ts";
import { isAt, type Origin } from "../store/origin.ts";
import type { Store } from "../store/store.ts";
import { fits, type ImageItem, placeOf, queryOf, resultOf, subjectOf } from "./image_item.ts";
import { requirePin } from "./pins.ts";
import { transportOf } from "../transports/mod.ts";
import type { Subject } from "../trust/policy.ts";

/** An image of the store, with what is known of it there. */
export interface ToldImage {
  /** The image. */
  readonly image: DirImageData;
  /** Where it came from, the latest last. */
  readonly origins: readonly Origin[];
  /** What it is for; `undefined` if nothing says it. */
  readonly platform: Platform | undefined;
}

/**
 * Finds out what is known of an image of the store.
 *
 * @param image The image.
 * @param store The store.
 * @returns The image with that.
 */
export async function tellOf(image: DirImageData, store: Store): Promise<ToldImage> {
  const origins = await store.origins(image.id);
  return { image, origins, platform: await platformOfStored(image, origins) };
}

/** Finds out what nothing that is recorded of an image tells. */
export interface Inspector {
  /**
   * Asks the policy of an image, by the signatures that are kept with it.
   *
   * @param item The item.
   * @param subject Its name, and how it came.
   * @param image The image.
   * @returns Whether it is accepted.
   * @throws {PolicyError} If a key of the policy is not there.
   */
  accepts(item: ItemName, subject: Subject, image: DirImageData): Promise<boolean>;
  /**
   * Tells whether the layers of an image are those that its config names.
   *
   * @param image The image.
   * @returns Whether they are.
   */
  hasItsLayers(image: DirImageData): Promise<boolean>;
}

/** The images that the store has, as sources ask for them. */
export class StoredImages {
  /**
   * @param run The run.
   * @param openInspector Loads what few images need.
   */
  constructor(
    private readonly run: Run,
    private readonly openInspector: () => Promise<Inspector>,
  ) {}

  /**
   * Finds the image that an item stands for.
   *
   * @param item The item.
   * @returns The image, if it is there whole, and is what the item asks for.
   * @throws {PolicyError} If it is there, without a signature that counts, and nobody can be asked.
   */
  async find(item: ImageItem): Promise<ImageResult | undefined> {
    const { store, offline, root } = this.run;
    const { imageId, digest, locations, locations: [first] } = item;
    // What nothing pins is asked for, unless nobody can be asked.
    const isMeant = imageId || digest || (offline && "reference" in first);
    const image = isMeant ? await store.search(queryOf(item, root)) : undefined;
    if (!image) return undefined;
    requirePin(item, image.digest, this.run);
    const told = await tellOf(image, store);
    if (item.platformIsGiven && !isForIt(item, told)) return undefined;
    if (digest && !await this.isSame(image, digest)) return undefined;
    if (!await this.#isAccepted(item, told)) {
      const isAlone = locations.every((each) => transportOf(each).isRemote(each));
      if (!offline || !isAlone) return undefined;
      const message =
        "it is in the store without a signature that counts, and no registry was asked";
      throw new PolicyError(item.name, message, this.run.trust.hintFor(subjectOf(item, first)));
    }
    return await storedResult(item, told, { store, root });
  }

  /**
   * Tells whether an image is the one that a digest stands for. Under another manifest than was
   * asked for, its layers have to be those of its config.
   *
   * @param image The image.
   * @param digest The digest.
   * @returns Whether it is.
   */
  async isSame(image: DirImageData, digest: string): Promise<boolean> {
    const { store } = this.run;
    if (image.digest === digest) return true;
    const origins = await store.origins(image.id);
    const isOfIndex = origins.some((origin) =>
      origin.index === digest && origin.digest === image.digest
    );
    return isOfIndex || await (await this.openInspector()).hasItsLayers(image);
  }

  async #isAccepted(
    item: ImageItem,
    { image, origins }: ToldImage,
  ): Promise<boolean> {
    for (const subject of subjectsOf(item, origins, this.run.root)) {
      const answer = await this.run.trust.askStored(item.name, subject);
      const isAccepted = typeof answer === "boolean"
        ? answer
        : await (await this.openInspector()).accepts(item, subject, image);
      if (isAccepted) return true;
    }
    return false;
  }
}

/**
 * What the policy is asked of an image that the store has: it may have come by another source, or
 * under another policy.
 *
 * @param item The item that it stands for.
 * @param origins What is recorded of it.
 * @param root Folder that relative paths start from.
 * @returns The names that it may have; one that is accepted is enough.
 */
export function subjectsOf(
  item: ImageItem,
  origins: readonly Origin[],
  root: string,
): Subject[] {
  const [first] = item.locations;
  const asked = placeOf(item, root);
  const came = new Set(
    origins.filter((origin) => isAt(origin, asked)).map(({ transport }) => transport),
  );
  const subjects: Subject[] = item.locations
    .filter((each) => each === first || transportOf(each).isNamed || came.has(each.transport))
    .map((location) => subjectOf(item, location));
  // An archive that an old osbuild left is in no config.
  if (came.has("docker-archive")) subjects.push({ transport: "docker-archive" });
  return subjects;
}

/** What an index says of an image counts, else what its config says. */
function isForIt({ platform }: ImageItem, { origins, platform: own }: ToldImage): boolean {
  const asked = formatPlatform(platform);
  if (origins.some((origin) => origin.index && origin.chosenFor === asked)) return true;
  return own !== undefined && fits(platform, own);
}

/**
 * What a run tells of an image that the store has.
 *
 * @param item The item that it stands for.
 * @param image The image.
 * @param context The store, and the folder that relative paths start from.
 * @returns The result; `undefined` where the item keeps an index that is not there.
 */
export async function storedResult(
  item: ImageItem,
  { image, origins, platform = item.platform }: ToldImage,
  { store, root }: Pick<Run, "store" | "root">,
): Promise<ImageResult | undefined> {
  const { keepsIndex, digest } = item;
  const asked = placeOf(item, root);
  // Another source may have the same image, and be of another index or of none.
  const isIts = (origin: Origin) => digest ? origin.index === digest : isAt(origin, asked);
  const served = origins.findLast((origin) =>
    isFor(origin, item) && (!keepsIndex || isIts(origin))
  );
  const index = keepsIndex && served?.index && await store.findFile(served.index);
  if (keepsIndex && !index) return undefined;
  return {
    ...resultOf(item, image, platform),
    status: "cached",
    digest: served?.digest ?? image.digest,
    ...(index && { index }),
  };
}

/**
 * Tells what an image of the store is for.
 *
 * @param image The image.
 * @param origins What is recorded of it.
 * @returns The platform; `undefined` if its config is none.
 */
async function platformOfStored(
  image: DirImageData,
  origins: readonly Origin[],
): Promise<Platform | undefined> {
  const known = origins.findLast(({ platform }) => platform !== undefined)?.platform;
  if (known !== undefined) return parsePlatform(known);
  const config = await configOf(image);
  return config && platformOfConfig(config);
}

/**
 * Reads the config of an image that the store has.
 *
 * @param image The image.
 * @returns The config; `undefined` if it is none.
 */
export async function configOf({ id, path }: DirImageData): Promise<StoredConfig | undefined> {
  const blob = blobPath(path, id);
  const bytes = await guard("read", blob, () => readSeen(blob)); // when the image was found
  return bytes && readImageConfig(bytes);
}
