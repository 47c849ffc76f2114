/**
 * The transports in configs: what a person writes, and the types of it. Each has a file, a line in
 * the lists of types here, and one in each list of [schemas](schemas.ts).
 *
 * @module
 */

import type { TagsOptions } from "../tags.ts";
import type { ArchiveImage } from "./archive.ts";
import type { StorageImage } from "./containers_storage.ts";
import type { DirImage } from "./dir.ts";
import type { DockerImage, ReferrerOptions } from "./docker.ts";
import type { DaemonImage } from "./docker_daemon.ts";

export {
  type ArchiveImage,
  type ArchiveOptions,
  fromDockerArchive,
  fromOci,
  fromOciArchive,
} from "./archive.ts";
export { containersStorage, type StorageImage, type StorageOptions } from "./containers_storage.ts";
export { type DirImage, fromDir } from "./dir.ts";
export { docker, type DockerImage, type ReferrerOptions, type RegistryOptions } from "./docker.ts";
export { type DaemonImage, type DaemonOptions, dockerDaemon } from "./docker_daemon.ts";

/** Where else a source's image may come from, as plain data. */
export type Fallback = DockerImage | StorageImage | DaemonImage | DirImage | ArchiveImage;

/** Where a source's image comes from, as plain data. */
export type SourceImage =
  | (DockerImage & ReferrerOptions & TagsOptions)
  | ((StorageImage | DaemonImage) & { readonly reference: string })
  | DirImage
  | ArchiveImage;
