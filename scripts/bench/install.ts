import { docker, images as imagesInput, install } from "../../config/mod.ts";
import { run, startRegistry } from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { remove } from "./folder.ts";
import { pushSharing } from "./images.ts";
import { emptyModule, shell, stowage, writeConfig } from "./programs.ts";
import type { Contender } from "./rounds.ts";

/** Eight images that share their base, from the store into a container storage. */
export const installEight: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const images = await pushSharing(registry, 8, { shared: mb(200), own: mb(20) });
  const named = images.map((image, n) => ({ ...image, as: `localhost/app-${n + 1}:1` }));
  const config = await writeConfig(dir, "images.json", {
    platform: "linux/amd64",
    sources: Object.fromEntries(named.map(({ reference, id }, n) => [
      `app-${n}`,
      docker(reference, { id, tlsVerify: false }),
    ])),
    inputs: { apps: imagesInput(Object.fromEntries(named.map(({ as }, n) => [`app-${n}`, as]))) },
    stages: { os: install({ inputs: ["apps"], destination: { type: "containers-storage" } }) },
  });
  const [store, tree, out] = [dir.join("store"), dir.join("tree"), dir.join("out")];
  const call = (...args: string[]) => stowage(...args, "--config", config, "--store", store);
  const fetch = call("fetch");
  await run(fetch.path, fetch.args);

  const copy = `skopeo --insecure-policy copy --quiet "dir:$1" ` +
    `"containers-storage:[overlay@$0/graph+$0/run]$2"`;
  const loop = `while [ $# -gt 0 ]; do ${copy}; shift 2; done`;
  const pairs = named.flatMap(({ id, as }) => [
    `${store}/sources/org.osbuild.containers/${id}/image`,
    as,
  ]);
  const fresh = async () => {
    // skopeo mounts the overlay driver's folder over itself, and leaves it so.
    await run("umount", ["--lazy", `${tree}/graph/overlay`]).catch(() => {});
    for (const path of [tree, out, `${store}/trees`]) await remove(path);
  };
  const checked = (contender: Contender, graph: string): Contender => ({
    ...contender,
    check: () => checkStorage(graph, named.map(({ id }) => id)),
  });
  const inTree = `${tree}/graph`;
  const inOut = `${out}/os/var/lib/containers/storage`;
  const oneByOne = shell(loop, tree, ...pairs);
  const synced = shell(`${loop}; sync --file-system "$0"`, tree, ...pairs);
  return [{
    id: "install-eight",
    title: "8 images of the store, which share 10/11, into a container storage",
    contenders: [
      checked({ name: "skopeo copy, one by one", before: fresh, run: oneByOne }, inTree),
      checked({ name: "skopeo copy, one by one, then sync", before: fresh, run: synced }, inTree),
      checked({ name: "stowage build", before: fresh, run: call("build", "--out", out) }, inOut),
    ],
    isCharted: true,
  }, {
    id: "install-again",
    title: "the same once more, when it is there",
    contenders: [
      await emptyModule(dir),
      { name: "stowage build", run: call("build") },
    ],
  }];
};

/** Checks that a container storage has images, by their ids. */
async function checkStorage(graph: string, ids: readonly string[]): Promise<void> {
  const text = await Deno.readTextFile(`${graph}/overlay-images/images.json`);
  for (const id of ids) {
    if (!text.includes(id.replace("sha256:", ""))) throw new Error(`"${graph}" has no ${id}`);
  }
}
