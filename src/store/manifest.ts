import * as v from "valibot";
import { isDigest, normalizePlatform, type Platform } from "../../config/mod.ts";

const Digest = v.pipe(v.string(), v.check(isDigest, "must be a sha256 digest"));

const DescriptorSchema = v.object({
  mediaType: v.optional(v.string(), ""),
  digest: Digest,
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});

/** The manifest of an image: OCI image manifest v1, or docker's image manifest v2 schema 2. */
const ImageManifestSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string(), "application/vnd.oci.image.manifest.v1+json"),
  config: DescriptorSchema,
  layers: v.array(DescriptorSchema),
});

/** An OCI image index v1, or docker's manifest list v2. */
const IndexSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string(), "application/vnd.oci.image.index.v1+json"),
  manifests: v.array(v.object({
    ...DescriptorSchema.entries,
    platform: v.optional(v.object({
      os: v.string(),
      architecture: v.string(),
      variant: v.optional(v.string()),
    })),
  })),
});

/** What stowage reads of an image's config. */
const ImageConfigSchema = v.object({
  os: v.optional(v.string(), "linux"),
  architecture: v.string(),
  variant: v.optional(v.string()),
  rootfs: v.object({ diff_ids: v.array(Digest) }),
});

/** The manifest of an image. */
export type ImageManifest = v.InferOutput<typeof ImageManifestSchema>;
/** The manifests of an image for several platforms. */
export type Index = v.InferOutput<typeof IndexSchema>;
/** What stowage reads of an image's config. */
export type StoredConfig = v.InferOutput<typeof ImageConfigSchema>;

/** What bytes that should be a manifest are. */
export type ReadManifest =
  | { readonly kind: "image"; readonly manifest: ImageManifest }
  | { readonly kind: "index"; readonly index: Index }
  | { readonly kind: "invalid"; readonly reason: string };

/**
 * Reads the bytes of a manifest.
 *
 * @param bytes The bytes as served.
 * @returns The manifest or the index, or why it is neither.
 */
export function readManifest(bytes: Uint8Array): ReadManifest {
  const json = parseJson(bytes);
  if (json === undefined) return { kind: "invalid", reason: "the manifest is not JSON" };
  const index = v.safeParse(IndexSchema, json);
  if (index.success) return { kind: "index", index: index.output };
  const image = v.safeParse(ImageManifestSchema, json);
  if (image.success) return { kind: "image", manifest: image.output };
  if (v.is(v.object({ schemaVersion: v.literal(1) }), json)) {
    return { kind: "invalid", reason: "its manifest has schema version 1, which no id belongs to" };
  }
  const { issues } = v.is(v.object({ manifests: v.unknown() }), json) ? index : image;
  return { kind: "invalid", reason: `the manifest is not as OCI has it: ${v.summarize(issues)}` };
}

/**
 * Reads the bytes of an image's config.
 *
 * @param bytes The bytes of the blob.
 * @returns What stowage needs of it, or `undefined` if they are no config of an image.
 */
export function readImageConfig(bytes: Uint8Array): StoredConfig | undefined {
  const result = v.safeParse(ImageConfigSchema, parseJson(bytes));
  return result.success ? result.output : undefined;
}

/**
 * The blobs of an image, each once.
 *
 * @param manifest The image's manifest.
 * @returns Size in bytes by digest, the config's first.
 */
export function blobsOf({ config, layers }: ImageManifest): Map<string, number> {
  return new Map([config, ...layers].map(({ digest, size }) => [digest, size]));
}

/**
 * The size of an image.
 *
 * @param manifest The image's manifest.
 * @returns Size of config and layers, each blob once, in bytes.
 */
export function sizeOfImage(manifest: ImageManifest): number {
  return [...blobsOf(manifest).values()].reduce((sum, size) => sum + size, 0);
}

/**
 * The platform that a config or an index names.
 *
 * @param found Operating system, architecture and variant, as far as they are named.
 * @returns The platform as stowage names it.
 */
export function platformOf(
  { os, architecture, variant }: {
    readonly os: string;
    readonly architecture: string;
    readonly variant?: string | undefined;
  },
): Platform {
  return normalizePlatform({ os, architecture, ...(variant && { variant }) });
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
