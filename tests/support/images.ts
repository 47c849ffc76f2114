import { digestOf } from "./digest.ts";
import type { Compression, Layer } from "./layers.ts";
import type { Registry } from "./registry.ts";

/** Whose names an image's parts have: OCI's or docker's. */
export type MediaTypes = "oci" | "docker";

/** What an image is made of. */
export interface ImageOptions {
  readonly layers: readonly Layer[];
  /** `linux/amd64`, unless told. */
  readonly platform?: string;
  /** `oci`, unless told. */
  readonly mediaTypes?: MediaTypes;
  /** `Cmd`, `Env`, `Labels` and the like. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Of the manifest; OCI only. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An image in a registry. */
export interface PushedImage {
  /** Of the manifest. */
  readonly digest: string;
  /** Of the config. */
  readonly id: string;
  /** The config and the layers, in bytes. */
  readonly size: number;
  readonly layers: readonly Pick<Layer, "digest" | "diffId" | "size">[];
  readonly platform: string;
  /** `127.0.0.1:PORT/path`. */
  readonly name: string;
  /** `127.0.0.1:PORT/path:tag`, or `…@digest` when it has no tag. */
  readonly reference: string;
  readonly mediaType: string;
  /** As it was pushed. */
  readonly manifest: string;
}

/** An index in a registry. */
export type PushedIndex = Pick<
  PushedImage,
  "digest" | "name" | "reference" | "mediaType" | "manifest"
>;

const TYPES = {
  oci: {
    index: "application/vnd.oci.image.index.v1+json",
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: {
      gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
      zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
      none: "application/vnd.oci.image.layer.v1.tar",
    },
  },
  docker: {
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: {
      gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
      zstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
      none: "application/vnd.docker.image.rootfs.diff.tar",
    },
  },
} satisfies Record<MediaTypes, { layer: Record<Compression, string> } & Record<string, unknown>>;

/**
 * Puts an image into a registry, byte for byte.
 *
 * @param registry Where to.
 * @param name `path:tag`; without a tag, the image is there by its digest only.
 * @param options Its layers, its platform, its config.
 * @returns The image, with its digests.
 *
 * @example Usage
 * ```ts ignore
 * const image = await pushImage(registry, "apps/caddy:2.8", { layers: [await busyboxLayer()] });
 * ```
 */
export async function pushImage(
  registry: Registry,
  name: string,
  options: ImageOptions,
): Promise<PushedImage> {
  const { layers, platform = "linux/amd64", mediaTypes = "oci", annotations } = options;
  const types = TYPES[mediaTypes];
  const { path } = parse(name);
  const created = "1970-01-01T00:00:00Z";
  const config = JSON.stringify({
    created,
    ...ofPlatform(platform),
    config: options.config ?? {},
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map((layer) => ({ created, created_by: `COPY ${layer.diffId} /` })),
  });
  const configBlob = await putBlob(registry, path, config);
  for (const layer of layers) await putBlob(registry, path, layer.bytes, layer.digest);
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, ...configBlob },
    layers: layers.map(({ compression, digest, size }) => ({
      mediaType: types.layer[compression],
      digest,
      size,
    })),
    ...(annotations && { annotations }),
  });
  return {
    ...await putManifest(registry, name, manifest, types.manifest),
    id: configBlob.digest,
    size: layers.reduce((size, layer) => size + layer.size, configBlob.size),
    layers: layers.map(({ digest, diffId, size }) => ({ digest, diffId, size })),
    platform,
  };
}

/** What an index has besides its images. */
export interface IndexOptions {
  /** As its images have, unless told. */
  readonly mediaTypes?: MediaTypes;
  /** Add an attestation of each image, as BuildKit does: platform `unknown/unknown`. */
  readonly attestation?: boolean;
}

/**
 * Puts an index of images into a registry; the images are there already, under the same path.
 *
 * @param registry Where to.
 * @param name `path:tag`.
 * @param images One for each platform.
 * @param options Attestations, media types.
 * @returns The index.
 */
export async function pushIndex(
  registry: Registry,
  name: string,
  images: readonly PushedImage[],
  options: IndexOptions = {},
): Promise<PushedIndex> {
  const isDocker = images.some((image) => image.mediaType === TYPES.docker.manifest);
  const { mediaTypes = isDocker ? "docker" : "oci", attestation = false } = options;
  const mediaType = TYPES[mediaTypes].index;
  const manifests: unknown[] = images.map((image) => ({
    ...descriptor(image),
    platform: ofPlatform(image.platform),
  }));
  for (const image of attestation ? images : []) {
    manifests.push(await pushAttestation(registry, parse(name).path, image));
  }
  const index = JSON.stringify({ schemaVersion: 2, mediaType, manifests });
  return await putManifest(registry, name, index, mediaType);
}

async function pushAttestation(
  registry: Registry,
  path: string,
  image: PushedImage,
): Promise<unknown> {
  const statement = JSON.stringify({
    _type: "https://in-toto.io/Statement/v0.1",
    predicateType: "https://slsa.dev/provenance/v0.2",
    subject: [{ name: path, digest: { sha256: image.digest.replace("sha256:", "") } }],
  });
  const layer = await putBlob(registry, path, statement);
  const config = JSON.stringify({
    architecture: "unknown",
    os: "unknown",
    config: {},
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: TYPES.oci.manifest,
    config: { mediaType: TYPES.oci.config, ...await putBlob(registry, path, config) },
    layers: [{ mediaType: "application/vnd.in-toto+json", ...layer }],
  });
  return {
    ...descriptor(await putManifest(registry, path, manifest, TYPES.oci.manifest)),
    annotations: {
      "vnd.docker.reference.digest": image.digest,
      "vnd.docker.reference.type": "attestation-manifest",
    },
    platform: { architecture: "unknown", os: "unknown" },
  };
}

function descriptor({ mediaType, digest, manifest }: PushedIndex): Record<string, unknown> {
  return { mediaType, digest, size: new TextEncoder().encode(manifest).length };
}

function ofPlatform(platform: string): Record<string, string> {
  const [os = "", architecture = "", variant] = platform.split("/");
  return { architecture, os, ...(variant && { variant }) };
}

function parse(name: string): { path: string; tag: string | undefined } {
  const [path = "", tag] = name.split(":");
  return { path, tag };
}

/**
 * Puts a blob into a registry, whatever it is.
 *
 * @param registry Where to.
 * @param path The repository.
 * @param data The blob.
 * @param known Its digest, where that is known.
 * @returns Its digest and its size.
 */
export async function putBlob(
  registry: Registry,
  path: string,
  data: string | Uint8Array<ArrayBuffer>,
  known?: string,
): Promise<{ digest: string; size: number }> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const digest = known ?? await digestOf(bytes);
  const key = `${registry.host}/${path}@${digest}`;
  const upload = uploads.get(key) ?? uploadBlob(registry, path, digest, bytes);
  uploads.set(key, upload);
  await upload.finally(() => uploads.delete(key));
  return { digest, size: bytes.length };
}

/** The registry loses a blob now and then that is uploaded twice at the same moment. */
const uploads = new Map<string, Promise<void>>();

async function uploadBlob(
  registry: Registry,
  path: string,
  digest: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<void> {
  const found = await registry.fetch(`/v2/${path}/blobs/${digest}`, { method: "HEAD" });
  await found.body?.cancel();
  if (found.ok) return;
  const upload = await send(registry, `/v2/${path}/blobs/uploads/`, { method: "POST" });
  const location = new URL(upload.headers.get("location") ?? "", registry.url);
  location.searchParams.set("digest", digest);
  await send(registry, location.href, { method: "PUT", body: bytes });
}

/**
 * Puts a manifest into a registry, whatever it says; the registry may refuse it.
 *
 * @param registry Where to.
 * @param name `path:tag`; without a tag, it is there by its digest only.
 * @param manifest The manifest.
 * @param mediaType As what it is sent.
 * @returns The manifest, with its digest.
 */
export async function putManifest(
  registry: Registry,
  name: string,
  manifest: string,
  mediaType: string,
): Promise<PushedIndex> {
  const { path, tag } = parse(name);
  const digest = await digestOf(manifest);
  await send(registry, `/v2/${path}/manifests/${tag ?? digest}`, {
    method: "PUT",
    headers: { "content-type": mediaType },
    body: manifest,
  });
  const repository = `${registry.host}/${path}`;
  const reference = repository + (tag ? `:${tag}` : `@${digest}`);
  return { digest, name: repository, reference, mediaType, manifest };
}

async function send(registry: Registry, path: string, init: RequestInit): Promise<Response> {
  const response = await registry.fetch(path, init);
  const text = await response.text();
  if (!response.ok) throw new Error(`${init.method} ${path}: ${response.status} ${text}`);
  return response;
}
