/**
 * The config language: builders that return plain data, and the values in it.
 *
 * @module
 */

export { type Config, defineConfig } from "./config.ts";
export { isDigest } from "./digest.ts";
export type { InPlace } from "./in_place.ts";
export {
  artifacts,
  type ArtifactsInPlace,
  type ArtifactsInput,
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
export type { ImageSource, Source, SourceOptions } from "./sources.ts";
export * from "./stages/mod.ts";
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
export * from "./transports/mod.ts";
export { artifact, type ArtifactOptions, type ArtifactSource } from "./artifacts.ts";
export type { TagRule, TagsOptions } from "./tags.ts";
export type { Mirror, Policy } from "./trust.ts";
export type { Cache } from "./cache.ts";
