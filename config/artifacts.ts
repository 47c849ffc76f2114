import * as v from "valibot";
import type { Same } from "./same.ts";
import { closed, described, Digest, Reference } from "./schema_parts.ts";
import { tagsEntries, type TagsOptions } from "./tags.ts";
import { type DockerImage, registryEntries, type RegistryOptions } from "./transports/docker.ts";

/** What an artifact takes. */
export interface ArtifactOptions extends RegistryOptions, TagsOptions {
  /** Digest of its manifest, `sha256:…`, as the registry serves it. */
  readonly digest?: string;
}

/** What a registry keeps that is no image, as plain data. */
export interface ArtifactSource extends ArtifactOptions {
  /** The literal that tells sources apart. */
  readonly type: "artifact";
  /** Any reference that docker takes, or the URL form of it. */
  readonly reference: string;
}

/** The schema of {@linkcode ArtifactSource}. */
export const ArtifactSchema = closed({
  type: described(v.literal("artifact"), "The literal that tells sources apart"),
  reference: described(Reference, "Any reference that docker takes, or the URL form of it"),
  digest: v.exactOptional(
    described(Digest, "Digest of its manifest, sha256:…, as the registry serves it"),
  ),
  ...registryEntries,
  ...tagsEntries,
});
true satisfies Same<v.InferOutput<typeof ArtifactSchema>, ArtifactSource>;

/**
 * Tells artifacts from images.
 *
 * @param source A source.
 * @returns Whether it is no image.
 */
export function isArtifact(
  source: ArtifactSource | { readonly type: string },
): source is ArtifactSource {
  const { type } = source;
  return type === "artifact";
}

/**
 * Says where an artifact is, as an image would be there.
 *
 * @param source The artifact.
 * @returns The place.
 */
export function placeOfArtifact(
  { type: _type, digest: _digest, tags: _tags, ...place }: ArtifactSource,
): DockerImage {
  return { type: "docker", ...place };
}

/**
 * What a registry keeps that is no image: a Helm chart, a WebAssembly module, files of ORAS. It is
 * fetched, kept, carried and pushed byte for byte; stages read its files by `artifacts()`.
 *
 * @param reference Any reference that docker takes, such as `docker://ghcr.io/acme/charts/web:1.4`.
 * @param options Its digest, how the registry is reached, which of its tags are meant.
 * @returns The source, as plain data; `compile()` checks it.
 *
 * @example Usage
 * ```ts
 * import { artifact, defineConfig } from "@stowage/stowage";
 *
 * defineConfig({
 *   sources: {
 *     chart: artifact("docker://ghcr.io/acme/charts/web", { tags: { semver: "^1.4", newest: 1 } }),
 *   },
 * });
 * ```
 */
export function artifact(reference: string, options: ArtifactOptions = {}): ArtifactSource {
  return { type: "artifact", reference, ...options };
}
