import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  BundleError,
  docker,
  PushError,
  stowage,
  UsageError,
  verifyBundle,
} from "@stowage/stowage";
import { stowage as cli } from "../cli/cli.ts";
import { fixture } from "../support/fixture.ts";
import {
  fileLayer,
  pushImage,
  pushIndex,
  randomLayer,
  startFaultProxy,
  startRegistry,
} from "../support/mod.ts";

const { dir, at, registry } = await fixture({ registry: true });
const base = await randomLayer({ size: 2 ** 20 });
const imageOf = async (name: string, text: string, platform = "linux/amd64") =>
  await pushImage(registry, name, { layers: [base, await fileLayer({ a: text })], platform });
const tool = await imageOf("acme/tool:1", "one");
const web = [await imageOf("web", "amd64"), await imageOf("web", "arm64", "linux/arm64")];
const index = await pushIndex(registry, "web:1", web);
const changed = await imageOf("acme/tool:2", "two");

const from = (name: string, options = {}) =>
  docker(`${registry.host}/${name}`, { tlsVerify: false, ...options });
const open = (sources: Parameters<typeof stowage>[0]["sources"], options = {}) =>
  stowage({ digests: "ignore", sources: sources ?? {} }, {
    ...{ ...at, retryDelay: 0, attempts: 1, platform: "linux/amd64" },
    ...options,
  });
const OLD = { web: from("web:1", { index: true }), tool: from("acme/tool:1") };
const NEW = { ...OLD, tool: from("acme/tool:2") };

describe("a receipt of a registry", () => {
  it("says what it has of the sources, and a bundle goes on from that", async () => {
    await using target = await startRegistry();
    const there = { from: `${target.host}/site`, tlsVerify: false };
    const none = await open(OLD).receipt(there);
    assertEquals(none, { schema: 1, manifests: [], indexes: [], layers: [] });
    await open(OLD).push({ to: there.from, tlsVerify: false });
    const receipt = dir.join("there.json");
    const held = await open(OLD, { store: dir.join("nothing") }).receipt({
      ...there,
      out: receipt,
    });
    const layers = [tool, ...web].flatMap(({ layers }) => layers.map(({ digest }) => digest));
    assertEquals(held, {
      schema: 1,
      manifests: [tool, ...web].map(({ digest }) => digest).sort(),
      indexes: [index.digest],
      layers: [...new Set(layers)].sort(),
    });
    const some = await open(OLD).receipt({ ...there, names: ["tool"] });
    assertEquals(some.manifests, [tool.digest]);

    const delta = dir.join("delta.tar");
    await open(NEW).createBundle(delta, { since: [receipt] });
    const { base: left } = await verifyBundle(delta);
    assert(left.some(({ digest }) => digest === base.digest));
    const site = open(NEW, { store: dir.join("there"), offline: true });
    const missing = await assertRejects(() => site.loadBundle(delta), BundleError);
    assertEquals(missing.code, "BUNDLE_INCOMPLETE");
    await using proxy = await startFaultProxy(target);
    const near = { from: `${proxy.host}/site`, tlsVerify: false };
    const loaded = await site.loadBundle(delta, near);
    assertEquals(loaded.images.length, 3);
    assertEquals((await site.verify()).findings, []);
    const blobs = proxy.requests.filter(({ method, path }) =>
      method === "GET" && path.includes("/blobs/")
    );
    assertEquals(blobs.length, new Set(left.map(({ digest }) => digest)).size);
    const { images } = await site.push({ to: there.from, tlsVerify: false });
    assertEquals(images.map(({ digest }) => digest), [index.digest, changed.digest]);
    const again = await site.loadBundle(delta, near);
    assertEquals(again.images.map(({ status }) => status), ["cached", "cached", "cached"]);
  });

  it("and what it leaves out have to be there, whole", async () => {
    await using target = await startRegistry();
    await using proxy = await startFaultProxy(target);
    const there = { from: proxy.host, tlsVerify: false };
    await open(OLD).push({ to: target.host, tlsVerify: false });
    const [receipt, delta] = [dir.join("there.json"), dir.join("delta.tar")];
    await open(OLD).receipt({ ...there, out: receipt });
    await open(NEW).createBundle(delta, { since: [receipt] });
    const site = open(NEW, { store: dir.join("there") });
    proxy.rules.push({ match: new RegExp(`^GET .*${base.digest}`), fault: { status: 500 } });
    const lost = await assertRejects(() => site.loadBundle(delta, there), BundleError);
    assertEquals([lost.code, await site.list()], ["BUNDLE_INCOMPLETE", []]);
    proxy.rules.splice(0, 1, {
      match: new RegExp(`^HEAD .*${base.digest}`),
      fault: { status: 404 },
    });
    const gone = await assertRejects(() => site.loadBundle(delta, there), BundleError);
    assertEquals(gone.items, [base.digest]);
    proxy.rules.splice(0, 1, { match: /manifests/, fault: { status: 500 } });
    const away = await assertRejects(() => open(OLD).receipt(there), PushError);
    assertMatch(away.message, /^Cannot see whether \S+ has "\w+": /);
    await assertRejects(() => open(OLD).receipt({ ...there, names: ["none"] }), UsageError);
  });

  it("is made on the command line, by the names that a push gives", async () => {
    await using target = await startRegistry();
    await open({ tool: OLD.tool }).push({
      ...{ to: target.host, tlsVerify: false, map: [`${registry.host}/acme=hub`] },
    });
    const config = JSON.stringify({ sources: { tool: OLD.tool } });
    await Deno.writeTextFile(dir.join("images.config.json"), config);
    const say = (...args: string[]) => cli(["bundle", "receipt", ...args], { cwd: dir.path });
    const flags = ["--from", target.host, "--tls-verify=false"];
    const mapped = [...flags, "--map", `${registry.host}/acme=hub`];
    const done = await say("-o", "there.json", ...mapped, "tool");
    assertEquals([done.code, done.stdout], [
      0,
      "Wrote there.json: 1 image, 2 layers\n",
    ]);
    assertEquals(JSON.parse((await say(...flags)).stdout).manifests, []);
    assertEquals((await say("--map", "a=b")).code, 2);
    assertEquals((await say("tool")).code, 2);
  });
});
