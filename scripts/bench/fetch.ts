import {
  type PushedImage,
  pushImage,
  randomLayer,
  startRegistry,
} from "../../tests/support/mod.ts";
import type { Case, CaseContext } from "./cases.ts";
import { wholeOf } from "./content.ts";
import { type Distance, openFarLink } from "./far.ts";
import { fetchersOf } from "./fetchers.ts";
import { folderIn } from "./folder.ts";
import { pushSharing } from "./images.ts";
import type { Group } from "./rounds.ts";
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

/** A hundred images that are smaller still. */
export const fetchHundred: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const images = await pushSharing(registry, 100, { own: mb(0.1) });
  const { oneByOne, sync, crane, regctl, stowage } = await fetchersOf(dir, images);
  return [{
    id: "fetch-hundred",
    title: `100 images of ${formatSize(mb(0.1))} that share nothing, nothing in the store`,
    contenders: [oneByOne, sync, ...[crane, regctl].flatMap((each) => each ?? []), stowage],
    sent: sentBy(registry),
    whole: wholeOf(images),
  }];
};

/** Twenty usual images, from a registry with TLS that is far away. */
export const fetchFar: Case = async (context) => [
  await farGroup(context, { roundTrip: 40, rate: 118e6 }),
  await farGroup(context, { roundTrip: 100, rate: 12e6 }),
];

async function farGroup({ dir, resources, mb }: CaseContext, distance: Distance): Promise<Group> {
  const registry = resources.use(await startRegistry({ tls: true }));
  const link = resources.use(openFarLink(registry.host, distance));
  const shared = [mb(20), mb(5)];
  const layersOf = (sizes: readonly number[], seed: number) =>
    Promise.all(sizes.map((size, n) => randomLayer({ size, seed: seed + n })));
  const base = await layersOf(shared, 1);
  const images: PushedImage[] = [];
  for (let n = 1; n <= 20; n++) {
    const layers = [...base, ...await layersOf([mb(0.6), mb(0.6)], 10 * n)];
    const image = await pushImage(registry, `apps/app-${n}:1`, { layers });
    images.push({ ...image, reference: image.reference.replace(registry.host, link.host) });
  }
  const { roundTrip, rate } = distance;
  const id = `fetch-far-${roundTrip}ms`;
  const { layout, crane, regctl, stowage } = await fetchersOf(
    await folderIn(dir, id),
    images,
    registry.tls?.certDir,
  );
  const size = formatSize(shared.reduce((sum, each) => sum + each, 0));
  return {
    id,
    title: `20 images that share ${size}, by TLS, ${roundTrip} ms away, ${
      formatSize(rate)
    } a second`,
    contenders: [layout, ...[crane, regctl].flatMap((each) => each ?? []), stowage],
    isCharted: true,
    sent: sentBy(registry),
    whole: wholeOf(images),
  };
}
