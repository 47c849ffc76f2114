import { docker } from "../../config/mod.ts";
import { type PushedImage, type Registry, run, startRegistry } from "../../tests/support/mod.ts";
import type { Case } from "./cases.ts";
import { wholeOf } from "./content.ts";
import { remove } from "./folder.ts";
import { pushSharing } from "./images.ts";
import { shell, stowage, writeConfig } from "./programs.ts";

/** Eight images that share their base, from the store into a registry that has nothing. */
export const pushEight: Case = async ({ dir, resources, mb }) => {
  const [from, to] = [resources.use(await startRegistry()), resources.use(await startRegistry())];
  const images = await pushSharing(from, 8, { shared: mb(200), own: mb(20) });
  const config = await writeConfig(dir, "push.json", {
    platform: "linux/amd64",
    sources: Object.fromEntries(images.map(({ reference, id }, n) => [
      `app-${n}`,
      docker(reference, { id, tlsVerify: false }),
    ])),
  });
  const store = dir.join("store");
  const call = (...args: string[]) => stowage(...args, "--config", config, "--store", store);
  const fetch = call("fetch");
  await run(fetch.path, fetch.args);
  const copy = "skopeo --insecure-policy copy --quiet --dest-tls-verify=false " +
    `"dir:$1" "docker://$0/$2"`;
  const pairs = images.flatMap(({ id, reference }) => [
    `${store}/sources/org.osbuild.containers/${id}/image`,
    pathOf(reference),
  ]);
  const each = {
    before: async () => {
      await to.stop();
      await remove(to.root);
      await to.start();
    },
    check: () => checkPushed(to, images),
  };
  const loop = shell(`while [ $# -gt 0 ]; do ${copy}; shift 2; done`, to.host, ...pairs);
  return [{
    id: "push-eight",
    title: "8 images of the store, which share 10/11, into an empty registry",
    contenders: [
      { name: "skopeo copy, one by one", run: loop, ...each },
      { name: "stowage push", run: call("push", "--to", to.host, "--tls-verify=false"), ...each },
    ],
    isCharted: true,
    whole: wholeOf(images),
  }];
};

/** `apps/app-1:1` of `HOST/apps/app-1:1`. */
export function pathOf(reference: string): string {
  return reference.slice(reference.indexOf("/") + 1);
}

/** Checks that a registry has images, byte for byte as far as their manifests say it. */
export async function checkPushed(
  registry: Registry,
  images: readonly PushedImage[],
): Promise<void> {
  for (const { reference, digest, mediaType } of images) {
    const [path, tag] = pathOf(reference).split(":");
    const headers = { accept: mediaType };
    const answer = await registry.fetch(`/v2/${path}/manifests/${tag}`, { headers });
    await answer.body?.cancel();
    const served = answer.headers.get("docker-content-digest");
    if (served !== digest) throw new Error(`"${reference}" is ${served} there, not ${digest}`);
  }
}
