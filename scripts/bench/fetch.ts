import {
  type PushedImage,
  pushImage,
  randomLayer,
  type Registry,
  startRegistry,
} from "../../tests/support/mod.ts";
import { makeTls } from "../../tests/support/tls.ts";
import type { Case, CaseContext } from "./cases.ts";
import { wholeOf } from "./content.ts";
import { type Distance, openFarLink } from "./far.ts";
import { fetchersOf } from "./fetchers.ts";
import { folderIn } from "./folder.ts";
import { pushSharing } from "./images.ts";
import type { Group } from "./rounds.ts";
import { systemLayer } from "./system_files.ts";
import { startTokenServer, TOKENS } from "./token_server.ts";
import { formatSize } from "./units.ts";
import { sentBy } from "./wire.ts";

/** How much smaller gzip makes what is in /usr, about. */
const USUAL_RATIO = 2.1;

/** One image of 200 MB: of random bytes, and of programs and data as images have them. */
export const fetchLarge: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const random = [await randomLayer({ size: mb(200) })];
  const real = [await systemLayer(mb(200 * USUAL_RATIO))];
  const link = resources.use(openFarLink(registry.host, LAN));
  const files = "of files from /usr in gzip";
  const kinds = [
    { id: "fetch-random", layers: random, what: "of random bytes", host: registry.host },
    { id: "fetch-system", layers: real, what: files, host: registry.host },
    { id: "fetch-system-lan", layers: real, what: `${files}, ${wordsOf(LAN)}`, host: link.host },
  ];
  return await Promise.all(kinds.map(async ({ id, layers, what, host }) => {
    const image = seenAt(host, await pushImage(registry, `apps/${id}:1`, { layers }));
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
    contenders: Object.values(await fetchersOf(dir, images)).flat(),
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
    contenders: Object.values(await fetchersOf(dir, images)).flat(),
    isCharted: true,
    sent: sentBy(registry),
    whole: wholeOf(images),
  }];
};

/** A hundred images that are smaller still. */
export const fetchHundred: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const images = await pushSharing(registry, 100, { own: mb(0.1) });
  const { oneByOne, sync, others, stowage } = await fetchersOf(dir, images);
  return [{
    id: "fetch-hundred",
    title: `100 images of ${formatSize(mb(0.1))} that share nothing, nothing in the store`,
    contenders: [oneByOne, sync, ...others, stowage],
    sent: sentBy(registry),
    whole: wholeOf(images),
  }];
};

/** Twenty usual images, from a registry of this machine. */
export const fetchTwenty: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const images = await pushUsual(registry, mb);
  const { oneByOne, layout, others, stowage } = await fetchersOf(dir, images);
  return [{
    id: "fetch-twenty",
    title: `20 images that share ${sharedOf(mb)}, nothing in the store`,
    contenders: [oneByOne, layout, ...others, stowage],
    isCharted: true,
    sent: sentBy(registry),
    whole: wholeOf(images),
  }];
};

/** The same from a registry that is far away, with TLS and tokens. */
export const fetchFar: Case = async (context) => [
  await farGroup(context, { roundTrip: 40, rate: 118e6 }),
  await farGroup(context, { roundTrip: 100, rate: 12e6 }),
];

/** A gigabit, in the same house. */
const LAN: Distance = { roundTrip: 1, rate: 118e6 };
/** Connect, TLS, what the registry wants, the token, the manifest, the config. */
const ROUND_TRIPS = 6;

async function farGroup({ dir, resources, mb }: CaseContext, distance: Distance): Promise<Group> {
  const id = `fetch-far-${distance.roundTrip}ms`;
  const folder = await folderIn(dir, id);
  const tls = await makeTls(folder.path);
  const filled = resources.use(await startRegistry());
  const tokens = resources.use(await startTokenServer(tls));
  const gate = resources.use(openFarLink(tokens.host, distance));
  const registry = resources.use(
    await startRegistry({
      ...{ tls, storage: filled.root },
      tokens: { ...TOKENS, realm: `https://${gate.host.replace("127.0.0.1", "localhost")}/token` },
    }),
  );
  const link = resources.use(openFarLink(registry.host, distance));
  const images = (await pushUsual(filled, mb)).map((image) => seenAt(link.host, image));
  const { layout, others, stowage } = await fetchersOf(folder, images, tls.certDir);
  // It asks nobody on this machine for a token.
  const able = others.filter(({ name }) => !name.startsWith("oras"));
  const whole = wholeOf(images);
  return {
    id,
    title: `20 images that share ${sharedOf(mb)}, by TLS and tokens, ${wordsOf(distance)}`,
    contenders: [layout, ...able, stowage],
    isCharted: true,
    sent: sentBy(registry),
    whole,
    least: 1000 * whole / distance.rate + ROUND_TRIPS * distance.roundTrip,
  };
}

const USUAL = { shared: [20, 5], own: [0.6, 0.6] } as const;

async function pushUsual(registry: Registry, mb: CaseContext["mb"]): Promise<PushedImage[]> {
  const layersOf = (sizes: readonly number[], seed: number) =>
    Promise.all(sizes.map((size, n) => randomLayer({ size: mb(size), seed: seed + n })));
  const base = await layersOf(USUAL.shared, 1);
  const images: PushedImage[] = [];
  for (let n = 1; n <= 20; n++) {
    const layers = [...base, ...await layersOf(USUAL.own, 10 * n)];
    images.push(await pushImage(registry, `apps/app-${n}:1`, { layers }));
  }
  return images;
}

function sharedOf(mb: CaseContext["mb"]): string {
  return formatSize(USUAL.shared.reduce((sum, size) => sum + mb(size), 0));
}

/** An image, as it is called where its registry is reached. */
function seenAt(host: string, image: PushedImage): PushedImage {
  return { ...image, reference: image.reference.replace(/^[^/]*/, host) };
}

function wordsOf({ roundTrip, rate }: Distance): string {
  return `${roundTrip} ms away, ${formatSize(rate)} a second`;
}
