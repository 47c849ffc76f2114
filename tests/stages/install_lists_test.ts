import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Config, docker, images, install, type RunEvent, stowage } from "@stowage/stowage";
import { mustBuild, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, pushIndex, type Registry, skopeo } from "../support/mod.ts";

const { dir, at, registry } = await fixture({ registry: true });
const imagesOf = async (name: string, mediaTypes: "oci" | "docker") =>
  await Promise.all(
    ["linux/amd64", "linux/arm64"].map(async (platform) => {
      const layers = [await fileLayer({ "etc/name": `${name} ${platform}` })];
      return await pushImage(registry, name, { layers, platform, mediaTypes });
    }),
  );
const web = await imagesOf("apps/web", "oci");
const index = await pushIndex(registry, "apps/web:1", web, { attestation: true });
const plain = await pushIndex(registry, "apps/web:plain", web);
const old = await pushIndex(registry, "apps/old:1", await imagesOf("apps/old", "docker"));

const served = async ({ host }: Pick<Registry, "host">, name: string) =>
  await skopeo("inspect", "--raw", "--tls-verify=false", `docker://${host}/${name}`);
const DOCKER = { type: "docker", tlsVerify: false } as const;
type Install = Parameters<typeof install>[0];
const config = (
  reference: string,
  options: Parameters<typeof docker>[1],
  name: string,
  destination: Install["destination"],
): Config => ({
  sources: { web: docker(reference, { tlsVerify: false, ...options }) },
  inputs: { apps: images({ web: name }) },
  stages: { os: install({ inputs: ["apps"], destination }) },
});

describe("install of an index", () => {
  it("puts it into a registry as it is, with all that it names", async () => {
    for (const [list, path] of [[index, "one/web"], [old, "one/old"]] as const) {
      const name = `${registry.host}/${path}:2`;
      const build = await mustBuild(config(list.reference, { index: true }, name, DOCKER), at);
      assertEquals(await served(registry, `${path}:2`), list.manifest);
      assertEquals(await served(registry, `${path}@${list.digest}`), list.manifest);
      for (const { digest } of JSON.parse(list.manifest).manifests) {
        assert(await served(registry, `${path}@${digest}`));
      }
      const [stage] = build.stages;
      assertEquals(stage?.images?.map(({ digest }) => digest), [list.digest]);
    }
  });

  it("calls each platform that the config names by its own name, and the index by both's", async () => {
    const name = `${registry.host}/two/web:2`;
    const options = { index: true, platforms: ["linux/amd64", "linux/arm64"] } as const;
    await mustBuild(config(plain.reference, options, name, DOCKER), at);
    assertEquals(await served(registry, "two/web:2"), plain.manifest);
    assertEquals(await served(registry, "two/web:2-amd64"), web[0]?.manifest);
    assertEquals(await served(registry, "two/web:2-arm64"), web[1]?.manifest);
  });

  it("puts it into layouts, byte for byte where that can be", async () => {
    for (const type of ["oci", "oci-archive"] as const) {
      const destination = { type, path: "/web" };
      const build = await mustBuild(
        config(index.reference, { index: true }, "localhost/web:1", destination),
        at,
      );
      const place = `${type}:${treeOf(build, "os")}/web:localhost/web:1`;
      assertEquals(await skopeo("inspect", "--raw", place), index.manifest);
      await skopeo("copy", "-q", "--all", "--preserve-digests", place, `dir:${dir.join(type)}`);
      const garbage: string[] = [];
      await stowage(config(index.reference, { index: true }, "localhost/web:1", destination), at)
        .gc({
          dryRun: true,
          onEvent: (event) => event.type === "garbage" && garbage.push(event.name),
        });
      assert(!garbage.includes(build.stages[0]?.id ?? ""), `gc would remove ${garbage}`);
      const docker = config(old.reference, { index: true }, "localhost/old:1", destination);
      const tree = treeOf(await mustBuild(docker, at), "os");
      const converted = await skopeo("inspect", "--raw", `${type}:${tree}/web:localhost/old:1`);
      assertEquals(JSON.parse(converted).manifests.length, 2);
    }
  });

  it("says so where it has not all that it names, and puts the image there", async () => {
    const events: RunEvent[] = [];
    const name = `${registry.host}/three/web:2`;
    const options = { index: true, platform: "linux/arm64" } as const;
    await mustBuild(config(plain.reference, options, name, DOCKER), {
      ...at,
      onEvent: (event) => events.push(event),
    });
    assertEquals(await served(registry, "three/web:2"), web[1]?.manifest);
    const notice = events.find((event) => event.type === "notice" && event.code === "LEFT_OUT");
    assert(notice?.type === "notice");
    assertStringIncludes(notice.message, "linux/amd64");
  });
});
