import { join } from "@std/path";
import { copyTo } from "./copy_to.ts";
import type { PushedImage } from "./images.ts";
import type { Registry } from "./registry.ts";

const CONTAINERS = "sources/org.osbuild.containers";

/**
 * Whether osbuild would find an image in a store: its own check.
 *
 * @param store The store's folder.
 * @param id The image id.
 * @returns Whether `image` exists there.
 */
export async function osbuildExists(store: string, id: string): Promise<boolean> {
  try {
    await Deno.stat(join(store, CONTAINERS, id, "image"));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Puts an image into a store the way osbuild does: a `dir` in a temporary folder, then a rename.
 *
 * @param store The store's folder.
 * @param registry Where the image is.
 * @param image The image.
 * @returns The path of the entry's `image`.
 */
export async function makeOsbuildEntry(
  store: string,
  registry: Registry,
  image: PushedImage,
): Promise<string> {
  return await download(store, registry, image, "dir", "image");
}

/**
 * Puts an image into a store the way old osbuilds did: as a `docker-archive`.
 *
 * @param store The store's folder.
 * @param registry Where the image is.
 * @param image The image.
 * @returns The path of the entry's `container-image.tar`.
 */
export async function makeLegacyEntry(
  store: string,
  registry: Registry,
  image: PushedImage,
): Promise<string> {
  return await download(store, registry, image, "docker-archive", "container-image.tar");
}

async function download(
  store: string,
  registry: Registry,
  image: PushedImage,
  transport: string,
  name: string,
): Promise<string> {
  const containers = join(store, CONTAINERS);
  await Deno.mkdir(join(containers, image.id), { recursive: true });
  const temporary = await Deno.makeTempDir({ dir: containers, prefix: "tmp-download-" });
  const archive = join(temporary, "container-archive");
  await Deno.mkdir(archive, { mode: 0o755 });
  await copyTo(registry, image, `${transport}:${join(archive, name)}`);
  const path = join(containers, image.id, name);
  await Deno.rename(join(archive, name), path);
  await Deno.remove(temporary, { recursive: true });
  return path;
}
