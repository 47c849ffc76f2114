import { join } from "@std/path";
import type { Platform } from "../../config/mod.ts";
import { digestOf } from "../lib/fs/files.ts";
import type { StageContext, StageImage } from "./stage.ts";

/** An image as skopeo is told to read it. */
export interface ReadableImage {
  /** `transport:details`. */
  readonly image: string;
  /** Flags for skopeo, to stand before its command. */
  readonly flags: readonly string[];
}

/**
 * Tells skopeo which platform to choose, where there is a choice.
 *
 * @param platform The platform.
 * @returns Flags, to stand before its command.
 */
export function platformFlags({ os, architecture, variant }: Platform): string[] {
  return [
    ...["--override-os", os, "--override-arch", architecture],
    ...(variant ? ["--override-variant", variant] : []),
  ];
}

/**
 * Makes an image readable for skopeo.
 *
 * @param image The image.
 * @param context What the engine gives to the stage.
 * @returns The image as skopeo is told to read it; with its manifest list, where that is kept.
 */
export async function openImage(image: StageImage, context: StageContext): Promise<ReadableImage> {
  const link = join(context.scratch, crypto.randomUUID());
  if (image.format === "oci-archive") {
    // skopeo takes paths apart at colons.
    await Deno.symlink(image.path, link);
    return { image: `oci-archive:${link}`, flags: [] };
  }
  if (image.index === undefined) return { image: `dir:${image.path}`, flags: [] };
  await mergeIndex(image.path, image.index, link);
  return { image: `dir:${link}`, flags: platformFlags(image.platform) };
}

/**
 * Tells whether an image has signatures.
 *
 * @param image The image.
 * @returns Whether they are kept with it.
 */
export async function hasSignatures({ format, path }: StageImage): Promise<boolean> {
  return format === "dir" &&
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
  const manifest = await Deno.readFile(join(folder, "manifest.json"));
  const hex = digestOf(manifest).slice("sha256:".length);
  for await (const { name } of Deno.readDir(folder)) {
    if (name === "manifest.json") continue;
    // They are of the image, and would pass for the list's.
    const own = isSignature(name) ? `${hex}.${name}` : name;
    await Deno.symlink(join(folder, name), join(merged, own));
  }
  await Deno.writeFile(join(merged, `${hex}.manifest.json`), manifest);
  await Deno.copyFile(index, join(merged, "manifest.json"));
}
