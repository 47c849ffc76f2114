import { pushImage, randomLayer, startRegistry } from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { wholeOf } from "./content.ts";
import { fetchersOf } from "./fetchers.ts";
import { folderIn } from "./folder.ts";
import { pushSharing } from "./images.ts";
import { systemLayer } from "./system_files.ts";
import { formatSize } from "./units.ts";
import { sentBy } from "./wire.ts";

/** How much smaller gzip makes what is in /usr, about. */
const USUAL_RATIO = 2.1;

/** One image of 200 MB: of random bytes, and of programs and data as images have them. */
export const fetchLarge: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const random = [await randomLayer({ size: mb(200) })];
  const real = [await systemLayer(mb(200 * USUAL_RATIO))];
  const kinds = [
    { id: "fetch-random", layers: random, what: "of random bytes" },
    { id: "fetch-system", layers: real, what: "of files from /usr in gzip" },
  ];
  return await Promise.all(kinds.map(async ({ id, layers, what }) => {
    const image = await pushImage(registry, `apps/${id}:1`, { layers });
    const { oneByOne, oneByOneSynced, sync, podman, stowage } = await fetchersOf(
      await folderIn(dir, id),
      [image],
    );
    return {
      id,
      title: `an image of ${formatSize(image.size)} ${what}, nothing in the store`,
      contenders: [oneByOne, oneByOneSynced, sync, ...(podman ? [podman] : []), stowage],
      isCharted: true,
      sent: sentBy(registry),
      whole: wholeOf([image]),
    };
  }));
};

/** Eight images that have most in common. */
export const fetchEight: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const sizes = { shared: mb(200), own: mb(20) };
  const images = await pushSharing(registry, 8, sizes);
  const each = formatSize(sizes.shared + sizes.own);
  return [{
    id: "fetch-eight",
    title: `8 images of ${each} that share ${formatSize(sizes.shared)}, nothing in the store`,
    contenders: Object.values(await fetchersOf(dir, images)),
    isCharted: true,
    sent: sentBy(registry),
    whole: wholeOf(images),
  }];
};

/** Fifty small images. */
export const fetchFifty: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const images = await pushSharing(registry, 50, { own: mb(1) });
  return [{
    id: "fetch-fifty",
    title: `50 images of ${formatSize(mb(1))} that share nothing, nothing in the store`,
    contenders: Object.values(await fetchersOf(dir, images)),
    isCharted: true,
    sent: sentBy(registry),
    whole: wholeOf(images),
  }];
};
