import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  artifact,
  type ArtifactOptions,
  artifacts,
  type Config,
  ConfigError,
  ContentError,
  copyTree,
  docker,
  FetchError,
  images,
  LockError,
  PolicyError,
  reject,
  RunError,
  stowage,
  type StowageError,
  type StowageOptions,
} from "@stowage/stowage";
import { pushArtifact, pushChart } from "../support/artifacts.ts";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, putManifest, run } from "../support/mod.ts";

const HELM = "application/vnd.cncf.helm.config.v1+json";
const WASM = "application/vnd.wasm.config.v0+json";

const { dir, at, registry, proxy } = await fixture({ registry: true });
const { bytes: packed } = await fileLayer({ "web/Chart.yaml": "v2" });
const chart = await pushChart(registry, "charts/web:1.4.0", packed);
await pushChart(registry, "charts/web:1.5.0", packed);
const wasm = await pushArtifact(registry, "modules/filter:2", {
  configType: WASM,
  files: [
    { title: "filter.wasm", mediaType: "application/wasm", content: "\0asm" },
    { title: "conf/filter.json", mediaType: "application/json", content: "{}" },
    { mediaType: "application/octet-stream", content: "nameless" },
  ],
});

const from = (name: string, options: ArtifactOptions = {}) =>
  artifact(`docker://${proxy.host}/${name}`, { tlsVerify: false, ...options });
const SOURCES = () => ({ chart: from("charts/web:1.4.0"), wasm: from("modules/filter:2") });
const open = (sources: Config["sources"], options: StowageOptions = {}, more: Config = {}) =>
  stowage({ digests: "ignore", ...more, sources: sources ?? {} }, {
    ...{ ...at, retryDelay: 0, attempts: 1 },
    ...options,
  });

/** Why the only source could not be had. */
async function failureOf(run: () => Promise<unknown>): Promise<StowageError> {
  const { failures } = await assertRejects(run, RunError);
  const [error] = Object.values(failures);
  assert(error);
  return error;
}

describe("artifacts", () => {
  it("are fetched once, byte for byte, and served offline", async () => {
    const { images, artifacts } = await open(SOURCES()).fetch();
    assertEquals(images, []);
    assertEquals(artifacts?.map(({ name, status, digest, kind }) => [name, status, digest, kind]), [
      ["chart", "fetched", chart.digest, HELM],
      ["wasm", "fetched", wasm.digest, WASM],
    ]);
    const [first] = artifacts ?? [];
    assertEquals(await Deno.readTextFile(join(first?.path ?? "", "manifest.json")), chart.manifest);
    const blob = join(first?.path ?? "", chart.blobs[1]?.slice(7) ?? "");
    assertEquals(await Deno.readFile(blob), packed);
    const blobs = () => proxy.requests.filter(({ path }) => path.includes("/blobs/")).length;
    const asked = blobs();
    const again = await open(SOURCES()).fetch();
    assertEquals(again.artifacts?.map(({ status }) => status), ["cached", "cached"]);
    assertEquals(blobs(), asked);
    const offline = await open(SOURCES(), { offline: true }).fetch();
    assertEquals(offline.artifacts?.map(({ digest }) => digest), [chart.digest, wasm.digest]);
    const none = open({ other: from("charts/web:1.5.0") }, { offline: true });
    const error = await failureOf(() => none.fetch());
    assert(error instanceof FetchError && error.attempts[0]?.reason === "offline");
  });

  it("are locked by digest, by their tag or by a rule, and told when they move", async () => {
    const sources = {
      ...SOURCES(),
      charts: from("charts/web", { tags: { semver: "^1.4" } }),
    };
    const { lock, artifacts } = await open(sources).makeLock();
    assertEquals(Object.keys(lock.artifacts ?? {}), [
      ...["chart", "wasm", "charts:1.5.0", "charts:1.4.0"],
    ]);
    assertEquals(artifacts.map(({ change }) => change), Array(4).fill("added"));
    assertEquals(lock.artifacts?.["chart"], {
      reference: `docker://${proxy.host}/charts/web:1.4.0`,
      tag: "1.4.0",
      digest: chart.digest,
      mediaType: chart.mediaType,
      kind: HELM,
      size: JSON.parse(chart.manifest).config.size + packed.length,
    });
    const locked = open(sources, { lock, frozen: true });
    await locked.checkLock();
    assertEquals((await locked.fetch()).artifacts?.length, 4);
    assertEquals((await locked.outdated()).outdated, []);
    const asked = proxy.requests.length;
    assertEquals((await open(sources).makeLock({ names: ["wasm"] })).requests, 1);
    assert(proxy.requests.length > asked);

    const moved = await pushArtifact(registry, "modules/filter:2", {
      ...{ configType: WASM, files: [{ mediaType: "application/wasm", content: "new" }] },
    });
    const { outdated } = await locked.outdated();
    assertEquals(outdated.map(({ name, pinned, current }) => [name, pinned, current]), [
      ["wasm", wasm.digest, moved.digest],
    ]);
    // What is locked is still had, by its digest.
    const fresh = open(SOURCES(), { lock, store: dir.join("fresh") });
    assertEquals((await fresh.fetch()).artifacts?.[1]?.digest, wasm.digest);
    await putManifest(registry, "modules/filter:2", wasm.manifest, wasm.mediaType);

    const other = open({ chart: from("charts/web:1.5.0") }, { lock });
    const stale = await assertRejects(() => other.checkLock(), LockError);
    assertEquals(stale.problems.map(({ name }) => name).toSorted(), ["chart", "charts", "wasm"]);
    const without = open(SOURCES(), { frozen: true, lock: { schema: 1, sources: {} } });
    await assertRejects(() => without.fetch(), LockError, "the lock does not say all");
  });

  it("that are not what was asked for are refused, and nothing is kept", async () => {
    const image = await pushImage(registry, "app:1", { layers: [await fileLayer({ a: "b" })] });
    const digest = `sha256:${"0".repeat(64)}`;
    const refused = async (source: ReturnType<typeof from>) =>
      await failureOf(() => open({ it: source }).fetch());
    const isImage = await refused(from("app:1"));
    assert(isImage instanceof ContentError);
    assertStringIncludes(isImage.message, "it is an image, and no artifact");
    assertStringIncludes(isImage.hint ?? "", "make sources.it docker(");
    assert(await refused(from("charts/web:1.4.0", { digest })) instanceof FetchError);
    assert(await refused(from("charts/none:1")) instanceof FetchError);
    proxy.rules.push({ match: new RegExp(`/blobs/${chart.blobs[1]}`), fault: { flipBit: 8 } });
    const spoiled = await failureOf(() => open({ chart: from("charts/web:1.4.0") }).fetch());
    assertEquals([spoiled.code, await open({}).listArtifacts()], ["CONTENT_MISMATCH", []]);
    proxy.rules.splice(0);
    const asImage = await failureOf(() =>
      open({ it: docker(`${proxy.host}/charts/web:1.4.0`, { tlsVerify: false }) }).fetch()
    );
    assertStringIncludes(asImage.hint ?? "", 'make its source artifact("…")');
    assert(image.digest);
  });

  it("need a policy that accepts them, also when they are there", async () => {
    await open(SOURCES()).fetch();
    const policy = { policy: { default: reject() } };
    for (const options of [{}, { store: dir.join("other") }]) {
      const error = await failureOf(() =>
        open({ chart: from("charts/web:1.4.0") }, options, policy).fetch()
      );
      assert(error instanceof PolicyError, `${error}`);
    }
  });

  it("are listed, verified, fetched again where they are damaged, and removed by gc", async () => {
    const { lock } = await open(SOURCES()).makeLock();
    const here = open(SOURCES(), { lock });
    const { artifacts = [] } = await here.fetch();
    const listed = await here.listArtifacts();
    assertEquals(
      listed.map(({ names, kind, complete }) => [names[0], kind, complete]).toSorted(),
      [["chart", HELM, true], ["wasm", WASM, true]],
    );
    const blob = join(artifacts[1]?.path ?? "", wasm.blobs[1]?.slice(7) ?? "");
    assertEquals((await here.verify()).findings, []);
    await Deno.writeTextFile(blob, "\0ASM");
    const { findings } = await here.verify();
    assertEquals(findings.map(({ kind, problem, digest }) => [kind, problem, digest]), [
      ["artifact", "content", wasm.blobs[1]],
    ]);
    assertEquals(await exists(blob), false);
    const again = await here.fetch();
    assertEquals(again.artifacts?.map(({ status }) => status), ["cached", "fetched"]);
    assertEquals((await here.verify()).findings, []);

    const keep = async (config: ReturnType<typeof open>) =>
      (await config.gc({ dryRun: true })).garbage.filter(({ kind }) => kind === "artifact").length;
    assertEquals(await keep(here), 0);
    assertEquals(await keep(open(SOURCES())), 0); // by the reference that it was fetched by
    assertEquals(await keep(open({ chart: from("charts/web:1.4.0") })), 1);
    await open({ chart: from("charts/web:1.4.0") }).gc();
    assertEquals((await here.listArtifacts()).map(({ digest }) => digest), [chart.digest]);
  });

  it("give a stage their files, and an image's input refuses them", async () => {
    const config: Config = {
      inputs: { all: artifacts(["chart", "wasm", "charts"]) },
      stages: { tree: copyTree({ inputs: ["all"], to: "/srv" }) },
    };
    const sources = { ...SOURCES(), charts: from("charts/web", { tags: { semver: "1.5" } }) };
    const { lock } = await open(sources, {}, config).makeLock();
    const built = open(sources, { lock }, config);
    assertEquals((await built.plan()).stages.map(({ status }) => status), ["run"]);
    const { out } = await built.build({ out: dir.join("out") });
    const nameless = wasm.blobs[3]?.slice(7);
    const listed = await run("sh", ["-c", 'cd "$0/srv" && find -type f | sort', out["tree"] ?? ""]);
    assertEquals(listed.trim().split("\n"), [
      "./chart/web-1.4.0.tgz",
      "./charts/1.5.0/web-1.5.0.tgz",
      `./wasm/${nameless}`,
      "./wasm/conf/filter.json",
      "./wasm/filter.wasm",
    ]);
    assertEquals(await Deno.readFile(join(out["tree"] ?? "", "srv/chart/web-1.4.0.tgz")), packed);
    assertEquals((await built.plan()).stages.map(({ status }) => status), ["cached"]);
    const mistakes = (inputs: Config["inputs"]) => {
      try {
        stowage({ sources: { ...SOURCES(), app: docker("acme.io/app") }, inputs: inputs ?? {} });
        return [];
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        return error.issues.map(({ path }) => path);
      }
    };
    assertEquals(mistakes({ it: images({ chart: "localhost/chart" }) }), [
      "inputs.it.images.chart",
    ]);
    assertEquals(mistakes({ it: artifacts(["app"]) }), ["inputs.it.artifacts.0"]);
    assertEquals(mistakes({ it: artifacts(["none"]) }), ["inputs.it.artifacts.0"]);
  });

  it("whose files would leave their folder give no tree", async () => {
    const config: Config = {
      inputs: { all: artifacts(["it"]) },
      stages: { tree: copyTree({ inputs: ["all"] }) },
    };
    for (const title of ["../up", "/etc/passwd", "a//b", "a/../b", "a\nb"]) {
      const file = { title, mediaType: "application/octet-stream", content: title };
      await pushArtifact(registry, "modules/odd:1", { configType: WASM, files: [file] });
      const error = await failureOf(() => open({ it: from("modules/odd:1") }, {}, config).build());
      assertStringIncludes(error.message, "has a file");
    }
  });
});
