import { formatPlatform, type Platform, runsOn } from "../../config/mod.ts";
import { ContentError, PlatformError } from "../errors/mod.ts";
import { digestOf } from "../lib/fs/files.ts";
import {
  examineImageConfig,
  type ImageManifest,
  type Index,
  platformOfConfig,
  platformOfEntry,
  readManifest,
} from "../store/manifest.ts";
import { Absence } from "../transports/absence.ts";
import type { Place, PlaceImage } from "../transports/mod.ts";
import { lacking, mismatch, ODD_HINT, type Reader, type Wanted } from "./wanted.ts";

/** The image of an index that is meant. */
export interface Chosen {
  /** Digest of its manifest. */
  readonly digest: string;
  /** Whether the index itself says what it is for. */
  readonly isListed: boolean;
  /** What the index says that it is for. */
  readonly platform: Platform | undefined;
  /** The image, where the place can be asked for it alone. */
  readonly image?: PlaceImage;
  /** Its manifest, where that was read. */
  readonly manifest?: ImageManifest;
}

type Entry = Index["manifests"][number];

/**
 * Chooses from an index as containers/image does: what is listed for the platform, then the first
 * of those listed for none that fits.
 * https://github.com/containers/image/blob/main/internal/manifest/oci_index.go
 */
export class Choice {
  /** What was seen and does not fit. */
  readonly #offered: string[] = [];

  /**
   * @param place The place that has the index.
   * @param wanted What the image must be.
   * @param read Reads what the place serves.
   */
  constructor(
    private readonly place: Place,
    private readonly wanted: Wanted,
    private readonly read: Reader,
  ) {}

  /**
   * Chooses an image.
   *
   * @param index The index.
   * @returns The image.
   * @throws {ContentError} If what it names is no manifest, or another.
   * @throws {PlatformError} If it has none for the platform.
   */
  async of(index: Index): Promise<Chosen> {
    const { platform } = this.wanted;
    const found = await this.#findIn(index, false);
    if (found) return found;
    throw new PlatformError(this.wanted, formatPlatform(platform), [...new Set(this.#offered)]);
  }

  async #findIn({ manifests }: Index, isInner: boolean): Promise<Chosen | undefined> {
    const { platform, entry: meant } = this.wanted;
    const entry = manifests.find(({ digest }) => digest === meant);
    if (entry) return await this.#open(entry, platformOfEntry(entry) ?? platform, isInner);
    const listed = manifests.flatMap((entry) => {
      const platform = platformOfEntry(entry);
      return platform ? [{ entry, platform }] : [];
    });
    for (const candidate of runsOn(platform)) {
      const fitting = listed.find(({ platform }) => formatPlatform(platform) === candidate);
      if (fitting) return await this.#open(fitting.entry, fitting.platform, isInner);
    }
    this.#offered.push(...listed.map(({ platform }) => formatPlatform(platform)));
    for (const entry of manifests) {
      if ("oddPlatform" in entry) {
        this.#offered.push(`"${entry.oddPlatform}", which is no platform`);
      } else if (!entry.platform) {
        const found = await this.#open(entry, undefined, isInner);
        if (found) return found;
      }
    }
  }

  /** Reads what the index has named. */
  async #named<Value>(reading: Promise<Value>): Promise<Value> {
    try {
      return await reading;
    } catch (error) {
      throw error instanceof Absence ? lacking(error) : error;
    }
  }

  /** Gives nothing for what does not fit, or is no image, where the index does not say so. */
  async #open(
    { digest }: Entry,
    platform: Platform | undefined,
    isInner: boolean,
  ): Promise<Chosen | undefined> {
    const { place, wanted } = this;
    const isListed = platform !== undefined && !isInner;
    const image = place.byDigest(digest);
    // skopeo takes the first one too, and the config is looked at when it is there.
    if (image === undefined) return { digest, platform, isListed };
    const bytes = await this.#named(this.read.manifest(image));
    const actual = digestOf(bytes);
    if (actual !== digest) throw mismatch(wanted, `${place.label}: a manifest`, digest, actual);
    const read = readManifest(bytes);
    if (read.kind === "index" && !isInner) return await this.#findIn(read.index, true);
    if (read.kind === "image") {
      const { manifest } = read;
      const fits = platform !== undefined || await this.#fits(image, manifest.config.digest);
      return fits ? { digest, platform, isListed, image, manifest } : undefined;
    }
    if (platform === undefined) return undefined;
    const reason = read.kind === "invalid" ? read.reason : "more than one index within an index";
    throw new ContentError(wanted.name, `${place.label}: ${reason}`, { actual, hint: ODD_HINT });
  }

  async #fits(image: PlaceImage, id: string): Promise<boolean> {
    const bytes = await this.#named(this.read.config(image, id));
    const actual = digestOf(bytes);
    if (actual !== id) throw mismatch(this.wanted, `${this.place.label}: a config`, id, actual);
    const read = examineImageConfig(bytes);
    if (!("config" in read)) return false;
    const platform = platformOfConfig(read.config);
    if (!platform) return true;
    const own = formatPlatform(platform);
    this.#offered.push(own);
    return runsOn(this.wanted.platform).includes(own);
  }
}
