import { type Config, docker, stowage } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  fileLayer,
  pushImage,
  pushIndex,
  randomLayer,
  type Registry,
  skopeo,
} from "../support/mod.ts";

/**
 * Sets up what tests of pushes and bundles carry: a registry with an image, and with an index for
 * two platforms with an attestation, all of which share a layer.
 *
 * @returns All of it, and what runs such configs.
 */
export async function cargoFixture() {
  const { dir, at, registry } = await fixture({ registry: true });
  const base = await randomLayer({ size: 3 * 2 ** 20 });
  const imageOf = async (name: string, platform: string) =>
    await pushImage(registry, name, {
      layers: [base, await fileLayer({ "etc/name": `${name} ${platform}` })],
      platform,
    });
  const tool = await imageOf("acme/tool:1", "linux/amd64");
  const web = [
    await imageOf("library/web", "linux/amd64"),
    await imageOf("library/web", "linux/arm64"),
  ];
  return {
    ...{ dir, at, registry, base, tool, web },
    index: await pushIndex(registry, "library/web:1", web, { attestation: true }),
    from: (name: string, options = {}) =>
      docker(`${registry.host}/${name}`, { tlsVerify: false, ...options }),
    /** What a registry serves under a name, byte for byte. */
    served: async ({ host }: Pick<Registry, "host">, name: string) =>
      await skopeo("inspect", "--raw", "--tls-verify=false", `docker://${host}/${name}`),
    open: (sources: Config["sources"] = {}, options = {}) =>
      stowage({ digests: "ignore", sources }, {
        ...at,
        retryDelay: 0,
        platform: "linux/amd64",
        ...options,
      }),
  };
}
