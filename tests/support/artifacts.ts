import { type PushedIndex, putBlob, putManifest } from "./images.ts";
import type { Registry } from "./registry.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/** What is in an artifact. */
export interface ArtifactParts {
  /** Media type of its config. */
  readonly configType: string;
  /** Its config. */
  readonly config?: string;
  /** What it is, where the config does not say it. */
  readonly artifactType?: string;
  /** Its files: their names, media types and bytes. */
  readonly files: readonly {
    readonly title?: string;
    readonly mediaType: string;
    readonly content: string | Uint8Array<ArrayBuffer>;
  }[];
}

/** An artifact in a registry. */
export interface PushedArtifact extends PushedIndex {
  /** Digests of its config and its files. */
  readonly blobs: readonly string[];
}

/**
 * Puts what is no image into a registry.
 *
 * @param registry Where to.
 * @param name `path:tag`.
 * @param parts What is in it.
 * @returns The artifact.
 */
export async function pushArtifact(
  registry: Registry,
  name: string,
  { configType, config = "{}", artifactType, files }: ArtifactParts,
): Promise<PushedArtifact> {
  const [path = ""] = name.split(":");
  const own = { mediaType: configType, ...await putBlob(registry, path, config) };
  const layers = [];
  for (const { title, mediaType, content } of files) {
    const blob = await putBlob(registry, path, content);
    const annotations = title === undefined
      ? {}
      : { annotations: { "org.opencontainers.image.title": title } };
    layers.push({ mediaType, ...blob, ...annotations });
  }
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    ...(artifactType !== undefined && { artifactType }),
    config: own,
    layers,
  });
  const pushed = await putManifest(registry, name, manifest, MANIFEST);
  return { ...pushed, blobs: [own, ...layers].map(({ digest }) => digest) };
}

/**
 * Puts a Helm chart into a registry, as `helm push` does,
 * https://helm.sh/docs/topics/registries/#helm-chart-manifest
 *
 * @param registry Where to.
 * @param name `path:version`.
 * @param content The packed chart.
 * @returns The chart.
 */
export async function pushChart(
  registry: Registry,
  name: string,
  content: Uint8Array<ArrayBuffer>,
): Promise<PushedArtifact> {
  const [path = "", version = "0.1.0"] = name.split(":");
  return await pushArtifact(registry, name, {
    configType: "application/vnd.cncf.helm.config.v1+json",
    config: JSON.stringify({ apiVersion: "v2", name: path.split("/").at(-1), version }),
    files: [{ mediaType: "application/vnd.cncf.helm.chart.content.v1.tar+gzip", content }],
  });
}
