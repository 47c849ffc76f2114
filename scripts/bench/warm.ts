import { pooledMap } from "@std/async/pool";
import { docker } from "../../config/mod.ts";
import { writeLock } from "../../src/lockfile/lock_file.ts";
import type { Lock } from "../../src/graph/lock_schema.ts";
import { type PushedImage, type Registry, startRegistry } from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { fetchersOf } from "./fetchers.ts";
import type { Folder } from "./folder.ts";
import { pushTiny } from "./images.ts";
import { runProgram } from "./measure.ts";
import { emptyModule, installStowage, shell, stowage, writeConfig } from "./programs.ts";
import type { Contender } from "./rounds.ts";
import { sentBy } from "./wire.ts";

const PLAIN = { tlsVerify: false };

/** Twenty small images that everybody has: by lock nothing is asked, by tag the registry is. */
export const warmTwenty: Case = async ({ dir, resources }) => {
  const registry = resources.use(await startRegistry());
  const images = await pushTiny(registry, 20);
  const { oneByOne, podman, stowage: fetch } = await fetchersOf(dir, images);
  const { config, lock } = await lockOf(dir, images);
  await writeLock(dir.join("locked.lock.json"), lock);
  const store = ["--store", dir.join("store")];
  const ask = `for image; do skopeo inspect --raw --tls-verify=false "docker://$image"; done`;
  const installed = await installStowage(dir);
  const byTag = await warm({ ...fetch, name: "stowage fetch, by tag" });
  return [{
    id: "warm-20",
    title: "20 images once more, when all are there and locked",
    contenders: [
      await warm(oneByOne),
      ...(podman ? [await warm(podman)] : []),
      await emptyModule(dir),
      { name: "stowage --version", run: stowage("--version") },
      {
        ...byTag,
        name: "stowage fetch, installed",
        run: installed("fetch", "--config", config, ...store),
      },
      {
        ...byTag,
        name: "stowage fetch, from a checkout",
        run: stowage("fetch", "--config", config, ...store),
      },
    ],
    isCharted: true,
    rounds: (asked) => 2 * asked,
    sent: sentBy(registry),
  }, {
    id: "warm-20-by-tag",
    title: "20 images once more, when all are there, but tags may have moved",
    contenders: [
      {
        name: "skopeo inspect, one by one",
        run: shell(ask, "sh", ...images.map(({ reference }) => reference)),
      },
      byTag,
    ],
    sent: sentBy(registry),
  }];
};

/** A thousand small images that the store has, and the lock. */
export const warmThousand: Case = async ({ dir, resources }) => {
  const registry = resources.use(await startRegistry());
  const images = await pushTiny(registry, 1_000);
  const { config, lock } = await lockOf(dir, images);
  await writeLock(dir.join("locked.lock.json"), lock);
  const store = dir.join("store");
  await fillStore(store, registry, images);
  return [{
    id: "warm-1000",
    title: "1,000 images once more, when all are there and locked",
    contenders: [
      await emptyModule(dir),
      { name: "stowage fetch", run: stowage("fetch", "--config", config, "--store", store) },
    ],
    rounds: (asked) => 2 * asked,
    sent: sentBy(registry),
  }];
};

/** Lets a contender do its work once, and then once more for each run. */
async function warm({ before, ...contender }: Contender): Promise<Contender> {
  await before?.();
  if (typeof contender.run !== "function") await runProgram(contender.run);
  return contender;
}

/** Locks images as `stowage lock` does. */
async function lockOf(
  dir: Folder,
  images: readonly PushedImage[],
): Promise<{ readonly config: string; readonly lock: Lock }> {
  const named = images.map((image, n) => ({ name: `app-${n}`, image }));
  const config = await writeConfig(dir, "locked.json", {
    platform: "linux/amd64",
    sources: Object.fromEntries(
      named.map(({ name, image }) => [name, docker(image.reference, PLAIN)]),
    ),
  });
  const sources = named.map(({ name, image: { reference, platform, digest, id, ...image } }) => [
    name,
    {
      reference: `docker://${reference}`,
      tag: reference.slice(reference.lastIndexOf(":") + 1),
      platforms: { [platform]: { digest, id, mediaType: image.mediaType, size: image.size } },
    },
  ]);
  return { config, lock: { schema: 1, sources: Object.fromEntries(sources) } };
}

/** Puts images into a store as they would be there, from the registry's own files. */
async function fillStore(
  store: string,
  registry: Registry,
  images: readonly PushedImage[],
): Promise<void> {
  for await (
    const _ of pooledMap(4, images, async ({ id, manifest, layers }) => {
      const image = `${store}/sources/org.osbuild.containers/${id}/image`;
      await Deno.mkdir(image, { recursive: true });
      await Deno.writeTextFile(`${image}/version`, "Directory Transport Version: 1.1\n");
      await Deno.writeTextFile(`${image}/manifest.json`, manifest);
      for (const digest of [id, ...layers.map(({ digest }) => digest)]) {
        const path = `${image}/${digest.replace("sha256:", "")}`;
        await Deno.copyFile(registry.blobPath(digest), path);
      }
    })
  );
}
