import { createHash } from "node:crypto";
import { digestOf } from "../../tests/support/digest.ts";
import {
  type PushedImage,
  pushImage,
  putBlob,
  putManifest,
  randomLayer,
  type Registry,
  run,
  startRegistry,
} from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { wholeOf } from "./content.ts";
import { fetchersOf } from "./fetchers.ts";
import { type Folder, folderIn } from "./folder.ts";
import { pushSharing } from "./images.ts";
import type { Group } from "./rounds.ts";
import { formatSize } from "./units.ts";
import { sentBy } from "./wire.ts";

/** Whether memory depends on how large a layer is, or on how many images come at once. */
export const memoryOfFetch: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const sizes = await Promise.all([50, 500].map(async (size) => {
    const id = `memory-${size}mb`;
    const image = await pushImage(registry, `apps/${id}:1`, {
      layers: [await randomLayer({ size: mb(size) })],
    });
    return await groupOf(await folderIn(dir, id), registry, id, mb(size), image);
  }));
  const images = await pushSharing(registry, 100, { own: mb(2) });
  const many = await folderIn(dir, "many");
  const { oneByOne, stowage } = await fetchersOf(many, images, undefined, ["--jobs", "20"]);
  return [...sizes, {
    id: "memory-hundred",
    title: `100 images of ${formatSize(mb(2))}, 20 at a time, for peak memory`,
    contenders: [oneByOne, stowage],
    rounds: () => 1,
    sent: sentBy(registry),
    whole: wholeOf(images),
  }];
};

/** The same for a layer of 10 GB; it takes three times that of the disk, and minutes. */
export const memoryOfHuge: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const [id, size] = ["memory-10gb", mb(10_000)];
  const image = await pushHuge(registry, `apps/${id}:1`, size, dir);
  return [await groupOf(await folderIn(dir, id), registry, id, size, image)];
};

async function groupOf(
  dir: Folder,
  registry: Registry,
  id: string,
  size: number,
  image: PushedImage,
): Promise<Group> {
  const { oneByOne, stowage } = await fetchersOf(dir, [image]);
  return {
    id,
    title: `an image with a layer of ${formatSize(size)}, for peak memory`,
    contenders: [oneByOne, stowage],
    rounds: () => 1,
    sent: sentBy(registry),
    whole: wholeOf([image]),
  };
}

/** Pushes an image with a layer that is too large for this process's memory, not compressed. */
async function pushHuge(
  registry: Registry,
  name: string,
  size: number,
  dir: Folder,
): Promise<PushedImage> {
  const [path = ""] = name.split(":");
  const file = dir.join("layer.tar");
  await Deno.mkdir(dir.join("files"));
  await run("sh", [
    "-euc",
    'head -c "$1" /dev/urandom >"$2/random"; tar --create --file "$3" --directory "$2" random; ' +
    'rm -r "$2"',
    ...["sh", `${size}`, dir.join("files"), file],
  ]);
  const hash = createHash("sha256");
  using read = await Deno.open(file);
  for await (const chunk of read.readable) hash.update(chunk);
  const layer = {
    mediaType: "application/vnd.oci.image.layer.v1.tar",
    digest: `sha256:${hash.digest("hex")}`,
    size: (await Deno.stat(file)).size,
  };
  await upload(registry, path, layer.digest, file);
  await Deno.remove(file);
  const config = JSON.stringify({
    ...{ architecture: "amd64", os: "linux", config: {} },
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  });
  const configBlob = await putBlob(registry, path, config, await digestOf(config));
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = JSON.stringify({
    ...{ schemaVersion: 2, mediaType },
    config: { mediaType: "application/vnd.oci.image.config.v1+json", ...configBlob },
    layers: [layer],
  });
  return {
    ...await putManifest(registry, name, manifest, mediaType),
    id: configBlob.digest,
    size: configBlob.size + layer.size,
    layers: [{ digest: layer.digest, diffId: layer.digest, size: layer.size }],
    platform: "linux/amd64",
  };
}

async function upload(
  registry: Registry,
  path: string,
  digest: string,
  file: string,
): Promise<void> {
  const begun = await registry.fetch(`/v2/${path}/blobs/uploads/`, { method: "POST" });
  await begun.body?.cancel();
  const location = new URL(begun.headers.get("location") ?? "", registry.url);
  location.searchParams.set("digest", digest);
  const { readable: body } = await Deno.open(file);
  const put = await registry.fetch(location.href, { method: "PUT", body });
  await put.body?.cancel();
  if (!put.ok) throw new Error(`cannot push "${path}@${digest}": ${put.status}`);
}
