import { join } from "@std/path";
import { StageError } from "../../errors/mod.ts";
import { digestOf } from "../../lib/fs/files.ts";
import { readOutside } from "../../lib/fs/outside_file.ts";
import { type ImageManifest, readImageConfig, readManifest } from "../../store/manifest.ts";
import { readLayer, UnpackError } from "../../tools/read_layer.ts";
import { formatImage } from "../../tools/skopeo_args.ts";
import type { StageContext, StageImage } from "../stage.ts";
import { openImage } from "./open_image.ts";

/** A layer of an image, as a file. */
export interface LayerFile {
  /** The file. */
  readonly path: string;
  /** Its digest without compression. */
  readonly diffId: string;
}

/** An image in a folder of skopeo's `dir` transport. */
export interface ImageFolder {
  /** The folder. */
  readonly path: string;
  /** The bytes of its manifest. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What they say. */
  readonly manifest: ImageManifest;
  /** Its layers, from the lowest to the highest. */
  readonly layers: readonly LayerFile[];
}

/**
 * Finds the files of an image, and makes sure that config and manifest are its own.
 *
 * @param image The image; one in an archive is copied out of it.
 * @param context What the engine gives to the stage.
 * @returns Its files.
 * @throws {StageError} If they are another image's.
 */
export async function imageFolder(image: StageImage, context: StageContext): Promise<ImageFolder> {
  const path = image.format === "dir" ? image.path : await toFolder(image, context);
  const fail = (why: string) => new StageError(context.name, `"${image.names[0]}" ${why}`);
  const bytes = await readOutside(join(path, "manifest.json"));
  if (digestOf(bytes) !== image.digest) {
    throw fail(`has the manifest ${digestOf(bytes)}, and is ${image.digest}`);
  }
  const read = readManifest(bytes);
  if (read.kind !== "image") throw fail("is no image");
  const { manifest } = read;
  const config = await readOutside(blobIn(path, manifest.config.digest));
  if (digestOf(config) !== image.id) {
    throw fail(`has the config ${digestOf(config)}, and is ${image.id}`);
  }
  const diffIds = readImageConfig(config)?.rootfs.diff_ids ?? [];
  if (diffIds.length !== manifest.layers.length) {
    throw fail(`has ${manifest.layers.length} layers, of which its config knows ${diffIds.length}`);
  }
  const layers = manifest.layers.map(({ digest }, at) => ({
    path: blobIn(path, digest),
    diffId: diffIds[at] ?? "",
  }));
  return { path, bytes, manifest, layers };
}

/**
 * Finds a blob of an image.
 *
 * @param folder The image's folder.
 * @param digest Digest of the blob.
 * @returns Its file.
 */
export function blobIn(folder: string, digest: string): string {
  return join(folder, digest.slice("sha256:".length));
}

async function toFolder(image: StageImage, context: StageContext): Promise<string> {
  const { image: archive, flags } = await openImage(image, context);
  const folder = crypto.randomUUID();
  // The path is relative: skopeo takes paths apart at colons.
  await context.run("skopeo", [
    ...["--insecure-policy", "--tmpdir", context.scratch, ...flags, "copy", "--quiet", "--"],
    ...[formatImage(archive), formatImage({ transport: "dir", path: folder })],
  ], { cwd: context.staging });
  return join(context.staging, folder);
}

/**
 * Reads a layer without its compression, and makes sure that it is the one that the config names.
 *
 * @param name What the image is called.
 * @param layer The layer.
 * @param take Takes the next bytes, which count until that is done.
 * @param context What the engine gives to the stage.
 * @throws {StageError} If it is damaged, or another one.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function readImageLayer(
  name: string,
  { path, diffId }: LayerFile,
  take: (chunk: Uint8Array) => void | Promise<void>,
  context: StageContext,
): Promise<void> {
  const found = await readLayer(path, take, context.signal).catch((error) => {
    throw error instanceof UnpackError ? badLayer(name, error.message, context, error) : error;
  });
  if (found !== diffId) throw badLayer(name, `it is ${found}, and should be ${diffId}`, context);
}

/**
 * Makes the error of a layer that is not as it should be.
 *
 * @param image What the image is called.
 * @param why What is wrong.
 * @param context Name of the stage.
 * @param cause What has told it.
 * @returns The error.
 */
export function badLayer(
  image: string,
  why: string,
  { name }: Pick<StageContext, "name">,
  cause?: unknown,
): StageError {
  return new StageError(name, `a layer of "${image}" cannot be unpacked: ${why}`, { cause });
}
