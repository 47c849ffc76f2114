import type { Run } from "../run.ts";
import { ContentError } from "../errors/mod.ts";
import { digestOf } from "../lib/fs/files.ts";
import { readManifest } from "../store/manifest.ts";
import { Absence } from "../transports/absence.ts";
import { formatLocation, transportOf } from "../transports/mod.ts";
import type { ImageItem } from "./image_item.ts";
import type { SkopeoRunner } from "./skopeo_runner.ts";

/** What has no images in it: it is one. */
const IMAGE_MANIFEST_TYPES: readonly string[] = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];

/** What has images in it, also where it is one of an index. */
const INDEX_TYPES: readonly string[] = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];

/** What a tag is expected to stand for. */
export interface Expected {
  /** The digest. */
  readonly digest: string;
  /** Whether it is what the tag itself stood for, and not an image of the index. */
  readonly isWhole: boolean;
}

/** Asks registries what tags stand for. */
export class Tags {
  /**
   * @param run The run.
   * @param skopeo Reads manifests, each once.
   */
  constructor(
    private readonly run: Run,
    private readonly skopeo: SkopeoRunner,
  ) {}

  /**
   * Asks what the tag of an item stands for.
   *
   * @param item The item.
   * @param expected What it is expected to be; if it is, no manifest is read.
   * @returns The digests that it stands for: of an index first, then of what is in it, one index
   * deep; `undefined` where it has no tag of a registry.
   * @throws {Absence} If the registry does not answer.
   */
  async read(
    item: ImageItem,
    expected: Expected | undefined,
  ): Promise<readonly string[] | undefined> {
    const [first] = item.locations;
    const transport = transportOf(first);
    const tagged = item.tag === undefined ? undefined : transport.byTag(first);
    if (!tagged) return undefined;
    const { root, scratch, offline } = this.run;
    if (offline) throw new Absence("offline", "it was not asked");
    const location = transport.absolute(tagged, root);
    const place = await transport.open(location, { scratch: () => scratch.folder() });
    const head = expected && await this.skopeo.readHead(item, place);
    const isEnough = head && expected &&
      (expected.isWhole || expected.digest === head.digest ||
        IMAGE_MANIFEST_TYPES.includes(head.mediaType));
    if (isEnough) return [head.digest];
    const bytes = await this.skopeo.readManifest(item, place, place.image);
    const found = readManifest(bytes);
    const digests = [digestOf(bytes)];
    if (found.kind !== "index") return digests;
    digests.push(...found.index.manifests.map(({ digest }) => digest));
    for (const { digest, mediaType } of found.index.manifests) {
      if (expected && digests.includes(expected.digest)) break;
      const inner = INDEX_TYPES.includes(mediaType) ? place.byDigest(digest) : undefined;
      if (!inner) continue;
      const read = readManifest(await this.skopeo.readManifest(item, place, inner));
      if (read.kind === "index") digests.push(...read.index.manifests.map(({ digest }) => digest));
    }
    return digests;
  }

  /**
   * Checks the tag of an item beside its digest: it says what the digest is meant to be; isar's
   * fetcher checks it too.
   *
   * @param item The item.
   * @throws {ContentError} If the tag stands for something else.
   */
  async check(item: ImageItem): Promise<void> {
    const { name, source, digest, locations: [first] } = item;
    const tagged = transportOf(first).byTag(first);
    if (digest === undefined || !tagged) return;
    try {
      const digests = await this.read(item, { digest, isWhole: false });
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
}
