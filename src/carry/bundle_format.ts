import * as v from "valibot";
import type { PlatformName } from "../../config/mod.ts";
import { closed, Digest, Platform } from "../../config/schema_parts.ts";
import { type Lock, LockSchema } from "../graph/lock_schema.ts";
import { BLOCK, headerOf, padded } from "../lib/archive/tar_header.ts";
import { digestOf } from "../lib/fs/files.ts";
import { sortKeys } from "../lib/hash/hash.ts";
import { readAs } from "../lib/json.ts";

/** How the name of the file ends that has the sums of a bundle's pieces, and is what is signed. */
export const SUMS = ".sums.json";
/** How the name of its signature ends, behind that. */
export const SIGNATURE = ".sig";
/** What a bundle begins with. */
export const CONTENTS = "bundle.json";

const EXPECTED = "a whole number from 0";
const Size = v.pipe(v.number(EXPECTED), v.safeInteger(EXPECTED), v.minValue(0, EXPECTED));
/** In a line, and without a word for the terminal. */
const Text = v.pipe(v.string(), v.regex(/^[^\p{Cc}\p{Cf}]{1,1000}$/u, "a text of one line"));
/** With a tag where its source has a rule for tags. */
const SourceName = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?::\w[\w.-]{0,127})?$/, "a name"),
);
/** No path: it is looked for beside the others. */
const PieceName = v.pipe(Text, v.regex(/^[^/]*[^/.][^/]*$/, "the name of a file"));

const BlobSchema = closed({ digest: Digest, size: Size });
/** As the store records it, but when: what is carried has the same bytes at any time. */
const OriginSchema: v.GenericSchema<BundleOrigin> = closed({
  reference: Text,
  digest: v.exactOptional(Digest),
  index: v.exactOptional(Digest),
  transport: Text,
  platform: v.exactOptional(Platform),
  chosenFor: v.exactOptional(Text),
});
const ImageSchema = closed({
  digest: Digest,
  mediaType: Text,
  size: Size,
  id: Digest,
  platform: Text,
  origins: v.pipe(v.array(OriginSchema), v.nonEmpty("at least one place that it came from")),
  signatures: v.array(Digest),
});
const ReferrerSchema = closed({
  subject: Digest,
  digest: Digest,
  mediaType: Text,
  size: Size,
  kind: Text,
  tag: v.exactOptional(v.pipe(v.string(), v.regex(/^sha256-[0-9a-f]{64}\.[a-z]+$/, "a tag"))),
  from: Text,
  blobs: v.array(BlobSchema),
});
const SourceSchema = closed({
  name: SourceName,
  reference: v.exactOptional(Text),
  digest: Digest,
  mediaType: Text,
  size: Size,
  images: v.pipe(v.array(Digest), v.nonEmpty("at least one image")),
  absent: v.array(Text),
});

const ArtifactSchema = closed({
  name: SourceName,
  reference: Text,
  digest: Digest,
  mediaType: Text,
  size: Size,
  kind: Text,
  blobs: v.array(BlobSchema),
});

/** What `bundle.json` says. */
const BundleSchema: v.GenericSchema<Bundle> = closed({
  schema: v.literal(1, "1"),
  sources: v.array(SourceSchema),
  images: v.array(ImageSchema),
  blobs: v.array(BlobSchema),
  base: v.array(BlobSchema),
  artifacts: v.exactOptional(v.array(ArtifactSchema)),
  referrers: v.exactOptional(v.array(ReferrerSchema)),
  lock: v.exactOptional(LockSchema),
});

/** What the file of sums says. */
const SumsSchema: v.GenericSchema<Sums> = closed({
  schema: v.literal(1, "1"),
  bundle: Digest,
  pieces: v.pipe(
    v.array(closed({ name: PieceName, size: Size, digest: Digest })),
    v.nonEmpty("at least one piece"),
  ),
});

/** A blob, by what it is called and how large it is. */
export interface BundleBlob {
  /** Its digest. */
  readonly digest: string;
  /** Its size in bytes. */
  readonly size: number;
}

/** Where an image of a bundle came from, without any path of the machine that made the bundle. */
export interface BundleOrigin {
  /** What it was asked for by, as containers-transports(5) has it. */
  readonly reference: string;
  /** Digest of its manifest there. */
  readonly digest?: string;
  /** Digest of the index that it was chosen from. */
  readonly index?: string;
  /** The transport that it came by. */
  readonly transport: string;
  /** What it is for, as its own config says. */
  readonly platform?: PlatformName;
  /** The platform that it was chosen for. */
  readonly chosenFor?: string;
}

/** An image of a bundle. */
export interface BundleImage extends BundleBlob {
  /** Media type of its manifest. */
  readonly mediaType: string;
  /** Image id. */
  readonly id: string;
  /** Its platform. */
  readonly platform: string;
  /** Where it came from. */
  readonly origins: readonly BundleOrigin[];
  /** Its signatures, as the `dir` transport has them: digests of blobs. */
  readonly signatures: readonly string[];
}

/** What refers to an image or an index of a bundle: a signature, an SBOM, an attestation. */
export interface BundleReferrer extends BundleBlob {
  /** Digest of what it refers to. */
  readonly subject: string;
  /** Media type of its manifest. */
  readonly mediaType: string;
  /** What it is. */
  readonly kind: string;
  /** The tag that it is found by, where that is how it refers to something, as cosign's do. */
  readonly tag?: string;
  /** The repository that it came from. */
  readonly from: string;
  /** Its config and layers, each once. */
  readonly blobs: readonly BundleBlob[];
}

/** A referrer as a receipt names it. */
export interface NamedReferrer {
  /** Digest of what it refers to. */
  readonly subject: string;
  /** Digest of its manifest. */
  readonly digest: string;
  /** The tag that it is found by; absent where its manifest says what it refers to. */
  readonly tag?: string;
}

/** A source of a bundle. */
export interface BundleSource extends BundleBlob {
  /** Its name in the config. */
  readonly name: string;
  /** The reference that it was fetched by; absent where it came from a file. */
  readonly reference?: string;
  /** Media type of what its name stands for: an index, or a manifest. */
  readonly mediaType: string;
  /** Digests of its images. */
  readonly images: readonly string[];
  /** What its index names beside them, by platform or by digest. */
  readonly absent: readonly string[];
}

/** What is no image, in a bundle. */
export interface BundleArtifact extends BundleBlob {
  /** Its name in the config. */
  readonly name: string;
  /** What it was asked for by. */
  readonly reference: string;
  /** Media type of its manifest. */
  readonly mediaType: string;
  /** What it is. */
  readonly kind: string;
  /** Its config and layers, each once. */
  readonly blobs: readonly BundleBlob[];
}

/** What a bundle has, and what the receiver has to have. */
export interface Bundle {
  /** Version of the format. */
  readonly schema: 1;
  /** The sources by name, in the order of the config. */
  readonly sources: readonly BundleSource[];
  /** Their images, each once. */
  readonly images: readonly BundleImage[];
  /** The blobs, in their order: manifests and configs, then layers, each sorted by digest. */
  readonly blobs: readonly BundleBlob[];
  /** Layers that were left out, as the receiver has them. */
  readonly base: readonly BundleBlob[];
  /** Artifacts; absent where no source is one. They are never left out. */
  readonly artifacts?: readonly BundleArtifact[];
  /**
   * What refers to images and indexes; absent where nothing does. What is not among the blobs was
   * left out, as the receiver has it.
   */
  readonly referrers?: readonly BundleReferrer[];
  /** What tags stood for; absent where the config has no lock. */
  readonly lock?: Lock;
}

/** A piece of a bundle. */
export interface Piece extends BundleBlob {
  /** Name of its file. */
  readonly name: string;
}

/** What the pieces of a bundle hash to. */
export interface Sums {
  /** Version of the format. */
  readonly schema: 1;
  /** Digest of `bundle.json`. */
  readonly bundle: string;
  /** The pieces, in their order; `cat` joins them. */
  readonly pieces: readonly Piece[];
}

/** A file in a bundle. */
export interface Member {
  /** Its name. */
  readonly name: string;
  /** Its size in bytes. */
  readonly size: number;
  /** Where its header begins, in bytes. */
  readonly at: number;
  /** Its bytes, where the contents alone say them; else it is a blob. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** Its digest, where it is a blob. */
  readonly digest?: string;
}

/** All that is in a bundle, in its order. */
export interface Layout {
  /** Its files. */
  readonly members: readonly Member[];
  /** Its size in bytes. */
  readonly size: number;
}

const encoder = new TextEncoder();

/**
 * Writes what a bundle has.
 *
 * @param bundle What it has.
 * @returns The bytes of `bundle.json`: the same for the same content.
 */
export function formatContents(bundle: Bundle): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${JSON.stringify(bundle, sortKeys)}\n`);
}

/**
 * Writes the sums of pieces.
 *
 * @param sums The sums.
 * @returns The bytes of their file.
 */
export function formatSums(sums: Sums): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${JSON.stringify(sums, undefined, 2)}\n`);
}

/** What was read, or why it says nothing, to follow the name of the file. */
export type Read<Value> = { readonly value: Value } | { readonly reason: string };

/**
 * Reads what a bundle has.
 *
 * @param bytes The bytes of `bundle.json`.
 * @returns What it has, or why that is not so.
 */
export function readContents(bytes: Uint8Array): Read<Bundle> {
  const read = readAs(BundleSchema, bytes);
  if ("reason" in read) return read;
  const { blobs, base, images, sources, artifacts = [], referrers = [] } = read.value;
  const twice = [
    findTwice([...blobs, ...base].map(({ digest }) => digest)),
    findTwice(images.map(({ digest }) => digest)),
    findTwice(images.map(({ id }) => id)),
    findTwice([...sources, ...artifacts].map(({ name }) => name)),
    findTwice(referrers.map(({ subject, digest, tag }) => [digest, subject, tag].join(" "))),
  ].find((each) => each !== undefined);
  return twice === undefined ? read : { reason: `has ${twice} twice` };
}

/**
 * Reads the sums of pieces.
 *
 * @param bytes The bytes of their file.
 * @returns The sums, or why they are none.
 */
export function readSums(bytes: Uint8Array): Read<Sums> {
  const read = readAs(SumsSchema, bytes);
  if ("reason" in read) return read;
  const twice = findTwice(read.value.pieces.map(({ name }) => name));
  return twice === undefined ? read : { reason: `has ${twice} twice` };
}

function findTwice(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.has(name) || !seen.add(name));
}

/**
 * Lays a bundle out. An OCI image layout in a tar archive, of which the contents say every byte but
 * those of blobs, which are their digests' own: whatever else is in it is damage.
 * https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 *
 * @param bundle What it has.
 * @param contents The bytes of `bundle.json`.
 * @returns Its files, and where they are.
 */
export function layOut(bundle: Bundle, contents: Uint8Array<ArrayBuffer>): Layout {
  const json = (value: unknown) => encoder.encode(`${JSON.stringify(value, sortKeys)}\n`);
  const parts: Omit<Member, "at">[] = [
    ...[
      { name: CONTENTS, bytes: contents },
      { name: "oci-layout", bytes: json({ imageLayoutVersion: "1.0.0" }) },
      { name: "index.json", bytes: json(indexOf(bundle, digestOf(contents))) },
    ].map((part) => ({ ...part, size: part.bytes.length })),
    ...bundle.blobs.map(({ digest, size }) => ({
      name: `blobs/${digest.replace(":", "/")}`,
      size,
      digest,
    })),
  ];
  let at = 0;
  const members = parts.map((part) => {
    const member = { ...part, at };
    at += BLOCK + padded(part.size);
    return member;
  });
  return { members, size: at + 2 * BLOCK };
}

/**
 * The header of a file in a bundle.
 *
 * @param member The file.
 * @returns The header.
 */
export function headerOfMember({ name, size }: Member): Uint8Array<ArrayBuffer> {
  return headerOf(name, size);
}

/**
 * Under the names of sources for skopeo, and under references for containerd. What refers to them is
 * found there by oras, and by its tag where it has one.
 */
function indexOf({ sources, artifacts = [], referrers = [], blobs }: Bundle, contents: string) {
  const here = new Set(blobs.map(({ digest }) => digest));
  const names = new Set(sources.map(({ digest }) => digest));
  const beside = new Map(
    referrers.filter(({ digest }) => here.has(digest) && !names.has(digest))
      .map((each) => [`${each.digest} ${each.tag ?? ""}`, each]),
  );
  return {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      ...[...sources, ...artifacts].map(({ name, reference, digest, mediaType, size }) => ({
        ...{ mediaType, digest, size },
        annotations: {
          "org.opencontainers.image.ref.name": name,
          ...(reference !== undefined && { "io.containerd.image.name": reference }),
        },
      })),
      ...[...beside.values()].map(({ digest, mediaType, size, tag }) => ({
        ...{ mediaType, digest, size },
        ...(tag !== undefined && { annotations: { "org.opencontainers.image.ref.name": tag } }),
      })),
    ],
    annotations: { "dev.stowage.bundle": contents },
  };
}
