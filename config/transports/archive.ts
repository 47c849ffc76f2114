import * as v from "valibot";
import { described, Path } from "../schema_parts.ts";
import type { SourceOptions } from "../sources.ts";

/** Which image of a layout or archive is meant. */
export interface ArchiveOptions {
  /** Name of the image, where there are several. */
  readonly image?: string;
}

/** An image in a layout or archive. */
export interface ArchiveImage extends ArchiveOptions {
  /** The transport. */
  readonly type: "oci" | "oci-archive" | "docker-archive";
  /** The file or folder, absolute or relative to the config. */
  readonly path: string;
}

/** The schema's part of {@linkcode ArchiveImage}. */
export const archiveEntries = {
  type: described(v.picklist(["oci", "oci-archive", "docker-archive"]), "The transport"),
  path: described(Path, "The file or folder, absolute or relative to the config"),
  image: v.exactOptional(
    described(
      v.pipe(v.string(), v.nonEmpty("the name of an image in it")),
      "Name of the image, where there are several",
    ),
  ),
};

/**
 * An image in an OCI image layout.
 *
 * @param path The folder, absolute or relative to the config.
 * @param options What every source takes, and which image of the layout is meant.
 * @returns The source, as plain data; `compile()` checks it.
 */
export function fromOci(
  path: string,
  options: SourceOptions & ArchiveOptions = {},
): ArchiveImage & SourceOptions {
  return { type: "oci", path, ...options };
}

/**
 * An image in an OCI archive, a tar of an OCI image layout.
 *
 * @param path The file, absolute or relative to the config.
 * @param options What every source takes, and which image of the archive is meant.
 * @returns The source, as plain data; `compile()` checks it.
 */
export function fromOciArchive(
  path: string,
  options: SourceOptions & ArchiveOptions = {},
): ArchiveImage & SourceOptions {
  return { type: "oci-archive", path, ...options };
}

/**
 * An image in a docker archive, as `docker save` writes it.
 *
 * @param path The file, absolute or relative to the config.
 * @param options What every source takes, and which image of the archive is meant.
 * @returns The source, as plain data; `compile()` checks it.
 */
export function fromDockerArchive(
  path: string,
  options: SourceOptions & ArchiveOptions = {},
): ArchiveImage & SourceOptions {
  return { type: "docker-archive", path, ...options };
}
