import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { artifact, BundleError, docker, stowage, verifyBundle } from "@stowage/stowage";
import { stowage as cli } from "../cli/cli.ts";
import { pushArtifact, pushChart } from "../support/artifacts.ts";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, run, skopeo, startRegistry } from "../support/mod.ts";

const { dir, at, registry } = await fixture({ registry: true });
const { bytes } = await fileLayer({ "web/Chart.yaml": "v2" });
const chart = await pushChart(registry, "charts/web:1.4.0", bytes);
const module = await pushArtifact(registry, "modules/filter:2", {
  ...{ configType: "application/vnd.oci.empty.v1+json", artifactType: "application/acme.filter" },
  files: [{ title: "filter.wasm", mediaType: "application/wasm", content: "\0asm" }],
});
const app = await pushImage(registry, "app:1", { layers: [await fileLayer({ a: "b" })] });

const http = { tlsVerify: false };
const sources = () => ({
  chart: artifact(`${registry.host}/charts/web:1.4.0`, http),
  filter: artifact(`${registry.host}/modules/filter`, {
    ...{ ...http, tags: { regex: String.raw`\d` } },
  }),
  app: docker(`${registry.host}/app:1`, { ...http, platform: "linux/amd64" }),
});
const open = (options = {}) =>
  stowage({ digests: "ignore", sources: sources() }, { ...at, retryDelay: 0, ...options });
/** Whether a peer that need not be there is on the PATH. */
const hasOras = await new Deno.Command("sh", { args: ["-c", "command -v oras"], stdout: "null" })
  .output().then(({ success }) => success);

describe("artifacts that are carried", () => {
  it("are pushed byte for byte, with what is planned, and pruned as images are", async () => {
    const { lock } = await open().makeLock();
    const here = open({ lock });
    await using target = await startRegistry();
    const to = { to: `${target.host}/site`, tlsVerify: false, state: dir.join("state.json") };
    const plan = await here.planPush(to);
    assertEquals(plan.sources.map(({ name, status }) => [name, status]), [
      ["chart", "push"],
      ["filter:2", "push"],
      ["app", "push"],
    ]);
    const total = [chart, module].flatMap(({ manifest }) => {
      const { config, layers } = JSON.parse(manifest);
      return [config, ...layers].map(({ size }: { size: number }) => size);
    }).reduce((sum, size) => sum + size, 0);
    const [one, two] = plan.sources;
    assertEquals((one?.bytes ?? 0) + (two?.bytes ?? 0), total);
    assertEquals((one?.fetch ?? 0) + (two?.fetch ?? 0), total);
    const { images } = await here.push(to);
    assertEquals(images.map(({ target, digest }) => [target, digest]), [
      [`${target.host}/site/charts/web:1.4.0`, chart.digest],
      [`${target.host}/site/modules/filter:2`, module.digest],
      [`${target.host}/site/app:1`, app.digest],
    ]);
    const raw = ["inspect", "--raw", "--tls-verify=false"];
    assertEquals(
      await skopeo(...raw, `docker://${target.host}/site/charts/web:1.4.0`),
      chart.manifest,
    );
    const again = await here.push(to);
    assertEquals(again.images.map(({ status }) => status), ["present", "present", "present"]);
    if (hasOras) {
      const name = `${target.host}/site/modules/filter:2`;
      await run("oras", ["pull", "--plain-http", "-o", dir.join("pulled"), name]);
      assertEquals(await Deno.readTextFile(dir.join("pulled/filter.wasm")), "\0asm");
    }
    const { app: _, ...others } = sources();
    const rest = stowage({ digests: "ignore", sources: others }, { ...at, lock });
    const { pruned } = await rest.push({ ...to, prune: true });
    assertEquals(pruned?.filter(({ status }) => status === "deleted").length, 1);
    const accept = { headers: { accept: chart.mediaType } };
    assertEquals(await target.statusOf("/v2/site/charts/web/manifests/1.4.0", accept), 200);
  });

  it("reach a site without network in a bundle, and its registry", async () => {
    const { lock } = await open().makeLock();
    const site = dir.join("site.tar");
    const made = await open({ lock }).createBundle(site);
    assertEquals(made.artifacts.map(({ name, digest }) => [name, digest]), [
      ["chart", chart.digest],
      ["filter:2", module.digest],
    ]);
    const info = await verifyBundle(site);
    assertEquals([info.sources.length, info.artifacts.length], [1, 2]);
    const raw = await skopeo("inspect", "--raw", `oci-archive:${site}:chart`);
    assertEquals(raw, chart.manifest);
    const there = open({ lock, store: dir.join("there"), offline: true });
    const loaded = await there.loadBundle(site);
    assertEquals(loaded.lock, lock);
    assertEquals(loaded.artifacts.map(({ name, status }) => [name, status]), [
      ["chart", "fetched"],
      ["filter:2", "fetched"],
    ]);
    assertEquals((await there.fetch()).artifacts?.map(({ status }) => status), [
      ...["cached", "cached"],
    ]);
    assertEquals((await there.verify()).findings, []);
    await using target = await startRegistry();
    await there.push({ to: target.host, tlsVerify: false });
    const served = await target.fetch("/v2/charts/web/manifests/1.4.0", {
      headers: { accept: chart.mediaType },
    });
    assertEquals(await served.text(), chart.manifest);
    const again = await there.loadBundle(site);
    assertEquals(again.artifacts.map(({ status }) => status), ["cached", "cached"]);
    const copy = dir.join("copy.tar");
    await there.createBundle(copy);
    assertEquals((await verifyBundle(copy)).digest, info.digest);

    const data = await Deno.readFile(site);
    const text = new TextDecoder("latin1").decode(data);
    data[text.indexOf("\0asm") + 1] = 0;
    await Deno.writeFile(site, data);
    await Deno.remove(`${site}.sums.json`);
    const other = open({ lock, store: dir.join("other") });
    const error = await assertRejects(() => other.loadBundle(site), BundleError);
    assertEquals([error.code, error.items], ["BUNDLE_DAMAGED", [module.blobs[1]]]);
    assertEquals([await other.listArtifacts(), await other.list()], [[], []]);
  });

  it("are told on the command line", async () => {
    const config = JSON.stringify({ sources: sources() });
    await Deno.writeTextFile(dir.join("images.config.json"), config);
    const say = (...args: string[]) => cli(args, { cwd: dir.path });
    assertMatch((await say("lock")).stdout, /^added +chart +sha256:\w{12} /m);
    const fetched = await say("fetch");
    assertMatch(fetched.stdout, /^filter:2 +fetched +application\/acme\.filter /m);
    assertStringIncludes(fetched.stdout, "1 image, 2 artifacts in the store");
    const listed = await say("ls", "chart");
    assertMatch(
      listed.stdout,
      /^[0-9a-f]{12} +chart .* application\/vnd\.cncf\.helm\.config\.v1\+json$/m,
    );
    assertEquals(listed.stdout.trim().split("\n").length, 2);
    assertMatch((await say("plan")).stdout, /^cached +chart /m);
    assertMatch((await say("graph")).stdout, /^source\/chart +.*charts\/web.* \(artifact\)$/m);
    assert((await say("check")).stdout.includes("3 sources"));
    const bundled = await say("bundle", "create", "-o", "site.tar");
    assertStringIncludes(bundled.stdout, "3 sources, 1 image, 2 artifacts");
  });
});
