/**
 * The config language: builders that return plain data, and the values in it.
 *
 * @module
 */

export { type Config, defineConfig } from "./config.ts";
export { isDigest } from "./digest.ts";
export type { InPlace } from "./in_place.ts";
export {
  type FolderInput,
  hostImage,
  type HostImageInput,
  type HostImageOptions,
  type ImageNames,
  images,
  type ImagesInPlace,
  type ImagesInput,
  type Input,
  type NamedImage,
  output,
  type OutputInPlace,
  type OutputInput,
  type StageTreeInPlace,
  type StageTreeInput,
  tree,
  type TreeAttributes,
  type TreeInput,
  type TreeOptions,
  type TreePatterns,
} from "./inputs.ts";
export { InvalidValueError } from "./invalid_value.ts";
export {
  formatPlatform,
  isPlatform,
  normalizePlatform,
  parsePlatform,
  type Platform,
  type PlatformName,
  runsOn,
} from "./platform.ts";
export { formatReference, hasTag, parseReference, type Reference } from "./reference.ts";
export type { RegistrySettings } from "./registries.ts";
export type { Fallback, Source, SourceOptions } from "./sources.ts";
export type { CompressionOptions } from "./stages/compression.ts";
export {
  containerLoader,
  type ContainerLoaderInPlace,
  type ContainerLoaderOptions,
  type ContainerLoaderStage,
} from "./stages/container_loader.ts";
export {
  copyTree,
  type CopyTreeInPlace,
  type CopyTreeOptions,
  type CopyTreeStage,
} from "./stages/copy_tree.ts";
export type {
  DaemonDestination,
  Destination,
  PathDestination,
  RegistryDestination,
  StorageDestination,
} from "./stages/destinations.ts";
export {
  dockerArchive,
  type DockerArchiveInPlace,
  type DockerArchiveOptions,
  type DockerArchiveStage,
} from "./stages/docker_archive.ts";
export { exec, type ExecInPlace, type ExecOptions, type ExecStage } from "./stages/exec.ts";
export {
  install,
  type InstallInPlace,
  type InstallOptions,
  type InstallStage,
} from "./stages/install.ts";
export type { Stage, StageOf, StageOptionsByType, StagesByType } from "./stages/mod.ts";
export {
  type ImageConfig,
  ociArchive,
  type OciArchiveInPlace,
  type OciArchiveOptions,
  type OciArchiveStage,
} from "./stages/oci_archive.ts";
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
} from "./stages/quadlet.ts";
export type { StageOptions } from "./stages/stage_options.ts";
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
} from "./stages/storage_conf.ts";
export {
  unpack,
  type UnpackInPlace,
  type UnpackOptions,
  type UnpackStage,
} from "./stages/unpack.ts";
export {
  type FulcioCertificate,
  type GpgKeys,
  insecureAcceptAnything,
  type KeyData,
  type KeyDatas,
  type KeyPath,
  type KeyPaths,
  type PkiCertificate,
  reject,
  type RekorKeys,
  type Requirement,
  signedBy,
  type SignedIdentity,
  type SignedOptions,
  type SigstoreKeys,
  type SigstoreOptions,
  sigstoreSigned,
} from "./requirements.ts";
export { type Driver, parseStorageLocation, type StorageLocation } from "./storage.ts";
export {
  type ArchiveImage,
  type ArchiveOptions,
  fromDockerArchive,
  fromOci,
  fromOciArchive,
} from "./transports/archive.ts";
export {
  containersStorage,
  type StorageImage,
  type StorageOptions,
} from "./transports/containers_storage.ts";
export { type DirImage, fromDir } from "./transports/dir.ts";
export {
  docker,
  type DockerImage,
  type ReferrerOptions,
  type RegistryOptions,
} from "./transports/docker.ts";
export { type DaemonImage, type DaemonOptions, dockerDaemon } from "./transports/docker_daemon.ts";
export type { TagRule, TagsOptions } from "./tags.ts";
export type { Mirror, Policy } from "./trust.ts";
export type { Cache } from "./cache.ts";
