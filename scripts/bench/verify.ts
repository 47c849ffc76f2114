import { docker } from "../../config/mod.ts";
import { run, startRegistry } from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { pushSharing } from "./images.ts";
import { shell, stowage, writeConfig } from "./programs.ts";
import { formatSize } from "./units.ts";

/** Every byte of a store, hashed once more. */
export const verifyLarge: Case = async ({ dir, resources, mb }) => {
  const registry = resources.use(await startRegistry());
  const images = await pushSharing(registry, 10, { own: mb(200) });
  const size = images.reduce((sum, image) => sum + image.size, 0);
  const config = await writeConfig(dir, "verify.json", {
    platform: "linux/amd64",
    sources: Object.fromEntries(images.map(({ reference, id }, n) => [
      `app-${n}`,
      docker(reference, { id, tlsVerify: false }),
    ])),
  });
  const store = dir.join("store");
  const call = (command: string) => stowage(command, "--config", config, "--store", store);
  const fetch = call("fetch");
  await run(fetch.path, fetch.args);
  const blobs = images.flatMap(({ id, layers }) =>
    [id, ...layers.map(({ digest }) => digest)].map((digest) =>
      `${store}/sources/org.osbuild.containers/${id}/image/${digest.replace("sha256:", "")}`
    )
  );
  const two = `printf "%s\\n" "$@" | xargs -P2 -n1 sha256sum`;
  return [{
    id: "verify",
    title: `${formatSize(size)} in ${images.length} images of a store`,
    contenders: [
      { name: "sha256sum of the blobs", run: { path: "sha256sum", args: blobs } },
      { name: "sha256sum, two at once", run: shell(two, "sh", ...blobs) },
      { name: "openssl dgst", run: { path: "openssl", args: ["dgst", "-sha256", ...blobs] } },
      { name: "stowage verify", run: call("verify") },
    ],
    isCharted: true,
  }];
};
