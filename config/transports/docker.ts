import * as v from "valibot";
import { described, orList, Path, Reference } from "../schema_parts.ts";
import type { SourceOptions } from "../sources.ts";
import type { TagsOptions } from "../tags.ts";

/** How a registry is reached. */
export interface RegistryOptions {
  /**
   * Whether TLS is required and its certificates checked. If absent, `registries` of the config says
   * it, and without that it is `true`; so it is with the files below.
   */
  readonly tlsVerify?: boolean;
  /** File with credentials, as containers-auth.json(5) has it; the machine's own if absent. */
  readonly authFile?: string;
  /** Folder with the CA and client certificates; `/etc/containers/certs.d/…` if absent. */
  readonly certDir?: string;
}

/** An image in a registry. */
export interface DockerImage extends RegistryOptions {
  /** The transport. */
  readonly type: "docker";
  /** Any reference that docker takes, or isar's URL form of it. */
  readonly reference: string;
}

/** What comes along with an image of a registry. */
export interface ReferrerOptions {
  /**
   * Whether what refers to the image by digest comes along: signatures, SBOMs, attestations. All of
   * it, or only what has one of these kinds: its `artifactType`, else the media type of its config,
   * or of its first layer where the config is an image's or empty. Nothing if absent.
   */
  readonly referrers?: boolean | readonly string[];
}

/** How a registry is reached. */
export const registryEntries = {
  tlsVerify: v.exactOptional(
    v.pipe(v.boolean(), v.description("Whether TLS is required and its certificates checked")),
  ),
  authFile: v.exactOptional(
    v.pipe(Path, v.description("File with credentials, as containers-auth.json(5) has it")),
  ),
  certDir: v.exactOptional(
    v.pipe(Path, v.description("Folder with the CA (ca.crt) and client certificates")),
  ),
};

/** The schema's part of {@linkcode DockerImage}. */
export const dockerEntries = {
  type: described(v.literal("docker"), "The transport"),
  reference: described(Reference, "Any reference that docker takes, or isar's URL form of it"),
  ...registryEntries,
};

const Kind = v.pipe(
  v.string(),
  v.regex(/^[\w.+-]+\/[\w.+-]+$/, 'a media type, such as "application/spdx+json"'),
);

/** The schema's part of {@linkcode ReferrerOptions}. */
export const referrerEntries = {
  referrers: v.exactOptional(
    described(
      orList(v.boolean(), v.pipe(v.array(Kind), v.nonEmpty("at least one kind"))),
      "Whether what refers to the image by digest (signatures, SBOMs, attestations) comes along: all of it, or only these kinds (artifactType)",
    ),
  ),
};

/**
 * An image in a registry.
 *
 * @param reference Any reference that docker takes, or isar's
 * `docker://host/image;digest=sha256:…;tag=…`.
 * @param options What every source takes, how the registry is reached, which of its tags are meant,
 * and whether referrers come along, after
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 * @returns The source, as plain data; `compile()` checks it.
 *
 * @example Usage
 * ```ts
 * import { containersStorage, docker } from "@stowage/stowage";
 *
 * docker("docker.io/library/caddy:2.8", {
 *   platform: "linux/arm64",
 *   fallback: [containersStorage({ location: "/srv/containers/storage" })],
 * });
 * ```
 */
export function docker(
  reference: string,
  options: SourceOptions & RegistryOptions & ReferrerOptions & TagsOptions = {},
): DockerImage & SourceOptions & ReferrerOptions & TagsOptions {
  return { type: "docker", reference, ...options };
}
