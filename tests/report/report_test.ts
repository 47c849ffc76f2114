import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  docker,
  dockerArchive,
  images,
  insecureAcceptAnything,
  type Report,
  type ReportOptions,
  signedBy,
  stowage,
  UsageError,
} from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  makeSigner,
  nginxLikeLayer,
  pushImage,
  pushIndex,
  randomLayer,
  run,
} from "../support/mod.ts";

const { dir, registry, at } = await fixture({ registry: true });
const base = await busyboxLayer();
const webOnly = await nginxLikeLayer();
const toolOnly = await randomLayer({ size: 300_000 });
const amd64 = await pushImage(registry, "apps/web", { layers: [base, webOnly] });
const arm64 = await pushImage(registry, "apps/web", {
  layers: [base, webOnly],
  platform: "linux/arm64",
});
const index = await pushIndex(registry, "apps/web:1", [amd64, arm64]);
const tool = await pushImage(registry, "apps/tool:1", { layers: [base, toolOnly] });
const http = { tlsVerify: false, platform: "linux/amd64" } as const;

const config = {
  digests: "ignore",
  sources: {
    web: docker(index.reference, http),
    tool: docker(tool.reference, http),
  },
  inputs: { apps: images({ web: "localhost/web" }) },
  stages: { archives: dockerArchive({ inputs: ["apps"] }) },
} satisfies Config;

function report(config: Config, options: ReportOptions = {}): Promise<Report> {
  return stowage(config, at).report(options);
}

describe("report()", () => {
  it("says of each image what it is, and what it shares", async () => {
    await stowage(config, at).fetch();
    const { images, layers, nodes, size, absent, others, store, verification } = await report(
      config,
    );
    assertEquals([absent, others, store, verification], [[], 0, at.store, undefined]);
    assertEquals(nodes.map(({ key }) => key), [
      ...["source/web", "source/tool", "input/apps", "stage/archives"],
    ]);
    const [web, other] = images;
    assert(web && other);
    assertEquals(images.map(({ names }) => names), [["web"], ["tool"]]);
    assertEquals([web.id, web.digest, web.index], [amd64.id, amd64.digest, index.digest]);
    assertEquals([other.id, other.digest, other.index], [tool.id, tool.digest, undefined]);
    assertEquals([web.reference, web.from], [
      `docker://${index.reference}`,
      `docker://${index.reference}`,
    ]);
    assertEquals([web.platform, web.complete, web.signatures], ["linux/amd64", true, []]);
    assert(Math.abs(Date.parse(web.fetched ?? "") - Date.now()) < 120_000);
    assertEquals(web.layers, [base.digest, webOnly.digest]);
    assertEquals(layers.map(({ digest, images }) => [digest, images]), [
      [base.digest, [amd64.id, tool.id]],
      [webOnly.digest, [amd64.id]],
      [toolOnly.digest, [tool.id]],
    ]);
    assertEquals([web.size - web.own, other.size - other.own], [
      base.size,
      base.size,
    ]);
    assertEquals(size, web.size + other.size - base.size);
  });

  it("tells which sources the store does not have, and what else it has", async () => {
    await stowage(config, at).fetch();
    const later = docker(`${registry.host}/apps/later:1`, http);
    const found = await report({
      digests: "ignore",
      sources: { later, tool: config.sources.tool },
    });
    assertEquals(found.images.map(({ id }) => id), [tool.id]);
    assertEquals([found.absent, found.others], [["later"], 1]);
    const all = await report({});
    assertEquals(new Set(all.images.map(({ id }) => id)), new Set([amd64.id, tool.id]));
    const named = await report(config, { names: ["tool"] });
    assertEquals([named.images.map(({ id }) => id), named.absent], [[tool.id], []]);
    await assertRejects(() => report(config, { names: ["tol"] }), UsageError, '"tol"');
  });

  it("has the images of all platforms of a source", async () => {
    const platforms = ["linux/amd64", "linux/arm64"];
    const { platform: _, ...rest } = http;
    const sources = { web: docker(index.reference, { ...rest, platforms, index: true }) };
    const all = { digests: "ignore", sources } satisfies Config;
    await stowage(all, at).fetch();
    const { images } = await report(all);
    assertEquals(images.map(({ id, names }) => [id, names]), [
      [amd64.id, ["web@linux/amd64"]],
      [arm64.id, ["web@linux/arm64"]],
    ]);
  });

  it("names the place that served, where it is another one", async () => {
    const web = docker("127.0.0.1:1/apps/web:1", {
      ...http,
      fallback: [docker(index.reference, { tlsVerify: false })],
    });
    const moved = { digests: "ignore", sources: { web } } satisfies Config;
    await stowage(moved, { ...at, attempts: 1 }).fetch();
    const { images: [image] } = await report(moved);
    assertEquals([image?.reference, image?.from], [
      "docker://127.0.0.1:1/apps/web:1",
      `docker://${index.reference}`,
    ]);
  });

  it("says what the last run did, and keeps that where a run finds everything there", async () => {
    assertEquals((await stowage({}, at).fetch()).images, []);
    await Deno.mkdir(at.store, { recursive: true });
    assertEquals((await report({})).run, undefined);
    const begun = new Date().toISOString();
    await stowage(config, at).build();
    const { run } = await report(config);
    assert(run);
    assertEquals(run.action, "build");
    assert(begun <= run.start && run.start <= run.end && run.end <= new Date().toISOString());
    const byKey = new Map(run.steps.map((step) => [step.key, step]));
    assertEquals(new Set(byKey.keys()), new Set(["source/web", "source/tool", "stage/archives"]));
    assertEquals(byKey.get("stage/archives")?.status, "ran");
    assertEquals(byKey.get("source/tool")?.status, "fetched");
    const fetched = run.steps.reduce((sum, { fetched = 0 }) => sum + fetched, 0);
    assert(fetched >= webOnly.size + toolOnly.size + base.size);
    for (const { start, end } of run.steps) {
      assert(run.start <= start && start <= end && end <= run.end, `${start} ${end}`);
    }
    await stowage(config, at).build();
    assertEquals((await report(config)).run, run);
  });

  it("says what failed in the last run", async () => {
    const gone = docker(`${registry.host}/apps/gone:1`, http);
    const failing = { ...config, sources: { ...config.sources, gone } };
    await assertRejects(() => stowage(failing, at).fetch());
    const { run } = await report(failing);
    assertEquals(run?.steps.find(({ key }) => key === "source/gone")?.status, "failed");
    assertEquals(run?.action, "fetch");
  });

  it("takes no file that another version has written for the last run", async () => {
    await stowage(config, at).fetch();
    for (const text of ['{"schema":2}', "{", "\0"]) {
      await Deno.writeTextFile(dir.join("store/last-run.json"), text);
      assertEquals((await report(config)).run, undefined);
    }
  });

  it("verifies where that is asked for, and shows what is left", async () => {
    await stowage(config, at).fetch();
    const fine = await report(config, { verify: true });
    assertEquals([fine.verification?.findings, fine.verification?.images], [[], 2]);
    const blob = `${at.store}/sources/org.osbuild.containers/${tool.id}/image/${
      toolOnly.digest.slice(7)
    }`;
    const bytes = await Deno.readFile(blob);
    bytes[9]! ^= 1;
    await Deno.writeFile(blob, bytes);
    const { images, verification } = await report(config, { verify: true, names: ["tool"] });
    assert(verification?.findings.some(({ digest }) => digest === toolOnly.digest));
    assertEquals(images.map(({ complete }) => complete), [false]);
  });

  it("is dated to SOURCE_DATE_EPOCH where that is set", async () => {
    await stowage(config, at).fetch();
    const { generated } = await stowage(config, { ...at, epoch: 1_000_000_000 }).report();
    assertEquals(generated, "2001-09-09T01:46:40.000Z");
  });

  it("needs a store", async () => {
    await assertRejects(() => report(config), UsageError, "Cannot find a store");
  });
});

describe("report() of what a policy asks", () => {
  it("says what accepted an image, and what does not", async () => {
    await using signer = await makeSigner();
    await using other = await makeSigner();
    const [, , , registriesD = ""] = await signer.flags(registry);
    const name = `docker://${tool.reference}`;
    const tls = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    const sign = ["copy", ...tls, `--sign-by=${signer.fingerprint}`, name, name];
    const given = ["--insecure-policy", "--registries.d", registriesD];
    await run("skopeo", [...given, ...sign], { env: signer.env });
    const asking = (key: string): Config => ({
      ...config,
      registriesD,
      policy: {
        default: insecureAcceptAnything(),
        docker: { [`${registry.host}/apps/tool`]: signedBy(key) },
      },
    });
    await stowage(asking(signer.publicKey), at).fetch();
    const trustOf = async (config: Config) => {
      const { images } = await report(config);
      assertEquals(images[1]?.signatures, ["gpg"]);
      return images.flatMap(({ trust }) => trust);
    };
    const [open, signed] = await trustOf(asking(signer.publicKey));
    assertEquals(open, {
      source: "web",
      accepted: true,
      asks: [{ type: "insecureAcceptAnything", keys: [] }],
      where: "default of the config",
    });
    const where = `docker["${registry.host}/apps/tool"] of the config`;
    assertEquals(signed, {
      source: "tool",
      accepted: true,
      asks: [{ type: "signedBy", keys: [signer.publicKey] }],
      where,
    });
    const [, refused] = await trustOf(asking(other.publicKey));
    assertEquals([refused?.accepted, refused?.where, refused?.problem], [false, where, undefined]);
    const [, lost] = await trustOf(asking("keys/gone.gpg"));
    assertEquals(lost?.accepted, false);
    assertStringIncludes(lost?.problem ?? "", "gone.gpg");
    assertMatch(lost?.problem ?? "", /not there/);
  });
});
