import { join } from "@std/path";
import { formatPlatform } from "../../config/mod.ts";
import { ContentError } from "../errors/mod.ts";
import type { ArtifactResult, ImageResult, IndexedImage, ItemName } from "../events.ts";
import { digestOf, guard, list } from "../lib/fs/files.ts";
import { readOutside } from "../lib/fs/outside_file.ts";
import { blobPath } from "../store/image.ts";
import { isOfKind, type Referrers, type StoredReferrer } from "../store/referrers.ts";
import {
  blobsOf,
  type ImageManifest,
  type Index,
  platformOfEntry,
  readManifest,
} from "../store/manifest.ts";

/** A blob of the store that is carried. */
export interface CarriedBlob {
  /** Its digest. */
  readonly digest: string;
  /** Its size in bytes. */
  readonly size: number;
  /** Its file. */
  readonly path: string;
}

/** A manifest or an index of the store that is carried, byte for byte. */
export interface CarriedManifest {
  /** Its digest. */
  readonly digest: string;
  /** Its media type. */
  readonly mediaType: string;
  /** Its bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** An image that is carried. */
export interface CarriedImage<Blob = CarriedBlob> extends CarriedManifest {
  /** Image id. */
  readonly id: string;
  /** Its platform. */
  readonly platform: string;
  /** Its config and layers, each once, the config first. */
  readonly blobs: readonly Blob[];
  /** Its signatures, as the `dir` transport has them. */
  readonly signatures: readonly CarriedBlob[];
}

/** What refers to something that is carried. */
export interface CarriedReferrer extends CarriedManifest {
  /** Digest of what it refers to. */
  readonly subject: string;
  /** What it is. */
  readonly kind: string;
  /** The tag that it is found by; absent where its manifest says what it refers to. */
  readonly tag?: string;
  /** The repository that it came from. */
  readonly from: string;
  /** What a list of referrers calls it. */
  readonly artifactType: string;
  /** Its config and layers, each once. */
  readonly blobs: readonly CarriedBlob[];
}

/** All that one source of a config stands for. */
export interface Cargo<Blob = CarriedBlob> extends ItemName {
  /** What its name stands for: the index where it has one, else the image. */
  readonly top: CarriedManifest;
  /** Its images: those of the index that the store has, or the one; none of an artifact. */
  readonly images: readonly CarriedImage<Blob>[];
  /** What it is, and its config and layers, where it is no image. */
  readonly artifact?: { readonly kind: string; readonly blobs: readonly CarriedBlob[] };
  /** What the index names beside them, by platform or by digest; empty where all is there. */
  readonly absent: readonly string[];
  /** What refers to them; absent where none is asked for. */
  readonly referrers?: readonly CarriedReferrer[];
}

/**
 * Reads what a source stands for from the store.
 *
 * @param source Name of the source.
 * @param results Its images, one for each platform that the config names.
 * @returns What is carried.
 * @throws {ContentError} If the store has it otherwise than its place served it.
 */
export async function readCargo(source: string, results: readonly ImageResult[]): Promise<Cargo> {
  const [first] = results;
  if (!first) throw new TypeError(`Cannot carry "${source}": it has no image`);
  const item = { key: `source/${source}`, name: source };
  if (!first.index) {
    const image = await readImage(source, first);
    return { ...item, top: image, images: [image], absent: [] };
  }
  const bytes = await read(first.index.path);
  const digest = digestOf(bytes);
  const found = readManifest(bytes);
  if (found.kind !== "index" || results.some(({ index }) => index?.digest !== digest)) {
    throw new ContentError(source, "its platforms are not of one index", {
      hint: "lock it again with stowage lock --update",
    });
  }
  const all = new Map(
    results.flatMap((result) => [
      ...result.index?.images ?? [result],
      ...result.index?.attestations ?? [],
    ]).map((
      each,
    ) => [each.digest, each]),
  );
  const images = await Promise.all([...all.values()].map((each) => readImage(source, each)));
  const here = new Set(images.map(({ digest }) => digest));
  const listed = new Set(found.index.manifests.map(({ digest }) => digest));
  const other = images.find(({ digest }) => !listed.has(digest));
  if (other) throw isOther(source, other.digest, digest);
  const absent = found.index.manifests.filter(({ digest }) => !here.has(digest)).map(nameOfEntry);
  return { ...item, top: { digest, mediaType: found.index.mediaType, bytes }, images, absent };
}

/**
 * Reads an artifact from the store.
 *
 * @param source Name of the source.
 * @param artifact What the store has of it.
 * @returns What is carried.
 * @throws {ContentError} If the store has it with other bytes.
 */
export async function readArtifact(
  source: string,
  { digest, kind, path }: ArtifactResult,
): Promise<Cargo> {
  const { bytes, manifest, blobs } = await readContent(source, path, digest);
  const top = { digest, mediaType: manifest.mediaType, bytes };
  const item = { key: `source/${source}`, name: source };
  return { ...item, top, images: [], absent: [], artifact: { kind, blobs } };
}

/** A manifest, and the files that it names. */
interface Content {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly manifest: ImageManifest;
  readonly blobs: CarriedBlob[];
}

/** The manifest in a folder, which has to be the one with the digest, and what it names. */
async function readContent(
  source: string,
  folder: string,
  digest: string,
): Promise<Content> {
  const bytes = await read(join(folder, "manifest.json"));
  const actual = digestOf(bytes);
  const found = readManifest(bytes);
  if (found.kind !== "image" || actual !== digest) throw isOther(source, actual, digest);
  const { manifest } = found;
  const blobs = [...blobsOf(manifest)].map(([digest, size]) => ({
    digest,
    size,
    path: blobPath(folder, digest),
  }));
  return { bytes, manifest, blobs };
}

async function readImage(
  source: string,
  { id, digest, platform, path }: ImageResult | IndexedImage,
): Promise<CarriedImage> {
  const { bytes, manifest, blobs } = await readContent(source, path, digest);
  const signatures = await readSignatures(path);
  return { id, digest, platform, mediaType: manifest.mediaType, bytes, blobs, signatures };
}

async function readSignatures(folder: string): Promise<CarriedBlob[]> {
  const numberOf = (name: string) => Number(/^signature-(\d+)$/.exec(name)?.[1] ?? NaN);
  const names = (await guard("read", folder, () => list(folder)))
    .filter((name) => numberOf(name) > 0)
    .sort((a, b) => numberOf(a) - numberOf(b));
  return await Promise.all(names.map(async (name) => {
    const path = join(folder, name);
    const bytes = await read(path);
    return { digest: digestOf(bytes), size: bytes.length, path };
  }));
}

/**
 * Reads from the store what refers to what a source stands for.
 *
 * @param cargo What the source stands for.
 * @param wanted Which kinds: all, or those.
 * @param referrers Those of the store.
 * @returns The referrers, in the order in which they came.
 * @throws {ContentError} If one is not as it came.
 */
export async function readReferrers(
  { name, top, images }: Cargo,
  wanted: true | readonly string[],
  referrers: Referrers,
): Promise<CarriedReferrer[]> {
  const subjects = [...new Set([...images, top].map(({ digest }) => digest))];
  const found = await Promise.all(subjects.map(async (subject) => {
    const kept = await referrers.of(subject) ?? [];
    const meant = kept.filter(({ kind }) => isOfKind(wanted, kind));
    return await Promise.all(meant.map((one) => readReferrer(name, subject, one, referrers)));
  }));
  return found.flat();
}

async function readReferrer(
  source: string,
  subject: string,
  { digest, kind, tag, from, blobs }: StoredReferrer,
  referrers: Referrers,
): Promise<CarriedReferrer> {
  const bytes = await read(referrers.file(subject, digest));
  const actual = digestOf(bytes);
  const found = readManifest(bytes);
  if (found.kind !== "image" || actual !== digest) {
    throw new ContentError(source, `the store has the referrer ${digest} with other bytes`, {
      expected: digest,
      actual,
      hint: "run stowage verify, then stowage fetch",
    });
  }
  const { mediaType, artifactType, config } = found.manifest;
  return {
    ...{ subject, digest, kind, from, mediaType, bytes },
    ...(tag && { tag }),
    artifactType: artifactType ?? config.mediaType,
    blobs: blobs.map((blob) => ({ ...blob, path: referrers.file(subject, blob.digest) })),
  };
}

/** What an entry of an index is called: its platform, or its digest where it is for none. */
function nameOfEntry(entry: Index["manifests"][number]): string {
  const platform = platformOfEntry(entry);
  return platform ? formatPlatform(platform) : entry.digest;
}

function isOther(source: string, actual: string, expected: string): ContentError {
  return new ContentError(source, `the store has it with the manifest ${actual}`, {
    expected,
    actual,
    hint: "its place serves another manifest of the same image: fetch it into another store",
  });
}

async function read(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return await guard("read", path, () => readOutside(path));
}
