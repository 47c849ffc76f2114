import * as v from "valibot";
import { isPlatform, normalizePlatform, type Platform } from "../../config/mod.ts";
import { firstOf, MAX_JSON, readJson } from "../lib/json.ts";
import { ImageConfigSchema, ImageManifestSchema, IndexSchema } from "./manifest_schema.ts";

export { blobsOf, layersOf, sizeOfImage } from "./listed_blobs.ts";

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
 * How many objects and lists a manifest, an index or a config may hold: as many as an index has that
 * is as large as is read, two for each image. Each takes many times its size in memory.
 */
const MAX_PARTS = 40_000;

/** What an image's manifest has and an index has not, and the other way round. */
const given = v.nonNullish(v.unknown());
const OF_IMAGE = v.union([
  v.object({ config: given }),
  v.object({ layers: given }),
  v.object({ fsLayers: given }),
]);
const OF_INDEX = v.object({ manifests: given });
/** Some tools give what is no image the media type of a config, and `{}` for one. */
const OF_CONFIG = v.union([
  v.object({ architecture: given }),
  v.object({ os: given }),
  v.object({ rootfs: given }),
]);
const EMPTY_INDEX = v.object({ manifests: v.null() });

/**
 * Reads the bytes of a manifest.
 *
 * @param bytes The bytes as served.
 * @returns The manifest or the index, or why it is neither.
 */
export function readManifest(bytes: Uint8Array): ReadManifest {
  const read = readJson(bytes, MAX_JSON, MAX_PARTS);
  if ("reason" in read) return invalid(read.reason);
  const { json } = read;
  const version = v.safeParse(v.object({ schemaVersion: v.number() }), json);
  if (version.success && version.output.schemaVersion === 1) {
    return { kind: "invalid", reason: "its manifest has schema version 1, which no id belongs to" };
  }
  const isImage = v.is(OF_IMAGE, json);
  const isIndex = v.is(OF_INDEX, json) || (!isImage && v.is(EMPTY_INDEX, json));
  // Two programs could take it for two things. https://nvd.nist.gov/vuln/detail/CVE-2021-41190
  if (isIndex && isImage) return invalid("is an image's and an index at a time");
  const options = { abortEarly: true } as const;
  if (isIndex) {
    const index = v.safeParse(IndexSchema, json, options);
    if (index.success) return { kind: "index", index: index.output };
    return invalid(`cannot be used: ${firstOf(index.issues)}`);
  }
  const image = v.safeParse(ImageManifestSchema, json, options);
  if (image.success) return { kind: "image", manifest: image.output };
  return invalid(`cannot be used: ${firstOf(image.issues)}`);
}

function invalid(why: string): ReadManifest {
  return { kind: "invalid", reason: `the manifest ${why}` };
}

/**
 * Reads the bytes of an image's config.
 *
 * @param bytes The bytes of the blob.
 * @returns What stowage needs of it, or `undefined` if they are no config of an image.
 */
export function readImageConfig(bytes: Uint8Array): StoredConfig | undefined {
  const read = examineImageConfig(bytes);
  return "config" in read ? read.config : undefined;
}

/**
 * Reads the bytes of an image's config, where someone is to be told why they are none.
 *
 * @param bytes The bytes of the blob.
 * @returns What stowage needs of it, or why they are no config of an image.
 */
export function examineImageConfig(
  bytes: Uint8Array,
): { readonly config: StoredConfig } | { readonly reason: string } {
  const read = readJson(bytes, MAX_JSON, MAX_PARTS);
  if ("reason" in read) return { reason: `the config ${read.reason}` };
  const { success, output, issues } = v.safeParse(ImageConfigSchema, read.json, {
    abortEarly: true,
  });
  if (success) return { config: output };
  return v.is(OF_CONFIG, read.json)
    ? { reason: `the config cannot be used: ${firstOf(issues)}` }
    : { reason: "it is no image: what is called its config names neither a platform nor layers" };
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

/**
 * The platform that an image says it is for.
 *
 * @param config The config of the image.
 * @returns The platform as stowage names it; `undefined` where it says none.
 */
export function platformOfConfig(config: StoredConfig): Platform | undefined {
  const platform = platformOf(config);
  return isPlatform(platform) ? platform : undefined;
}

/**
 * The platform of an entry of an index.
 *
 * @param entry The entry.
 * @returns The platform as stowage names it; `undefined` where it is for none, such as an
 * attestation.
 */
export function platformOfEntry({ platform }: Index["manifests"][number]): Platform | undefined {
  if (!platform?.os || !platform.architecture || platform.os === "unknown") return undefined;
  return platformOf(platform);
}
