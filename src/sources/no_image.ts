import { ContentError } from "../errors/mod.ts";
import { examineImageConfig, type ImageManifest } from "../store/manifest.ts";
import type { Wanted } from "./wanted.ts";

/** What configs of images are called; nothing where a manifest does not say it. */
const IMAGES: readonly string[] = [
  "",
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
];

/** What says nothing of what it belongs to. */
const SAYS_NOTHING: readonly string[] = [
  "application/vnd.oci.empty.v1+json",
  "application/vnd.unknown.config.v1+json",
  "application/json",
];

const ORAS = "`oras pull`";

/** What registries keep beside images, and what gets it; the first row that fits counts. */
const KINDS: readonly (readonly [type: RegExp, what: string, tool: string])[] = [
  [/^application\/vnd\.cncf\.helm\./, "a Helm chart", "`helm pull oci://…`"],
  [/^application\/(vnd\.wasm\.|wasm$)/, "a WebAssembly module", ORAS],
  [/^application\/vnd\.cncf\.flux\./, "an artifact of Flux", "`flux pull artifact`"],
  [/^application\/vnd\.cncf\.model\./, "an AI model", "`modctl pull`"],
  [/^application\/vnd\.docker\.ai\./, "an AI model", "`docker model pull`"],
  [/^application\/vnd\.docker\.plugin\./, "a plugin of docker", "`docker plugin install`"],
  [/^application\/vnd\.docker\.attestation\.|in-toto/, "an attestation", ORAS],
  [/cosign|sigstore|\.notary\./, "a signature", ORAS],
  [/cyclonedx|spdx/, "an SBOM", ORAS],
];

/**
 * Tells what is called an image from what may be anything else.
 *
 * @param manifest A manifest.
 * @returns Whether it is called an image.
 */
export function isCalledImage({ config, artifactType }: ImageManifest): boolean {
  return !artifactType && config.mediaType !== "" && IMAGES.includes(config.mediaType);
}

/**
 * Refuses what is no image, before its layers come. What calls its config otherwise than images do
 * may be one all the same: then its config says so.
 *
 * @param wanted What was wanted.
 * @param label The place that has it.
 * @param manifest Its manifest.
 * @param readConfig Reads its config.
 * @throws {ContentError} If it is something else.
 */
export async function refuseNoImage(
  wanted: Pick<Wanted, "name">,
  label: string,
  manifest: ImageManifest,
  readConfig: () => Promise<Uint8Array>,
): Promise<void> {
  if (IMAGES.includes(manifest.config.mediaType)) return;
  if ("config" in examineImageConfig(await readConfig())) return;
  throw noImage(wanted, label, manifest);
}

/**
 * Says what it is that has no config of an image.
 *
 * @param wanted What was wanted.
 * @param label The place that has it.
 * @param manifest Its manifest.
 * @returns The error; `undefined` where it is called an image.
 */
export function noImage(
  { name }: Pick<Wanted, "name">,
  label: string,
  manifest: ImageManifest,
): ContentError | undefined {
  const { config, artifactType, layers: [first] } = manifest;
  if (IMAGES.includes(config.mediaType)) return undefined;
  const named = [artifactType, config.mediaType, first?.mediaType].filter((type) => type);
  const type = named.find((type = "") => !SAYS_NOTHING.includes(type)) ?? config.mediaType;
  const [, what, tool] = KINDS.find(([known]) => known.test(type)) ?? [, "an artifact", ORAS];
  return new ContentError(name, `${label}: it is no image but ${what} (${type})`, {
    hint: `make its source artifact("…") in place of docker("…"), or get it with ${tool}`,
  });
}
