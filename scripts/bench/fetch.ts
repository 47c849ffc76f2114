import { docker } from "../../config/mod.ts";
import {
  busyboxLayer,
  fileLayer,
  type PushedImage,
  pushImage,
  randomLayer,
  run,
  startRegistry,
} from "../../tests/support/mod.ts";
import type { Case, CaseContext } from "./cases.ts";
import { emptyModule, shell, stowage, without, writeConfig } from "./programs.ts";

const PLAIN = { tlsVerify: false };
const SKOPEO = "skopeo --insecure-policy";
const COPY = `${SKOPEO} copy --quiet --src-tls-verify=false`;

/** Twenty small images that the store has: by id nothing is asked, by tag the registry is. */
export const fetchCached: Case = async (context) => {
  const { dir } = context;
  const images = await pushSmall(context, 20);
  const pinned = await writeConfig(dir, "pinned.json", {
    sources: sourcesOf(images, ({ id }) => ({ ...PLAIN, id })),
  });
  const tagged = await writeConfig(dir, "tagged.json", { sources: sourcesOf(images, () => PLAIN) });
  const fetch = (config: string, ...args: string[]) =>
    stowage("fetch", "--config", config, "--store", dir.join("store"), ...args);
  await run(fetch(tagged).path, fetch(tagged).args);
  const ask = `for image; do ${SKOPEO} inspect --raw --tls-verify=false "docker://$image"; done`;
  return [
    {
      title: "20 images in the store, pinned by id",
      contenders: [await emptyModule(dir), { name: "stowage fetch", run: fetch(pinned) }],
    },
    {
      title: "20 images in the store, by tag",
      contenders: [
        { name: "skopeo inspect, one by one", run: shell(ask, "sh", ...namesOf(images)) },
        { name: "stowage fetch --jobs 1", run: fetch(tagged, "--jobs", "1") },
        { name: "stowage fetch --jobs 4", run: fetch(tagged, "--jobs", "4") },
      ],
    },
  ];
};

/** Twenty small images into an empty store. */
export const manySmall: Case = async (context) => {
  const { dir } = context;
  const images = await pushSmall(context, 20);
  const config = await writeConfig(dir, "many.json", { sources: sourcesOf(images, () => PLAIN) });
  const [out, store] = [dir.join("out"), dir.join("store")];
  const before = async () => {
    await without(store)();
    await without(out)();
    await Deno.mkdir(out);
  };
  const one = `for image; do ${COPY} "docker://$image" "dir:$0/\${image##*/}"; done`;
  const four = `printf "%s\\n" "$@" | xargs -P4 -I@ sh -euc '
    ${COPY} "docker://$1" "dir:$0/\${1##*/}"' "$0" @`;
  const fetch = (jobs: string) =>
    stowage("fetch", "--config", config, "--store", store, "--jobs", jobs);
  return [{
    title: "20 small images, nothing in the store",
    contenders: [
      { name: "skopeo copy, one by one", before, run: shell(one, out, ...namesOf(images)) },
      { name: "skopeo copy, four at once", before, run: shell(four, out, ...namesOf(images)) },
      { name: "stowage fetch --jobs 1", before, run: fetch("1") },
      { name: "stowage fetch --jobs 4", before, run: fetch("4") },
    ],
  }];
};

/** One image of 200 MB into an empty store. */
export const fetchLarge: Case = async ({ dir, resources }) => {
  const registry = resources.use(await startRegistry());
  const layers = [await busyboxLayer(), await randomLayer({ size: 200_000_000 })];
  const image = await pushImage(registry, "apps/large:1", { layers });
  const config = await writeConfig(dir, "large.json", {
    sources: { large: docker(image.reference, PLAIN) },
  });
  const [out, store] = [dir.join("out"), dir.join("store")];
  const before = async () => {
    await without(store)();
    await without(out)();
  };
  const copy = `${COPY} "docker://$1" "dir:$0"`;
  const fetch = stowage("fetch", "--config", config, "--store", store);
  return [{
    title: "an image of 200 MB, nothing in the store",
    contenders: [
      { name: "skopeo copy", before, run: shell(copy, out, image.reference) },
      {
        name: "skopeo copy, then fsync",
        before,
        run: shell(`${copy}; sync "$0"/*`, out, image.reference),
      },
      { name: "stowage fetch", before, run: fetch },
    ],
  }];
};

async function pushSmall({ resources }: CaseContext, count: number): Promise<PushedImage[]> {
  const registry = resources.use(await startRegistry());
  const images: PushedImage[] = [];
  for (let n = 0; n < count; n++) {
    const layers = [await fileLayer({ "etc/name": `app-${n}\n` })];
    images.push(await pushImage(registry, `apps/app-${n}:1`, { layers }));
  }
  return images;
}

function sourcesOf(
  images: readonly PushedImage[],
  options: (image: PushedImage) => Parameters<typeof docker>[1],
) {
  return Object.fromEntries(images.map((image, n) => [
    `app-${n}`,
    docker(image.reference, options(image)),
  ]));
}

function namesOf(images: readonly PushedImage[]): string[] {
  return images.map(({ reference }) => reference);
}
