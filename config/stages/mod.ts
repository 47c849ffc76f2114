/**
 * The kinds of stages: each has a file with its builder, its options and its schema, a line in the
 * list of types here, and one in the list of [schemas](schemas.ts).
 *
 * @module
 */

import type { ContainerLoaderStage } from "./container_loader.ts";
import type { CopyTreeStage } from "./copy_tree.ts";
import type { DockerArchiveStage } from "./docker_archive.ts";
import type { ExecStage } from "./exec.ts";
import type { InstallStage } from "./install.ts";
import type { OciArchiveStage } from "./oci_archive.ts";
import type { QuadletStage } from "./quadlet.ts";
import type { StageOptions } from "./stage_options.ts";
import type { StorageConfStage } from "./storage_conf.ts";
import type { UnpackStage } from "./unpack.ts";

export type { CompressionOptions } from "./compression.ts";
export {
  containerLoader,
  type ContainerLoaderInPlace,
  type ContainerLoaderOptions,
  type ContainerLoaderStage,
} from "./container_loader.ts";
export {
  copyTree,
  type CopyTreeInPlace,
  type CopyTreeOptions,
  type CopyTreeStage,
} from "./copy_tree.ts";
export type {
  DaemonDestination,
  Destination,
  PathDestination,
  RegistryDestination,
  StorageDestination,
} from "./destinations.ts";
export {
  dockerArchive,
  type DockerArchiveInPlace,
  type DockerArchiveOptions,
  type DockerArchiveStage,
} from "./docker_archive.ts";
export { exec, type ExecInPlace, type ExecOptions, type ExecStage } from "./exec.ts";
export { install, type InstallInPlace, type InstallOptions, type InstallStage } from "./install.ts";
export {
  type ImageConfig,
  ociArchive,
  type OciArchiveInPlace,
  type OciArchiveOptions,
  type OciArchiveStage,
} from "./oci_archive.ts";
export {
  quadlet,
  QUADLET_KEYS,
  type QuadletInPlace,
  type QuadletList,
  type QuadletOptions,
  type QuadletPairs,
  type QuadletSection,
  type QuadletSectionName,
  type QuadletStage,
  type QuadletSystemdSection,
  type QuadletText,
  type QuadletUnit,
} from "./quadlet.ts";
export type { StageOptions } from "./stage_options.ts";
export {
  type BtrfsOptions,
  type OverlayOptions,
  type PullOptions,
  storageConf,
  type StorageConfInPlace,
  type StorageConfOptions,
  type StorageConfStage,
  type StorageConfStageOptions,
  type StorageTable,
  type VfsOptions,
  type ZfsOptions,
} from "./storage_conf.ts";
export { unpack, type UnpackInPlace, type UnpackOptions, type UnpackStage } from "./unpack.ts";

/** The stages of each type, as plain data. */
export interface StagesByType<
  InputName extends string = string,
  StageName extends string = string,
> {
  /** Images into a tree, an archive or a registry. */
  "install": InstallStage<InputName, StageName>;
  /** Trees into an OCI archive. */
  "oci-archive": OciArchiveStage<InputName, StageName>;
  /** Images into docker archives. */
  "docker-archive": DockerArchiveStage<InputName, StageName>;
  /** Images and the unit that loads them. */
  "container-loader": ContainerLoaderStage<InputName, StageName>;
  /** Trees into a tree. */
  "copy-tree": CopyTreeStage<InputName, StageName>;
  /** An image into a tree. */
  "unpack": UnpackStage<InputName, StageName>;
  /** Settings of a tree's container storage. */
  "storage-conf": StorageConfStage<InputName, StageName>;
  /** Units of podman. */
  "quadlet": QuadletStage<InputName, StageName>;
  /** A command. */
  "exec": ExecStage<InputName, StageName>;
}

/** A stage of one type, as plain data. */
export type StageOf<
  Type extends keyof StagesByType,
  InputName extends string = string,
  StageName extends string = string,
> = StagesByType<InputName, StageName>[Type];

/** A stage, as plain data. */
export type Stage<InputName extends string = string, StageName extends string = string> = StageOf<
  keyof StagesByType,
  InputName,
  StageName
>;

/** The options of each type of stage. */
export type StageOptionsByType = {
  [Type in keyof StagesByType]: Omit<StageOf<Type>, "type" | keyof StageOptions>;
};
