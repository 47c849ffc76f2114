import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Cache,
  type Config,
  docker,
  type NoticeEvent,
  RunError,
  type RunEvent,
  stowage,
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

const { dir, registry, proxy } = await fixture({ registry: true });
const base = await randomLayer({ size: 2 ** 20 });
const imageOf = async (name: string, platform = "linux/amd64") =>
  await pushImage(registry, name, {
    layers: [base, await fileLayer({ "etc/name": `${name} ${platform}` })],
    platform,
  });
const [tool, app] = [await imageOf("acme/tool:1"), await imageOf("acme/app:1")];
const web = [await imageOf("library/web"), await imageOf("library/web", "linux/arm64")];
const index = await pushIndex(registry, "library/web:1", web);

const from = (name: string, options = {}) =>
  docker(`${proxy.host}/${name}`, { tlsVerify: false, ...options });
const pinned = () => ({
  tool: from("acme/tool", { digest: tool.digest }),
  app: from("acme/app:1", { id: app.id }),
  web: from("library/web", { digest: index.digest, index: true }),
});
let stores = 0;
/** A machine with an empty disk. */
const machine = (sources: Config["sources"], cache: readonly Cache[], config: Config = {}) =>
  stowage({ ...config, sources: sources ?? {}, cache }, {
    root: dir.path,
    store: dir.join(`store-${stores++}`),
    platform: "linux/amd64",
    retryDelay: 0,
  });
const cacheAt = (host: string, mode: Cache["mode"] = "read"): Cache => ({
  repository: `${host}/acme/cache`,
  tlsVerify: false,
  mode,
});
const collect = () => {
  const events: RunEvent[] = [];
  const notices = () =>
    events.filter((event): event is NoticeEvent & { time: string } => event.type === "notice")
      .filter(({ code }) => code === "CACHE_LEFT").map(({ message }) => message);
  return { events, notices, onEvent: (event: RunEvent) => void events.push(event) };
};

describe("a cache", () => {
  it("gives what one machine has put there to another, which asks no other registry", async () => {
    await using other = await startRegistry();
    const first = await machine(pinned(), [cacheAt(other.host, "write")]).fetch();
    assertEquals(first.images.map(({ status }) => status), ["fetched", "fetched", "fetched"]);
    assert(first.images.every(({ from }) => from?.includes(proxy.host)));
    const before = proxy.requests.length;
    const told = collect();
    const second = await machine(pinned(), [cacheAt(other.host)]).fetch(told);
    assertEquals(proxy.requests.slice(before), []);
    assertEquals(second.images.map(({ id }) => id), first.images.map(({ id }) => id));
    assert(second.images.every(({ from }) => from?.includes(`${other.host}/acme/cache`)));
    const { images = [] } = second.images[2]?.index ?? {};
    assertEquals(images.map(({ digest }) => digest), web.map(({ digest }) => digest));
    assertEquals(told.notices(), []);
  });

  it("is where a plan says that images come from", async () => {
    await using other = await startRegistry();
    await machine(pinned(), [cacheAt(other.host, "write")]).fetch({ names: ["tool"] });
    const { sources } = await machine(pinned(), [cacheAt(other.host)]).plan();
    const from = Object.fromEntries(
      sources.flatMap((source) => source.status === "fetch" ? [[source.name, source.from]] : []),
    );
    assertEquals(from["tool"], `docker://${other.host}/acme/cache@${tool.digest}`);
    assertStringIncludes(from["app"] ?? "", proxy.host);
  });

  it("is written to only what it does not have", async () => {
    await using other = await startRegistry();
    await using gate = await startFaultProxy(other);
    await machine(pinned(), [cacheAt(gate.host, "write")]).fetch();
    const puts = () => gate.requests.filter(({ method }) => !["GET", "HEAD"].includes(method));
    assert(puts().length > 0);
    const before = puts().length;
    await machine(pinned(), [cacheAt(gate.host, "write")]).fetch();
    assertEquals(puts().length, before);
  });

  it("is neither asked nor written to offline", async () => {
    await using other = await startRegistry();
    await using gate = await startFaultProxy(other);
    const options = { root: dir.path, store: dir.join("own"), platform: "linux/amd64" };
    await stowage({ sources: pinned() }, options).fetch();
    const config = { sources: pinned(), cache: [cacheAt(gate.host, "write")] };
    const { images } = await stowage(config, { ...options, offline: true }).fetch();
    assertEquals(images.length, 3);
    assertEquals(gate.requests, []);
  });

  it("that is away is told of once, and the run goes on without it", async () => {
    const told = collect();
    const away = cacheAt("127.0.0.1:9", "write");
    const { images } = await machine(pinned(), [away]).fetch(told);
    assertEquals(images.length, 3);
    const [left = "", ...more] = told.notices();
    assertStringIncludes(left, "the cache 127.0.0.1:9/acme/cache is left out: ");
    assertEquals(more, []);
  });

  it("that lies is passed over: its bytes never get into the store", async () => {
    await using other = await startRegistry();
    await machine(pinned(), [cacheAt(other.host, "write")]).fetch();
    await using gate = await startFaultProxy(other);
    gate.rules.push({ match: /^GET .*\/blobs\//, fault: { flipBit: 40 } });
    const told = collect();
    const liar = machine(pinned(), [cacheAt(gate.host)]);
    const { images } = await liar.fetch(told);
    assert(images.every(({ from }) => from?.includes(proxy.host)));
    assertEquals(told.notices().length, 1);
    assertStringIncludes(told.notices()[0] ?? "", `the cache ${gate.host}/acme/cache is left out`);
    assertEquals((await liar.verify()).findings, []);
  });

  it("is not asked for what nothing pins, or what the policy asks signatures of", async () => {
    await using other = await startRegistry();
    await using gate = await startFaultProxy(other);
    const open = { tool: from("acme/tool:1") };
    await machine(open, [cacheAt(gate.host)], { digests: "ignore" }).fetch();
    assertEquals(gate.requests, []);
    await machine(pinned(), [cacheAt(other.host, "write")]).fetch();
    const { accept, reject } = { accept: "insecureAcceptAnything", reject: "reject" } as const;
    const policy = { default: { type: accept }, docker: { [proxy.host]: { type: reject } } };
    const strict = machine(pinned(), [cacheAt(gate.host)], { policy });
    const error = await assertRejects(() => strict.fetch(), RunError);
    assertEquals([...new Set(Object.values(error.failures).map(({ code }) => code))], [
      "POLICY_REJECTED",
    ]);
    assertEquals(gate.requests, []);
  });

  it("of the command line comes before those of the config", async () => {
    await using other = await startRegistry();
    const config = { sources: { tool: from("acme/tool:1", { digest: tool.digest }) } };
    await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify(config));
    const at = (name: string, mode: string) => [
      ...["--config", dir.join("images.config.json"), "--store", dir.join(name), "--json"],
      ...["--cache", `${other.host}/acme/cache${mode}`, "--tls-verify=false"],
    ];
    const say = async (...args: string[]) => await cli(["fetch", ...args], { cwd: dir.path });
    const first = await say(...at("one", ",write"));
    assertEquals(first.code, 0, first.stderr);
    const second = await say(...at("two", ""));
    assertStringIncludes(second.stdout, `docker://${other.host}/acme/cache@${tool.digest}`);
    const wrong = await say("--cache", "x/y,both");
    assertEquals([wrong.code, wrong.stdout], [2, ""]);
    assertStringIncludes(wrong.stderr, 'Cannot use --cache "x/y,both"');
    const alone = await say("--tls-verify=false");
    assertStringIncludes(alone.stderr, "no --cache is named");
  });
});
