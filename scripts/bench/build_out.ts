import { docker, dockerArchive, images as imagesInput } from "../../config/mod.ts";
import { run, startRegistry } from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { remove } from "./folder.ts";
import { pushSharing } from "./images.ts";
import { emptyModule, shell, stowage, writeConfig } from "./programs.ts";

/** Archives of twelve images, which a build puts where they are already. */
export const buildOutAgain: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const pushed = await pushSharing(registry, 12, { shared: mb(20), own: mb(5) });
  const named = pushed.map((image, n) => ({ ...image, name: `app-${n + 1}` }));
  const config = await writeConfig(dir, "out.json", {
    platform: "linux/amd64",
    sources: Object.fromEntries(named.map(({ name, reference, id }) => [
      name,
      docker(reference, { id, tlsVerify: false }),
    ])),
    inputs: Object.fromEntries(
      named.map(({ name }) => [name, imagesInput({ [name]: `localhost/${name}:1` })]),
    ),
    stages: Object.fromEntries(named.map(({ name }) => [name, dockerArchive({ inputs: [name] })])),
  });
  const [store, out, copy] = [dir.join("store"), dir.join("out"), dir.join("copy")];
  const build = stowage("build", "--config", config, "--store", store, "--out", out);
  await run(build.path, build.args);
  return [{
    id: "build-out-again",
    title: "archives of 12 images, put where they are already",
    contenders: [
      await emptyModule(dir),
      {
        name: "cp of all of them",
        run: shell('cp -a --reflink=auto "$0" "$1"', out, copy),
        before: () => remove(copy),
      },
      { name: "stowage build --out", run: build },
    ],
  }];
};
