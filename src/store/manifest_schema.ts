import * as v from "valibot";
import { isDigest } from "../../config/mod.ts";
import { blobsOf } from "./listed_blobs.ts";
import { clip, foldKey, MAX_JSON } from "../lib/json.ts";

const MAX_TEXT = 255;
/** As many as containers/storage stacks; docker stops at 125. */
const MAX_LAYERS = 500;

const WORD = /^[\w.-]{0,64}$/;

/** A field that need not be there; OCI's specifications, and Go, take null for the same. */
function maybe<const Item extends v.GenericSchema>(item: Item) {
  return v.nullish(item, () => undefined);
}

const Digest = v.pipe(
  v.string("must be a digest"),
  v.check(isDigest, 'must be "sha256:" and 64 lower-case hex digits'),
);
/** Of a platform, in words that can be shown. */
const Word = v.pipe(v.string("must be a text"), v.regex(WORD, "must be a word"));
const MediaType = v.pipe(
  v.string("must be a text"),
  v.maxLength(MAX_TEXT, `must have at most ${MAX_TEXT} characters`),
  v.regex(/^[\x20-\x7e]*$/, "must be a media type"),
);
/** No file system is asked for more, in bytes. */
const MAX_BLOB = 2 ** 40;
const SIZE = "must be a whole number from 0";
const Size = v.pipe(v.number(SIZE), v.safeInteger(SIZE), v.minValue(0, SIZE));

/** An object whose keys mean the same to stowage and to skopeo. */
function exact<const Entries extends v.ObjectEntries>(entries: Entries) {
  const known = new Map(Object.keys(entries).map((key) => [foldKey(key), key]));
  const isExact = (input: Readonly<Record<string, unknown>>) =>
    Object.keys(input).every((key) => (known.get(foldKey(key)) ?? key) === key);
  return v.pipe(
    v.looseObject({}, "must be an object"),
    v.check(isExact, "must not have keys that differ from its own by case only"),
    v.object(entries),
  );
}

/** A list that is counted before its items are looked at. */
function atMost<const Item extends v.GenericSchema>(count: number, item: Item) {
  return v.pipe(
    v.array(v.unknown(), "must be a list"),
    v.maxLength(count, `must have at most ${count} items`),
    v.array(item),
  );
}

const descriptor = { mediaType: v.nullish(MediaType, ""), digest: Digest, size: Size };

const BlobSchema = exact({
  ...descriptor,
  size: v.pipe(Size, v.maxValue(MAX_BLOB, `must be at most ${MAX_BLOB}`)),
  // skopeo would ask whomever a manifest names, which may be a host of its own network.
  urls: maybe(
    v.pipe(
      v.array(v.unknown(), "must be a list"),
      v.maxLength(
        0,
        "must be empty: only the image's own registry is asked, also for what is foreign",
      ),
    ),
  ),
});

/** The manifest of an image: OCI image manifest v1, or docker's image manifest v2 schema 2. */
export const ImageManifestSchema = v.pipe(
  exact({
    schemaVersion: v.literal(2, "must be 2"),
    mediaType: v.nullish(
      v.picklist([
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
      ], "must be that of a manifest"),
      "application/vnd.oci.image.manifest.v1+json",
    ),
    config: v.pipe(
      BlobSchema,
      v.check(({ size }) => size <= MAX_JSON, `must have at most ${MAX_JSON} bytes`),
    ),
    // Of what is no image; whatever else stands there says nothing.
    artifactType: v.fallback(v.optional(MediaType), undefined),
    // Go writes an empty list as null, or not at all.
    layers: v.nullish(atMost(MAX_LAYERS, BlobSchema), []),
    // What it refers to, where it does; in other images whatever stands there says nothing.
    subject: v.fallback(maybe(exact(descriptor)), undefined),
  }),
  v.check(
    ({ config, layers }) => {
      const sizes = new Set([config, ...layers].map(({ digest, size }) => `${digest} ${size}`));
      return sizes.size === blobsOf({ config, layers }).size;
    },
    "must give one size for each digest",
  ),
);

const Text = v.nullish(v.string("must be a text"), "");
/** What is no image may have one that names no platform. */
const PlatformSchema = exact({ os: Text, architecture: Text, variant: Text });

/** As OCI has digests; what has another than stowage's is no reason to refuse what is beside it. */
const AnyDigest = v.pipe(
  v.string("must be a digest"),
  v.regex(/^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[\w=-]+$/, "must be a digest"),
  v.check(
    (digest) => !digest.startsWith("sha256:") || isDigest(digest),
    'must be "sha256:" and 64 lower-case hex digits',
  ),
);

const IndexEntry = v.pipe(
  exact({
    ...descriptor,
    digest: AnyDigest,
    platform: maybe(PlatformSchema),
    // Of what is no image, as lists of referrers have it.
    artifactType: v.fallback(maybe(MediaType), undefined),
  }),
  v.transform(({ platform, ...entry }) => {
    const words = platform ? [platform.os, platform.architecture, platform.variant] : [];
    if (words.every((word) => WORD.test(word))) return { ...entry, platform };
    return { ...entry, platform: undefined, oddPlatform: clip(words.join("/")) };
  }),
);

/** An OCI image index v1, or docker's manifest list v2. */
export const IndexSchema = v.pipe(
  exact({
    schemaVersion: v.literal(2, "must be 2"),
    mediaType: v.nullish(
      v.picklist([
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
      ], "must be that of an index"),
      "application/vnd.oci.image.index.v1+json",
    ),
    manifests: v.nullish(v.array(IndexEntry, "must be a list"), []),
  }),
  v.transform(({ manifests, ...index }) => ({
    ...index,
    manifests: manifests.filter(({ digest }) => isDigest(digest)),
    /** What is listed by digests that stowage does not know. */
    others: manifests.filter(({ digest }) => !isDigest(digest)),
  })),
);

/** What stowage reads of an image's config. */
export const ImageConfigSchema = exact({
  os: v.nullish(Word, "linux"),
  architecture: Word,
  variant: v.nullish(Word, ""),
  rootfs: exact({ diff_ids: v.nullish(atMost(MAX_LAYERS, Digest), []) }),
});
