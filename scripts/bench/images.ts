import { pooledMap } from "@std/async/pool";
import {
  busyboxLayer,
  fileLayer,
  type PushedImage,
  pushImage,
  randomLayer,
  type Registry,
} from "../../tests/support/mod.ts";

/** Sizes of the layers of images, in bytes. */
export interface Sizes {
  /** Of the one that all of them have; there is none, unless told. */
  readonly shared?: number;
  /** Of the one that each has for itself. */
  readonly own: number;
}

/**
 * Pushes images of random bytes.
 *
 * @param registry Where to.
 * @param count How many.
 * @param sizes How large their layers are. With a shared one, a small Linux root is below it.
 * @returns The images.
 */
export async function pushSharing(
  registry: Registry,
  count: number,
  { shared, own }: Sizes,
): Promise<PushedImage[]> {
  const base = shared === undefined
    ? []
    : [await busyboxLayer(), await randomLayer({ size: shared })];
  const images: PushedImage[] = [];
  for (let n = 1; n <= count; n++) {
    const layers = [...base, await randomLayer({ size: own, seed: n })];
    images.push(await pushImage(registry, `apps/app-${n}:1`, { layers }));
  }
  return images;
}

/**
 * Pushes images of a few bytes each.
 *
 * @param registry Where to.
 * @param count How many.
 * @returns The images.
 */
export async function pushTiny(registry: Registry, count: number): Promise<PushedImage[]> {
  const numbers = Array.from({ length: count }, (_, index) => index);
  return await Array.fromAsync(pooledMap(4, numbers, async (n) => {
    const layers = [await fileLayer({ "etc/name": `app-${n}\n` })];
    return await pushImage(registry, `apps/app-${n}:1`, { layers });
  }));
}
