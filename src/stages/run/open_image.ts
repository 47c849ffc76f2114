import { join } from "@std/path";
import { formatPlatform } from "../../../config/mod.ts";
import { digestOf } from "../../lib/fs/files.ts";
import { readOutside } from "../../lib/fs/outside_file.ts";
import { platformOfEntry, readManifest } from "../../store/manifest.ts";
import { formatImage, platformFlags, type SkopeoImage } from "../../tools/skopeo_args.ts";
import type { ListedImage, StageContext, StageImage } from "../stage.ts";

/** An image that skopeo can read. */
export interface ReadableImage {
  /** Where it is. */
  readonly image: SkopeoImage;
  /** Flags for skopeo, to stand before its command. */
  readonly flags: readonly string[];
}

/** Whether signatures are kept beside an image, by its format. */
const HOLDS_SIGNATURES: Readonly<Record<StageImage["format"], boolean>> = {
  "dir": true,
  "oci-archive": false,
};

/**
 * Makes an image readable for skopeo.
 *
 * @param image The image.
 * @param context What the engine gives to the stage.
 * @returns The image, with its manifest list where that is kept.
 */
export async function openImage(image: StageImage, context: StageContext): Promise<ReadableImage> {
  const link = join(context.scratch, crypto.randomUUID());
  const { format: transport, path, index, platform } = image;
  if (index === undefined) {
    // skopeo takes paths apart at colons.
    await Deno.symlink(path, link);
    return { image: { transport, path: link }, flags: [] };
  }
  await mergeIndex(path, index, link);
  const read = readManifest(await readOutside(index));
  const entries = read.kind === "index" ? read.index.manifests : [];
  const entry = entries.find(({ digest }) => digest === image.digest);
  const listed = entry && platformOfEntry(entry);
  return { image: { transport, path: link }, flags: platformFlags(listed ?? platform) };
}

/** A manifest list that skopeo can read, with all images that it names. */
export interface ReadableList {
  /** Where it is. */
  readonly image: SkopeoImage;
  /** Its digest. */
  readonly digest: string;
  /** Whether it and all that it names is of OCI's media types. */
  readonly isOci: boolean;
}

/**
 * Makes a manifest list readable for skopeo.
 *
 * @param images Images that were chosen from it.
 * @param context What the engine gives to the stage.
 * @returns The list, or what it names and the store does not have.
 */
export async function openList(
  images: readonly StageImage[],
  { scratch }: StageContext,
): Promise<ReadableList | { readonly absent: readonly string[] }> {
  const [{ index = "" } = {}] = images;
  const bytes = await readOutside(index);
  const read = readManifest(bytes);
  const entries = read.kind === "index" ? read.index.manifests : [];
  const folders = new Map(
    images.flatMap(({ digest, path, listed = [] }) => [{ digest, path }, ...listed])
      .map(({ digest, path }) => [digest, path]),
  );
  const absent = entries.filter(({ digest }) => !folders.has(digest));
  if (absent.length > 0 || read.kind !== "index") {
    return {
      absent: absent.map((entry) => {
        const platform = platformOfEntry(entry);
        return platform ? formatPlatform(platform) : entry.digest;
      }),
    };
  }
  const path = join(scratch, crypto.randomUUID());
  await Deno.mkdir(path);
  const types: string[] = [read.index.mediaType];
  for (const { digest } of entries) {
    const own = await addToList({ digest, path: folders.get(digest) ?? "" }, path);
    const manifest = readManifest(own);
    if (manifest.kind === "image") types.push(manifest.manifest.mediaType);
  }
  await Deno.writeFile(join(path, "manifest.json"), bytes);
  const isOci = types.every((type) => type.startsWith("application/vnd.oci."));
  return { image: { transport: "dir", path }, digest: digestOf(bytes), isOci };
}

/**
 * Makes a copy with plain layers of an image that has others than gzip's, which skopeo before 1.14
 * does not put into a docker archive. https://github.com/containers/image/issues/1260
 *
 * @param image The image.
 * @param folder Where the copy goes, as skopeo is told it.
 * @param skopeo Runs skopeo; returns its output.
 * @returns The image, or its copy.
 */
export async function withPlainLayers(
  image: SkopeoImage,
  folder: string,
  skopeo: (...args: string[]) => Promise<Uint8Array>,
): Promise<SkopeoImage> {
  const read = readManifest(await skopeo("inspect", "--raw", "--", formatImage(image)));
  const isPlain = read.kind === "image" &&
    !read.manifest.layers.some(({ mediaType }) => mediaType.endsWith("zstd"));
  if (isPlain) return image;
  const plain = { transport: "dir", path: folder };
  await skopeo(
    ...["copy", "--quiet", "--remove-signatures", "--dest-decompress", "--"],
    ...[formatImage(image), formatImage(plain)],
  );
  return plain;
}

/**
 * Tells whether an image has signatures.
 *
 * @param image The image.
 * @returns Whether they are kept with it.
 */
export async function hasSignatures({ format, path }: StageImage): Promise<boolean> {
  return HOLDS_SIGNATURES[format] &&
    (await Array.fromAsync(Deno.readDir(path))).some(({ name }) => isSignature(name));
}

function isSignature(name: string): boolean {
  return name.startsWith("signature-");
}

/**
 * Puts a manifest list before an image's own manifest, so that the image can be run by the list's
 * digest as well. https://github.com/containers/skopeo/issues/1935
 */
async function mergeIndex(folder: string, index: string, merged: string): Promise<void> {
  await Deno.mkdir(merged);
  const digest = digestOf(await readOutside(join(folder, "manifest.json")));
  await addToList({ digest, path: folder }, merged);
  await Deno.copyFile(index, join(merged, "manifest.json"));
}

/** Adds an image to a list; what others have as well is there already. */
async function addToList(
  { digest, path: folder }: ListedImage,
  merged: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const manifest = await readOutside(join(folder, "manifest.json"));
  const hex = digest.slice("sha256:".length);
  for await (const { name } of Deno.readDir(folder)) {
    if (name === "manifest.json") continue;
    // They are of the image, and would pass for the list's.
    const own = isSignature(name) ? `${hex}.${name}` : name;
    await Deno.symlink(join(folder, name), join(merged, own)).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
  }
  await Deno.writeFile(join(merged, `${hex}.manifest.json`), manifest);
  return manifest;
}
