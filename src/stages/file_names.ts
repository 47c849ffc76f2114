import { type CompressionOptions, formatReference, parseReference } from "../../config/mod.ts";

const SUFFIXES = { zstd: ".zst", gzip: ".gz", none: ".tar" } as const;

/**
 * Takes a name apart that has a tag and a digest: engines find an image by either, but not one that
 * is called by both at once.
 *
 * @param reference The name.
 * @returns The names.
 */
export function apart(reference: string): string[] {
  const { domain, path, tag, digest } = parseReference(reference);
  if (digest === undefined) return [reference];
  const named = tag === undefined ? [] : [formatReference({ domain, path, tag })];
  return [formatReference({ domain, path, digest }), ...named];
}

/**
 * What an image is called where names have tags alone.
 *
 * @param reference The name.
 * @returns The name with a tag, and without a digest.
 */
export function tagged(reference: string): string {
  const { domain, path, tag = "latest" } = parseReference(reference);
  return formatReference({ domain, path, tag });
}

/**
 * Whether a name has a digest.
 *
 * @param reference The name.
 * @returns Whether it has.
 */
export function hasDigest(reference: string): boolean {
  return parseReference(reference).digest !== undefined;
}

/**
 * Orders the names of an image for an archive that has some of them: a name with a digest can be
 * given by an archive only, so it comes first.
 *
 * @param names The names.
 * @returns The names in that order.
 */
export function forArchive(names: readonly string[]): string[] {
  return [...names.filter(hasDigest).reverse(), ...names.filter((name) => !hasDigest(name))];
}

/**
 * What an archive is called, as isar calls it: docker's own images are called as docker shows them.
 *
 * @param name The image's name, with a tag or a digest.
 * @param compression How it is compressed.
 * @returns A name such as `quay.io.acme.app:1.4.zst`, or `debian:bookworm.zst`.
 */
export function archiveFileName(
  name: string,
  compression: CompressionOptions["compression"] = "zstd",
): string {
  return `${dotted(name)}${SUFFIXES[compression]}`;
}

const LOADER_SUFFIXES = { zstd: ".tar.zst", gzip: ".tar.gz", none: ".tar" } as const;

/**
 * What an archive is called in a folder that an engine loads archives from itself.
 *
 * @param names The names of the image, as {@linkcode forArchive} orders them.
 * @param compression How it is compressed.
 * @returns A name such as `quay.io.acme.app:1.4.tar.zst`.
 */
export function loaderFileName(
  [name = ""]: readonly string[],
  compression: CompressionOptions["compression"] = "zstd",
): string {
  return `${dotted(name)}${LOADER_SUFFIXES[compression]}`;
}

/** An image's name as a file can have it: as docker shows it, with dots for slashes. */
function dotted(name: string): string {
  return name.replace(/^docker\.io\/(library\/)?/, "").replaceAll("/", ".");
}
