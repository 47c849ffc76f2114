import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import * as v from "valibot";
import { closed, Digest } from "../../config/schema_parts.ts";
import { readJson } from "../lib/json.ts";

/** What the parts of a tree in a cache are called. */
export const MEDIA = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  tree: "application/vnd.stowage.tree.v1",
  record: "application/vnd.stowage.tree.v1+json",
  part: "application/vnd.stowage.tree.part.v1.tar+zstd",
} as const;
const SIGNATURE = "stowage.tree.hmac-sha256";

const Size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const descriptor = <const Type extends string>(type: Type) =>
  v.object({ mediaType: v.literal(type), digest: Digest, size: Size });

/** The manifest of a tree: https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md */
const TreeManifestSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.literal(MEDIA.manifest),
  artifactType: v.literal(MEDIA.tree),
  config: descriptor(MEDIA.record),
  layers: v.array(descriptor(MEDIA.part)),
  annotations: v.exactOptional(v.record(v.string(), v.string())),
});

/** The manifest of a tree. */
export type TreeManifest = v.InferOutput<typeof TreeManifestSchema>;

const CachedTreeSchema = closed({
  schema: v.literal(1),
  id: v.pipe(v.string(), v.regex(/^[\da-f]{64}$/)),
  type: v.string(),
  made: v.pipe(v.string(), v.isoTimestamp()),
  digest: Digest,
  size: Size,
  images: v.exactOptional(v.record(
    v.string(),
    v.array(closed({ name: v.exactOptional(v.string()), id: Digest, digest: Digest })),
  )),
});

/** What a cache says of a tree. */
export interface CachedTree {
  /** Version of the format. */
  readonly schema: 1;
  /** Id of the stage that made it, 64 hex digits. */
  readonly id: string;
  /** Kind of that stage. */
  readonly type: string;
  /** When it was made, as ISO 8601 has it. */
  readonly made: string;
  /** Its digest, as stages see it. */
  readonly digest: string;
  /** Size of its archive before compression, in bytes. */
  readonly size: number;
  /** The images that stages have made or installed in it, by the ids of the stages. */
  readonly images?: Readonly<
    Record<
      string,
      readonly { readonly name?: string; readonly id: string; readonly digest: string }[]
    >
  >;
}

/** What bytes say, or why they cannot be read. */
type Read<Value> = { readonly value: Value } | { readonly reason: string };

/**
 * Reads the manifest of a tree.
 *
 * @param bytes The bytes.
 * @returns The manifest, or why it is none.
 */
export function readTreeManifest(bytes: Uint8Array): Read<TreeManifest> {
  return readAs(TreeManifestSchema, bytes);
}

/**
 * Reads what a cache says of a tree.
 *
 * @param bytes The bytes.
 * @returns What they say, or why they cannot be read.
 */
export function readCachedTree(bytes: Uint8Array): Read<CachedTree> {
  return readAs(CachedTreeSchema, bytes);
}

function readAs<Schema extends v.GenericSchema>(
  schema: Schema,
  bytes: Uint8Array,
): Read<v.InferOutput<Schema>> {
  const read = readJson(bytes);
  if ("reason" in read) return read;
  const { success, output, issues } = v.safeParse(schema, read.json);
  if (success) return { value: output };
  const [issue] = issues;
  return { reason: `${v.getDotPath(issue) ?? "all of it"}: ${issue.message}` };
}

/**
 * Signs a manifest with a secret.
 *
 * @param id Id of the stage.
 * @param manifest The manifest; another signature of it does not count.
 * @param secret The secret.
 * @returns The manifest with its signature.
 */
export function signTree(id: string, manifest: TreeManifest, secret: Uint8Array): TreeManifest {
  return { ...manifest, annotations: { [SIGNATURE]: hmac(id, manifest, secret).toString("hex") } };
}

/**
 * Checks whether a manifest is signed with a secret.
 *
 * @param id Id of the stage that it is taken for.
 * @param manifest The manifest.
 * @param secret The secret.
 * @returns Whether it is.
 */
export function isSignedWith(id: string, manifest: TreeManifest, secret: Uint8Array): boolean {
  const given = Buffer.from(manifest.annotations?.[SIGNATURE] ?? "", "hex");
  const right = hmac(id, manifest, secret);
  return given.length === right.length && timingSafeEqual(given, right);
}

function hmac(id: string, { config, layers }: TreeManifest, secret: Uint8Array) {
  const digests = [config, ...layers].map(({ digest }) => digest);
  return createHmac("sha256", secret).update(JSON.stringify([id, ...digests])).digest();
}
