import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  docker,
  type Pruned,
  type PushOptions,
  RunError,
  StoreError,
  stowage,
  UsageError,
} from "@stowage/stowage";
import { stowage as cli } from "../cli/cli.ts";
import { fixture } from "../support/fixture.ts";
import {
  fileLayer,
  pushImage,
  pushIndex,
  type Registry,
  skopeo,
  startFaultProxy,
  startRegistry,
} from "../support/mod.ts";

const { dir, at, registry } = await fixture({ registry: true });
const imageOf = async (name: string, text: string, platform = "linux/amd64") =>
  await pushImage(registry, name, {
    layers: [await fileLayer({ "etc/name": text })],
    platform,
  });
const parts = [
  await imageOf("library/web", "web", "linux/amd64"),
  await imageOf("library/web", "web", "linux/arm64"),
];
const index = await pushIndex(registry, "library/web:1", parts);
const tool = await imageOf("acme/tool:1", "tool");
await imageOf("acme/tool:again", "tool");
const next = await imageOf("acme/tool:2", "next");

const from = (name: string, options = {}) =>
  docker(`${registry.host}/${name}`, { tlsVerify: false, ...options });
const web = from("library/web:1", { index: true });
const one = from("acme/tool:1");
const two = from("acme/tool:2");
const state = () => dir.join("site.json");
const open = (sources: NonNullable<Config["sources"]>) =>
  stowage({ digests: "ignore", sources }, { ...at, retryDelay: 0, platform: "linux/amd64" });
const to = ({ host }: Pick<Registry, "host">): PushOptions => ({
  to: host,
  tlsVerify: false,
  state: state(),
});
/** Copies what is in one registry to another name, as somebody else would. */
async function copy(source: string, target: string): Promise<void> {
  const flags = ["--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"];
  await skopeo("copy", ...flags, `docker://${source}`, `docker://${target}`);
}
async function tagsOf(target: Registry, name: string): Promise<string[]> {
  const { tags } = await (await target.fetch(`/v2/${name}/tags/list`)).json();
  return (tags ?? []).sort();
}
async function hasManifest(target: Registry, name: string, digest: string): Promise<boolean> {
  const accept = "application/vnd.oci.image.index.v1+json, " +
    "application/vnd.oci.image.manifest.v1+json, " +
    "application/vnd.docker.distribution.manifest.v2+json";
  const answer = await target.fetch(`/v2/${name}/manifests/${digest}`, { headers: { accept } });
  await answer.body?.cancel();
  return answer.status === 200;
}
const told = (target: Registry, pruned: readonly Pruned[] = []) =>
  pruned.map(({ target: name, status, why }) => [
    name.slice(target.host.length + 1),
    status,
    ...(why === undefined ? [] : [why]),
  ]);

describe("push --prune", () => {
  it("plans, then deletes what the config no longer has, and nothing that anybody else needs", async () => {
    await using target = await startRegistry();
    await open({ web, one }).push(to(target));
    const [amd64, arm64] = parts.map(({ digest }) => digest);
    const theirs = `${target.host}/library/web:theirs`;
    await copy(`${registry.host}/library/web@${amd64}`, theirs);

    await using proxy = await startFaultProxy(target);
    const saved = await Deno.readTextFile(state());
    await Deno.writeTextFile(state(), saved.replace(target.host, proxy.host));
    const plan = await open({ one }).planPush({ ...to(proxy), prune: true });
    const at = { host: proxy.host } as Registry;
    const expected = (status: string) => [
      ["library/web:1", status],
      ...[[`library/web@${amd64}`, "kept", "another tag needs it"], [
        `library/web@${arm64}`,
        status,
      ]].sort(),
    ];
    const sorted = (rows: string[][]) => [rows[0], ...rows.slice(1).sort()];
    assertEquals(sorted(told(at, plan.pruned)), expected("delete"));
    assertEquals(proxy.requests.filter(({ method }) => !["GET", "HEAD"].includes(method)), []);
    assertEquals(await tagsOf(target, "library/web"), ["1", "theirs"]);

    await Deno.writeTextFile(state(), saved);
    const { pruned } = await open({ one }).push({ ...to(target), prune: true });
    assertEquals(sorted(told(target, pruned)), expected("deleted"));
    assertEquals(await tagsOf(target, "library/web"), ["theirs"]);
    assertEquals(await hasManifest(target, "library/web", index.digest), false);
    assertEquals(await hasManifest(target, "library/web", arm64 ?? ""), false);
    assert(await hasManifest(target, "library/web", "theirs"));
    assert(await hasManifest(target, "acme/tool", "1"));

    const { pruned: rest } = await open({ one }).push({ ...to(target), prune: true });
    assertEquals(told(target, rest), [[`library/web@${amd64}`, "kept", "another tag needs it"]]);
  });

  it("leaves what was there before, what got another meaning, and what a tag that stays needs", async () => {
    await using target = await startRegistry();
    await copy(`${registry.host}/library/web@${parts[0]?.digest}`, `${target.host}/acme/old:1`);
    const old = docker(`${registry.host}/acme/old:1`, { tlsVerify: false });
    await copy(`${registry.host}/library/web@${parts[0]?.digest}`, `${registry.host}/acme/old:1`);
    await open({ one, two, again: from("acme/tool:again"), old }).push(to(target));
    await copy(`${registry.host}/library/web@${parts[0]?.digest}`, `${target.host}/acme/tool:2`);
    const { pruned } = await open({ one }).push({ ...to(target), prune: true });
    assertEquals(told(target, pruned), [
      ["acme/tool:2", "kept", "somebody else has pushed to that tag since"],
      ["acme/tool:again", "kept", "another tag needs it"],
      [`acme/tool@${next.digest}`, "deleted"],
    ]);
    assertEquals(await tagsOf(target, "acme/tool"), ["1", "2", "again"]);
    assertEquals(await tagsOf(target, "acme/old"), ["1"]);
    assertEquals(await hasManifest(target, "acme/tool", next.digest), false);
    assert(await hasManifest(target, "acme/tool", tool.digest));
  });

  it("deletes what a tag stood for before it was pushed anew", async () => {
    await using target = await startRegistry();
    const map = [`${registry.host}/acme/tool:2=acme/tool:1`];
    await open({ one }).push(to(target));
    const plan = await open({ two }).planPush({ ...to(target), map, prune: true });
    const { pruned } = await open({ two }).push({ ...to(target), map, prune: true });
    assertEquals(told(target, plan.pruned), [[`acme/tool@${tool.digest}`, "delete"]]);
    assertEquals(told(target, pruned), [[`acme/tool@${tool.digest}`, "deleted"]]);
    assert(await hasManifest(target, "acme/tool", "1"));
  });

  it("reads all pages of tags", async () => {
    await using target = await startRegistry();
    await open({ web }).push(to(target));
    await copy(`${registry.host}/library/web@${parts[1]?.digest}`, `${target.host}/library/web:a`);
    await copy(`${registry.host}/library/web@${parts[0]?.digest}`, `${target.host}/library/web:z`);
    await using paged = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        const { pathname, searchParams } = new URL(request.url);
        if (!pathname.endsWith("/tags/list")) {
          const { method, headers } = request;
          return await target.fetch(pathname, { method, headers });
        }
        const tags = await tagsOf(target, "library/web");
        const at = tags.indexOf(searchParams.get("last") ?? "") + 1;
        const link = `<${pathname}?n=1&last=${tags[at]}>; rel="next"`;
        return Response.json({ name: "library/web", tags: tags.slice(at, at + 1) }, {
          headers: at + 1 < tags.length ? { link } : {},
        });
      },
    );
    const host = `127.0.0.1:${paged.addr.port}`;
    const saved = await Deno.readTextFile(state());
    await Deno.writeTextFile(state(), saved.replace(target.host, host));
    const { pruned } = await open({ one }).planPush({ ...to({ host }), prune: true });
    assertEquals(pruned?.filter(({ status }) => status === "kept").length, 2);
  });

  it("says that a registry forbids it, with what was pushed", async () => {
    await using target = await startRegistry({ deletes: false });
    await open({ two }).push(to(target));
    const error = await assertRejects(
      () => open({ one }).push({ ...to(target), prune: true }),
      RunError<{ images: unknown[] }>,
    );
    assertStringIncludes(error.message, "Cannot prune");
    assertStringIncludes(error.message, "the registry forbids to delete");
    assertEquals(error.result.images.length, 1);
    assertEquals(await tagsOf(target, "acme/tool"), ["1", "2"]);
  });

  it("deletes nothing if something could not be pushed, nor without a state of that registry", async () => {
    await using target = await startRegistry();
    await open({ two }).push(to(target));
    const missing = open({ one, missing: from("acme/missing:1") });
    await assertRejects(() => missing.push({ ...to(target), prune: true }), RunError);
    assertEquals(await tagsOf(target, "acme/tool"), ["1", "2"]);
    const refuse = async (options: Partial<PushOptions>, why: string) => {
      const request = { ...to(target), prune: true, ...options };
      const error = await assertRejects(() => open({ one }).push(request), UsageError);
      assertStringIncludes(error.message, why);
    };
    await refuse({ names: ["one"] }, "all else would go");
    await refuse({ to: registry.host }, `it is of ${target.host}`);
    await Deno.writeTextFile(dir.join("odd.json"), "{}");
    await refuse({ state: dir.join("odd.json") }, "as the state of pushes");
    await refuse({ state: dir.path }, "a folder is there");
    const lost = { ...to(target), state: dir.join("none/site.json") };
    assertEquals(
      (await assertRejects(() => open({ web }).push(lost), StoreError)).code,
      "STORE_FAILED",
    );
    assertEquals(await target.statusOf("/v2/library/web/tags/list"), 404);
    const { state: _, ...none } = { ...to(target), prune: true };
    await assertRejects(() => open({ one }).push(none), UsageError);
    assertEquals(await tagsOf(target, "acme/tool"), ["1", "2"]);
  });

  it("knows all that pushes with one state have written at the same time", async () => {
    await using target = await startRegistry();
    await Promise.all([{ web }, { one }, { two }].map((each) => open(each).push(to(target))));
    const { repositories } = JSON.parse(await Deno.readTextFile(state()));
    assertEquals(repositories["acme/tool"].tags, { 1: tool.digest, 2: next.digest });
    assertEquals(repositories["library/web"].tags, { 1: index.digest });
  });

  it("is told on the command line", async () => {
    await using target = await startRegistry();
    const args = ["push", "--to", target.host, "--tls-verify=false", "--state", "site.json"];
    const config = async (sources: Config["sources"]) =>
      await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify({ sources }));
    await config({ two });
    assertEquals((await cli(args, { cwd: dir.path })).code, 0);
    await config({ one });
    const plan = await cli([...args, "--prune", "--dry-run", "--plan", "plan.json"], {
      cwd: dir.path,
    });
    assertStringIncludes(plan.stdout, `${target.host}/acme/tool:2`);
    assertEquals(await tagsOf(target, "acme/tool"), ["2"]);
    await open({ again: from("acme/tool:again"), web }).push({
      ...to(target),
      state: dir.join("site.json"),
    });
    const done = await cli([...args, "--prune", "--plan", "plan.json", "--json"], {
      cwd: dir.path,
    });
    assertEquals(done.code, 0, done.stderr);
    const { pruned } = JSON.parse(done.stdout.trimEnd().split("\n").at(-1) ?? "");
    const unplanned = ["kept", "the plan does not have it"];
    assertEquals(told(target, pruned).slice(0, 3), [
      ["acme/tool:again", ...unplanned],
      ["acme/tool:2", "deleted"],
      ["library/web:1", ...unplanned],
    ]);
    assertEquals(await tagsOf(target, "acme/tool"), ["1", "again"]);
    assert(await hasManifest(target, "library/web", "1"));
  });
});
