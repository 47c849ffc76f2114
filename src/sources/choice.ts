import { formatPlatform, type Platform, runsOn } from "../../config/mod.ts";
import { ContentError, PlatformError } from "../errors/mod.ts";
import { digestOf } from "../lib/fs/files.ts";
import {
  examineImageConfig,
  type ImageManifest,
  type Index,
  platformOfConfig,
  platformOfEntry,
  type ReadManifest,
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

/** What an index has for a platform, or without saying for which. */
interface Candidate {
  /** Digest of the manifest. */
  readonly digest: string;
  /** What the index says that it is for. */
  readonly platform: Platform | undefined;
}

/** What a manifest is, with what of an index may be meant: all of it takes much memory. */
export type Examined = Exclude<ReadManifest, { readonly kind: "index" }> | {
  readonly kind: "index";
  readonly mediaType: string;
  /** What may be meant, the likeliest first. */
  readonly candidates: readonly Candidate[];
};

/**
 * Chooses from an index as containers/image does: what is listed for the platform, then the first
 * of those listed for none that fits.
 * https://github.com/containers/image/blob/main/internal/manifest/oci_index.go
 */
export class Choice {
  /** What was seen and does not fit. */
  readonly #offered = new Set<string>();

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
   * Looks what bytes that should be a manifest are.
   *
   * @param bytes The bytes.
   * @returns What they are.
   * @throws {ContentError} If they are an index that is to be kept, and cannot be.
   */
  examine(bytes: Uint8Array): Examined {
    const read = readManifest(bytes);
    if (read.kind !== "index") return read;
    const { mediaType, others: [other] } = read.index;
    if (other && this.wanted.keepsIndex) {
      const { wanted: { name, source }, place: { label } } = this;
      throw new ContentError(
        name,
        `${label}: its index lists ${other.digest}, and only sha256 is read, so that it cannot be kept`,
        { hint: `remove index: true from sources.${source}` },
      );
    }
    return { kind: "index", mediaType, candidates: this.#candidatesOf(read.index) };
  }

  /**
   * Chooses an image.
   *
   * @param candidates What may be meant.
   * @returns The image.
   * @throws {ContentError} If what the index names is no manifest, or another.
   * @throws {PlatformError} If it has none for the platform.
   */
  async of(candidates: readonly Candidate[]): Promise<Chosen> {
    const found = await this.#firstOf(candidates, false);
    if (found) return found;
    throw new PlatformError(this.wanted, formatPlatform(this.wanted.platform), [...this.#offered]);
  }

  #candidatesOf({ manifests, others }: Index): readonly Candidate[] {
    const { platform: wanted, entry: meant } = this.wanted;
    const listed = new Map<string, Candidate>();
    const open: Candidate[] = [];
    for (const entry of manifests) {
      const { digest } = entry;
      const platform = platformOfEntry(entry);
      if (digest === meant) return [{ digest, platform: platform ?? wanted }];
      if (platform) {
        const name = formatPlatform(platform);
        if (!listed.has(name)) listed.set(name, { digest, platform });
      } else if ("oddPlatform" in entry) {
        this.#offered.add(`"${entry.oddPlatform}", which is no platform`);
      } else if (!entry.platform) open.push({ digest, platform });
    }
    for (const name of runsOn(wanted)) {
      const fitting = listed.get(name);
      if (fitting) return [fitting];
    }
    for (const name of listed.keys()) this.#offered.add(name);
    for (const entry of others) {
      const platform = platformOfEntry(entry);
      const [algorithm] = entry.digest.split(":");
      if (platform) {
        this.#offered.add(`${formatPlatform(platform)} by ${algorithm}, which is not read`);
      }
    }
    return open;
  }

  async #firstOf(
    candidates: readonly Candidate[],
    isInner: boolean,
  ): Promise<Chosen | undefined> {
    for (const candidate of candidates) {
      const found = await this.#open(candidate, isInner);
      if (found) return found;
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
    { digest, platform }: Candidate,
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
    const read = this.examine(bytes);
    if (read.kind === "index" && !isInner) return await this.#firstOf(read.candidates, true);
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
    this.#offered.add(own);
    return runsOn(this.wanted.platform).includes(own);
  }
}
