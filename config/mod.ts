/**
 * The config language: builders that return plain data, and the values in it.
 *
 * @module
 */

export { type Config, defineConfig } from "./config.ts";
export { isDigest } from "./digest.ts";
export {
  type ImageNames,
  images,
  type ImagesInput,
  type Input,
  type NamedImage,
  output,
  type OutputInput,
  tree,
  type TreeInput,
} from "./inputs.ts";
export { InvalidValueError } from "./invalid_value.ts";
export { formatLocation, type Location, readLocation } from "./location.ts";
export { formatPlatform, normalizePlatform, parsePlatform, type Platform } from "./platform.ts";
export { formatReference, hasTag, parseReference, type Reference } from "./reference.ts";
export {
  type ArchiveImage,
  type ArchiveOptions,
  containersStorage,
  type DirImage,
  docker,
  type DockerImage,
  type Fallback,
  fromDir,
  fromDockerArchive,
  fromOci,
  fromOciArchive,
  type RegistryOptions,
  type Source,
  type SourceOptions,
  type StorageImage,
  type StorageOptions,
} from "./sources.ts";
export {
  type CompressionOptions,
  containerLoader,
  type ContainerLoaderOptions,
  copyTree,
  type CopyTreeOptions,
  type Destination,
  dockerArchive,
  type DockerArchiveOptions,
  exec,
  type ExecOptions,
  type ImageConfig,
  install,
  type InstallOptions,
  ociArchive,
  type OciArchiveOptions,
  type PathDestination,
  type RegistryDestination,
  type Stage,
  type StageOf,
  type StageOptions,
  type StageOptionsByType,
  type StorageDestination,
} from "./stages.ts";
export {
  insecureAcceptAnything,
  type Mirror,
  type Policy,
  reject,
  type Requirement,
  signedBy,
  sigstoreSigned,
} from "./trust.ts";
export { type Driver, parseStorageLocation, type StorageLocation } from "./storage.ts";
