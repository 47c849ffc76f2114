import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { parse as parseToml } from "@std/toml/parse";
import { parseAll as parseYaml } from "@std/yaml/parse";
import { dirname } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  docker,
  fromDir,
  type MirrorFile,
  type MirrorFormat,
  type PushOptions,
  stowage,
  UsageError,
} from "@stowage/stowage";
import { stowage as cli } from "../cli/cli.ts";
import {
  containerStorage,
  digestOf,
  fileLayer,
  pushImage,
  pushIndex,
  type Registry,
  run,
  skopeo,
  startContainerd,
  startRegistry,
} from "../support/mod.ts";
import { fixture } from "../support/fixture.ts";

const { dir, at, registry: first } = await fixture({ registry: true });
const layers = [await fileLayer({ "etc/name": "web" })];
const images = [
  await pushImage(first, "library/web", { layers, platform: "linux/amd64" }),
  await pushImage(first, "library/web", { layers, platform: "linux/arm64" }),
];
const index = await pushIndex(first, "library/web:1", images);
const tool = await pushImage(first, "acme/tool:1", { layers, platform: "linux/amd64" });

/** A registry of the same content, which a test may stop. */
async function startOrigin(): Promise<Registry> {
  const origin = await startRegistry();
  const flags = [
    "--all",
    "--preserve-digests",
    "--src-tls-verify=false",
    "--dest-tls-verify=false",
  ];
  for (const name of ["library/web:1", "acme/tool:1"]) {
    await skopeo(
      "copy",
      ...flags,
      `docker://${first.host}/${name}`,
      `docker://${origin.host}/${name}`,
    );
  }
  return origin;
}

const from = (host: string, name: string, options = {}) =>
  docker(`${host}/${name}`, { tlsVerify: false, ...options });
const open = (sources: NonNullable<Config["sources"]>) =>
  stowage({ digests: "ignore", sources }, { ...at, retryDelay: 0, platform: "linux/amd64" });
const all = (host: string) =>
  open({
    web: from(host, "library/web:1", { index: true }),
    tool: from(host, `acme/tool@${tool.digest}`),
  });

async function write(files: readonly MirrorFile[] | undefined): Promise<string> {
  const folder = dir.join(crypto.randomUUID());
  for (const { path, text } of files ?? []) {
    await Deno.mkdir(dirname(`${folder}/${path}`), { recursive: true });
    await Deno.writeTextFile(`${folder}/${path}`, text);
  }
  return folder;
}

const textOf = (files: readonly MirrorFile[] | undefined) => files?.map(({ text }) => text).join();

for (const map of [[], ["library=hub"]]) {
  describe(`mirrors of what was pushed${map.length > 0 ? " under other names" : ""}`, () => {
    const mapOf = (host: string) => map.map((each) => `${host}/${each}`);

    it("are found by skopeo and podman in a registries.conf", async () => {
      await using origin = await startOrigin();
      await using target = await startRegistry();
      const { mirrors } = await all(origin.host).push({
        to: `${target.host}/site`,
        tlsVerify: false,
        map: mapOf(origin.host),
        mirrors: "registries.conf",
      });
      await origin.stop();
      const conf = `${await write(mirrors)}/registries.conf`;
      const ask = (name: string) =>
        skopeo("--registries-conf", conf, "inspect", "--raw", `docker://${origin.host}/${name}`);
      assertEquals(await ask("library/web:1"), index.manifest);
      assertEquals(await ask(`library/web@${index.digest}`), index.manifest);
      assertEquals(await ask(`acme/tool@${tool.digest}`), tool.manifest);
      // It has no tag in the mirror, so that nobody asks there for one.
      const log = await Deno.readTextFile(target.log);
      await assertRejects(() => ask("acme/tool:1"));
      const since = (await Deno.readTextFile(target.log)).slice(log.length);
      assert(!since.includes("acme/tool/manifests/1"), since);

      await using storage = await containerStorage();
      const { root, runRoot, driver } = storage;
      const own = ["--root", root, "--runroot", runRoot, "--storage-driver", driver];
      const pull = ["pull", "--quiet", "--platform", "linux/amd64"];
      const id = await run("podman", [...own, ...pull, `${origin.host}/library/web:1`], {
        env: { CONTAINERS_REGISTRIES_CONF: conf },
      });
      assertEquals(`sha256:${id.trim()}`, images[0]?.id);
    });

    it("are found by k3s in a registries.yaml", async () => {
      await using origin = await startOrigin();
      await using target = await startRegistry();
      const { mirrors } = await all(origin.host).push({
        to: `${target.host}/site`,
        tlsVerify: false,
        map: mapOf(origin.host),
        mirrors: "k3s",
      });
      const [config] = parseYaml(textOf(mirrors) ?? "") as [
        Record<string, Record<string, { endpoint: string[]; rewrite?: Record<string, string> }>>,
      ];
      const { endpoint, rewrite = {} } = config.mirrors?.[origin.host] ?? { endpoint: [] };
      assertEquals(endpoint, [target.url]);
      // Each rule in turn, in any order, as Go's maps have none.
      for (const rules of [Object.entries(rewrite), Object.entries(rewrite).reverse()]) {
        const path = (name: string) =>
          rules.reduce((path, [pattern, to]) => path.replace(new RegExp(pattern), to), name);
        for (
          const [name, asked, digest] of [
            ["library/web", "1", index.digest],
            ["acme/tool", tool.digest, tool.digest],
          ] as const
        ) {
          const accept = "application/vnd.oci.image.index.v1+json, " +
            "application/vnd.oci.image.manifest.v1+json";
          const answer = await target.fetch(`/v2/${path(name)}/manifests/${asked}`, {
            headers: { accept },
          });
          assertEquals(await digestOf(new Uint8Array(await answer.arrayBuffer())), digest, name);
        }
      }
      assert(!textOf(mirrors)?.includes("\\"), "k3s writes rules without escapes");
    });
  });
}

describe("mirrors", () => {
  it("are found by containerd in its certs.d, by tag and by digest", async () => {
    await using origin = await startOrigin();
    await using target = await startRegistry();
    await using other = await startRegistry();
    await using containerd = await startContainerd();
    for (const to of [`${target.host}/site/own`, other.host]) {
      await origin.start();
      const { mirrors } = await all(origin.host).push({
        to,
        tlsVerify: false,
        mirrors: "containerd",
      });
      await origin.stop();
      const hosts = await write(mirrors);
      for (const name of ["library/web:1", `acme/tool@${tool.digest}`]) {
        const fetch = ["content", "fetch", "--hosts-dir", hosts, "--platform", "linux/amd64"];
        await containerd.ctr(...fetch, `${origin.host}/${name}`);
      }
      const listed = await containerd.ctr("images", "ls");
      assertStringIncludes(listed, index.digest);
      assertStringIncludes(listed, tool.digest);
      for (const name of ["library/web:1", `acme/tool@${tool.digest}`]) {
        await containerd.ctr("images", "rm", "--sync", `${origin.host}/${name}`);
      }
    }
  });

  it("are two sets in OpenShift, for digests and for tags", async () => {
    await using target = await startRegistry();
    const { mirrors } = await all(first.host).push({
      to: `${target.host}/site`,
      tlsVerify: false,
      mirrors: "idms",
    });
    const web = {
      source: `${first.host}/library/web`,
      mirrors: [`${target.host}/site/library/web`],
    };
    const own = { source: `${first.host}/acme/tool`, mirrors: [`${target.host}/site/acme/tool`] };
    const metadata = { name: `stowage-${target.host.replaceAll(/[.:]/g, "-")}` };
    const apiVersion = "config.openshift.io/v1";
    assertEquals(parseYaml(textOf(mirrors) ?? ""), [
      {
        apiVersion,
        kind: "ImageDigestMirrorSet",
        metadata,
        spec: { imageDigestMirrors: [own, web] },
      },
      { apiVersion, kind: "ImageTagMirrorSet", metadata, spec: { imageTagMirrors: [web] } },
    ]);
    assertStringIncludes(textOf(mirrors) ?? "", "insecureRegistries");
  });

  it("say how a registry with TLS is reached, and are in the plan", async () => {
    await using target = await startRegistry({ tls: true });
    const plan = async (mirrors: MirrorFormat, options: Partial<PushOptions>) =>
      textOf((await all(first.host).planPush({ to: target.host, mirrors, ...options })).mirrors) ??
        "";
    const certDir = target.tls?.certDir ?? "";
    const safe = await plan("containerd", { certDir });
    assertEquals(Object.keys(Object(parseToml(safe).host)), [`https://${target.host}`]);
    assert(!safe.includes("skip_verify"));
    assertStringIncludes(await plan("registries.conf", { certDir }), "insecure = false");
    const open = { certDir, tlsVerify: false };
    assertStringIncludes(await plan("containerd", open), "skip_verify = true");
    assertStringIncludes(await plan("registries.conf", open), "insecure = true");
    assertStringIncludes(await plan("k3s", open), "insecure_skip_verify: true");
  });

  it("are refused where a name would not lead to what was pushed", async () => {
    await using other = await startRegistry();
    await using target = await startRegistry();
    const folder = dir.join("folder");
    await skopeo(
      "copy",
      "--src-tls-verify=false",
      `docker://${first.host}/acme/tool:1`,
      `dir:${folder}`,
    );
    await pushImage(other, "acme/tool:2", { layers, platform: "linux/amd64" });
    const web = from(first.host, "library/web:1", { index: true });
    const tools = { tool: from(first.host, "acme/tool:1"), next: from(other.host, "acme/tool:2") };
    const refuse = async (
      sources: NonNullable<Config["sources"]>,
      mirrors: MirrorFormat,
      map: string[],
      why: string,
    ) => {
      const request = { to: target.host, tlsVerify: false, mirrors, map };
      const error = await assertRejects(() => open(sources).push(request), UsageError);
      assertStringIncludes(error.message, why);
    };
    const renamed = [`${first.host}/library/web:1=web:stable`];
    await refuse({ web }, "registries.conf", renamed, "mirrors cannot change a tag");
    const both = { web, same: from(first.host, "library/web:1") };
    await refuse(both, "idms", ["same=else/web:1"], "is in two repositories there");
    for (const format of ["registries.conf", "idms", "k3s", "containerd"] as const) {
      await refuse(tools, format, [], '/acme/tool" would be "');
    }
    // Who asks the mirror for every name of a registry would find there what is another's.
    const apart = { web, next: tools.next };
    for (const format of ["k3s", "containerd"] as const) {
      await refuse(apart, format, [], '" would be "');
    }
    const odd = [`${first.host}/library=hub`];
    await refuse({ web }, "containerd", odd, "one mirror for all of");
    const plain = { plain: fromDir(folder) };
    await refuse(plain, "k3s", ["plain=own/plain:1"], "no source has another name there");
    const unheardOf: MirrorFormat = JSON.parse('"docker"'); // as a script in JavaScript may say
    await refuse({ web }, unheardOf, [], "expected registries.conf, idms, k3s, containerd");
    assertEquals((await (await target.fetch("/v2/_catalog")).json()).repositories, []);

    const map = [`${first.host}=one`, `${other.host}=two`];
    for (const mirrors of ["registries.conf", "idms", "k3s", "containerd"] as const) {
      const request = { to: target.host, tlsVerify: false, mirrors, map };
      const { mirrors: files } = await open({ ...tools, plain: fromDir(folder), web }).planPush({
        ...request,
        map: [...map, "plain=own/plain:1"],
      });
      assertStringIncludes(textOf(files) ?? "", "one");
      assert(!textOf(files)?.includes("plain"));
    }
  });

  it("are printed, or written where -o says", async () => {
    await using target = await startRegistry();
    const sources = { tool: from(first.host, "acme/tool:1") };
    await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify({ sources }));
    const push = async (...args: string[]) =>
      await cli(["push", "--to", target.host, "--tls-verify=false", ...args], { cwd: dir.path });
    const printed = await push("--mirrors", "registries.conf");
    assertEquals(printed.code, 0, printed.stderr);
    assertEquals(Object.keys(parseToml(printed.stdout)), ["registry"]);
    const planned = await push("--mirrors", "containerd", "--dry-run");
    assertStringIncludes(planned.stdout, "/hosts.toml\n[host.");
    const written = await push("--mirrors", "containerd", "-o", "etc/certs.d");
    assertEquals(written.code, 0, written.stderr);
    assertStringIncludes(written.stdout, "tool");
    const host = first.host.replace(":", "_");
    const text = await Deno.readTextFile(dir.join(`etc/certs.d/${host}_/hosts.toml`));
    assertEquals(planned.stdout.split("\n").slice(1).join("\n"), text);
    const file = await push("--mirrors", "registries.conf", "-o", "50-site.conf", "--json");
    assertEquals(file.code, 0, file.stderr);
    assertEquals(await Deno.readTextFile(dir.join("50-site.conf")), printed.stdout);
    const { mirrors, path } = JSON.parse(file.stdout.trimEnd().split("\n").at(-1) ?? "");
    assertEquals([textOf(mirrors), path], [printed.stdout, dir.join("50-site.conf")]);
    assertEquals((await push("-o", "x")).code, 2);
    assertEquals((await push("--mirrors", "x")).code, 2);
    assertEquals((await push("--mirrors", "idms", "--dry-run", "-o", "x")).code, 2);
  });
});
