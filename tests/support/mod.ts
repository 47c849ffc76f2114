/**
 * The real parts that tests and the demo use: registries, images, temporary folders.
 *
 * @example Usage
 * ```ts ignore
 * await using registry = await startRegistry();
 * const image = await pushImage(registry, "apps/caddy:2.8", { layers: [await busyboxLayer()] });
 * ```
 *
 * @module
 */

export { type ContainerStorage, containerStorage } from "./container_storage.ts";
export { type Containerd, startContainerd } from "./containerd.ts";
export { copyTo } from "./copy_to.ts";
export { denoEnv, denoProgram } from "./deno.ts";
export { digestOf } from "./digest.ts";
export { type Fault, type StatusFault } from "./fault.ts";
export { type FaultProxy, type ProxyRequest, type Rule, startFaultProxy } from "./fault_proxy.ts";
export { makeSigner, type Signer } from "./gpg.ts";
export {
  type ImageOptions,
  type IndexOptions,
  type MediaTypes,
  type PushedImage,
  type PushedIndex,
  pushImage,
  pushIndex,
  putBlob,
  putManifest,
} from "./images.ts";
export {
  busyboxLayer,
  type Compression,
  fileLayer,
  type Layer,
  type LayerOptions,
  nginxLikeLayer,
  randomLayer,
  type RandomLayerOptions,
} from "./layers.ts";
export { LanguageServer } from "./lsp.ts";
export { makeLegacyEntry, makeOsbuildEntry, osbuildExists } from "./osbuild_store.ts";
export {
  type Credentials,
  type Registry,
  type RegistryOptions,
  startRegistry,
} from "./registry.ts";
export { type Postgres, startPostgres } from "./postgres.ts";
export { type Redis, startRedis } from "./redis.ts";
export { run, type RunOptions } from "./run.ts";
export {
  makeSigstoreAuthority,
  makeSigstoreKey,
  signSigstore,
  type SigstoreAuthority,
  type SigstoreKey,
} from "./sigstore.ts";
export { skopeo, skopeoImage, thisSkopeo } from "./skopeo.ts";
export { type SmallFs, smallFs, type SmallFsOptions } from "./small_fs.ts";
export {
  imagesInput,
  stageContext,
  type StageContextOptions,
  stageImage,
  type StageImageOptions,
  type TestStage,
  treeInput,
} from "./stage_context.ts";
export { tar, type TarFile, type TarTree } from "./tar.ts";
export { type TempDir, tempDir } from "./temp_dir.ts";
export { makeTls, type Tls } from "./tls.ts";
