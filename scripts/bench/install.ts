import { docker, images as imagesInput, install } from "../../config/mod.ts";
import {
  busyboxLayer,
  type PushedImage,
  pushImage,
  randomLayer,
  run,
  startRegistry,
} from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { shell, stowage, without, writeConfig } from "./programs.ts";

/** Eight images that share their base, from the store into a container storage. */
export const installEight: Case = async ({ dir, resources }) => {
  const registry = resources.use(await startRegistry());
  const base = [await busyboxLayer(), await randomLayer({ size: 60_000_000 })];
  const images: PushedImage[] = [];
  for (let n = 1; n <= 8; n++) {
    const layers = [...base, await randomLayer({ size: 5_000_000, seed: n })];
    images.push(await pushImage(registry, `apps/app-${n}:1`, { layers }));
  }
  const named = images.map((image, n) => ({ ...image, as: `localhost/app-${n + 1}:1` }));
  const config = await writeConfig(dir, "images.json", {
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
    await without(tree)();
    await without(out)();
    await without(`${store}/trees`)();
  };
  return [{
    title: "8 images of the store into a container storage",
    contenders: [
      { name: "skopeo copy, one by one", before: fresh, run: shell(loop, tree, ...pairs) },
      {
        name: "skopeo copy, then sync",
        before: fresh,
        run: shell(`${loop}; sync --file-system "$0"`, tree, ...pairs),
      },
      { name: "stowage build --out", before: fresh, run: call("build", "--out", out) },
      { name: "stowage build", before: fresh, run: call("build") },
      { name: "stowage build, nothing to do", run: call("build") },
    ],
  }];
};
