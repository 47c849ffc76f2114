import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  ConfigError,
  defineConfig,
  docker,
  FetchError,
  fromDir,
  images,
  type Lock,
  LockError,
  type SourceOptions,
  stowage,
  type TagRule,
  unpack,
} from "@stowage/stowage";
import { putManifest } from "../support/mod.ts";
import { errorOf, lockFixture, mustLock, of } from "./fixture.ts";

const bench = await lockFixture();

/** A source that stands for several tags. */
const app = (tags: TagRule, options: SourceOptions = {}) =>
  docker(`${bench.proxy.host}/web`, {
    tlsVerify: false,
    platform: "linux/amd64",
    tags,
    ...options,
  });

/** Puts one image there, under several tags. */
async function pushTags(...tags: readonly string[]): Promise<void> {
  const { manifest, mediaType } = await bench.push("web", "web");
  for (const tag of tags) await putManifest(bench.registry, `web:${tag}`, manifest, mediaType);
}

const stowageOf = (config: Config, lock?: Lock) =>
  stowage(config, { ...bench.at, retryDelay: 0, attempts: 1, ...(lock && { lock }) });

/** The tags that a rule stands for. */
async function tagsOf(rule: TagRule): Promise<readonly string[] | undefined> {
  return (await mustLock(bench, of({ web: app(rule) }))).tags?.["web"]?.tags;
}

describe("tags by a rule", () => {
  it("are those in a range of versions, those that a pattern fits, and the newest", async () => {
    await pushTags(
      ...["1.7.9", "1.8.0", "v1.8.2", "1.10.0", "1.10.1-rc.1", "1.9.1-alpine", "1.10.0-alpine"],
      ...["2.0.0", "1.8", "latest", "20240901", "20241015", `sha256-${"0".repeat(64)}.sig`],
    );
    assertEquals(await tagsOf({ semver: "^1.8" }), ["1.10.0", "v1.8.2", "1.8.0"]);
    assertEquals(await tagsOf({ semver: "^1.8", newest: 2 }), ["1.10.0", "v1.8.2"]);
    assertEquals(await tagsOf({ semver: "1.7.x || >=2" }), ["2.0.0", "1.7.9"]);
    assertEquals(await tagsOf({ semver: "~1.10.1-rc.0" }), ["1.10.1-rc.1"]);
    assertEquals(await tagsOf({ semver: "^1.8", regex: "(.+)-alpine" }), [
      "1.10.0-alpine",
      "1.9.1-alpine",
    ]);
    assertEquals(await tagsOf({ regex: String.raw`\d{8}`, newest: 1 }), ["20241015"]);
    assertEquals(await tagsOf({ regex: String.raw`1\.\d+(?:\.\d+)?|sha256-.*` }), [
      "1.10.0",
      "1.8.0",
      "1.8",
      "1.7.9",
    ]);
  });

  it("are locked, each as a source of its own, and asked for no more", async () => {
    await pushTags("1.0.0", "1.1.0");
    const config = of({ web: app({ semver: "1" }) });
    const lock = await mustLock(bench, config);
    assertEquals(Object.keys(lock.sources), ["web:1.1.0", "web:1.0.0"]);
    await pushTags("1.2.0");
    const asked = bench.proxy.requests.length;
    const again = await bench.lock(config, lock);
    assertEquals([again.result.lock, again.result.changes, again.result.rules], [lock, [], []]);
    await stowageOf(config, lock).checkLock();
    assertEquals(bench.proxy.requests.length, asked);
    const { images } = await stowageOf(config, lock).fetch();
    assertEquals(images.map(({ name }) => name), ["web:1.1.0", "web:1.0.0"]);
    const one = await stowageOf(config, lock).fetch({ names: ["web:1.0.0"] });
    assertEquals(one.images.map(({ name }) => name), ["web:1.0.0"]);
    const found = await stowageOf(config, lock).list({ names: ["web"] });
    assertEquals(found.map(({ names }) => names), [["web:1.1.0", "web:1.0.0"]]);
    assertEquals(bench.proxy.requests.some(({ path }) => path.includes("/1.2.0")), false);
  });

  it("that are new or gone are told by outdated, and locked by an update", async () => {
    await pushTags("1.0.0", "1.1.0");
    const config = of({ web: app({ semver: "1", newest: 2 }) });
    const lock = await mustLock(bench, config);
    assertEquals((await bench.outdated(config, lock)).result.rules, []);
    await pushTags("1.2.0", "0.9.0");
    const { result, failures } = await bench.outdated(config, lock);
    assertEquals(failures, {});
    const repository = `${bench.proxy.host}/web`;
    assertEquals(result.rules, [{ name: "web", repository, added: ["1.2.0"], removed: ["1.0.0"] }]);
    assertEquals((await bench.outdated(config)).result.unpinned, ["web"]);
    const updated = await bench.lock(config, lock, { update: true, names: ["web"] });
    assertEquals(updated.result.rules, [
      { name: "web", from: ["1.1.0", "1.0.0"], to: ["1.2.0", "1.1.0"] },
    ]);
    assertEquals(
      updated.result.changes.map(({ name, change }) => `${change} ${name}`),
      ["added web:1.2.0", "removed web:1.0.0"],
    );
    assertEquals((await bench.outdated(config, updated.result.lock)).result.rules, []);
  });

  it("are asked for anew where the rule is another; what is named otherwise stays", async () => {
    await pushTags("1.0.0", "2.0.0");
    await bench.push("db:1", "db");
    const before = await mustLock(bench, of({ web: app({ semver: "1" }), db: bench.app("db:1") }));
    const config = of({ web: app({ semver: "2" }), db: bench.app("db:1") });
    const error = await assertRejects(() => stowageOf(config, before).checkLock(), LockError);
    assertEquals(error.code, "LOCK_STALE");
    assertStringIncludes(
      error.message,
      `web: the config has tags of ${bench.proxy.host}/web by semver "2", and the lock tags of ` +
        `${bench.proxy.host}/web by semver "1"`,
    );
    assertEquals(error.problems.length, 1);
    const other = await bench.lock(config, before, { names: ["db"] });
    assertEquals([other.result.lock, other.failures], [before, {}]);
    const { sources, tags } = await mustLock(bench, config, before);
    assertEquals([Object.keys(sources), tags?.["web"]?.tags], [["web:2.0.0", "db"], ["2.0.0"]]);
    const without = of({ db: bench.app("db:1") });
    const left = await assertRejects(() => stowageOf(without, before).checkLock(), LockError);
    assertEquals(left.problems.map(({ name }) => name), ["web"]);
    assertEquals((await bench.lock(without, before)).result.lock.tags, undefined);
  });

  it("are refused by all that needs them as long as nobody has locked them", async () => {
    await pushTags("1.0.0");
    const config = defineConfig({
      sources: { web: app({ semver: "1" }), db: bench.app("db:1") },
      inputs: { apps: images([{ source: "web" }]) },
      stages: { tree: unpack({ inputs: ["apps"] }) },
    });
    await bench.push("db:1", "db");
    const open = stowageOf(config);
    for (
      const run of [
        () => open.fetch(),
        () => open.build({ names: ["tree"] }),
        () => open.plan(),
        () => open.push({ to: bench.registry.host }),
        () => open.createBundle(bench.dir.join("site.tar")),
        () => open.gc(),
      ]
    ) {
      const error = await assertRejects(run, LockError, "Cannot tell which tags are meant");
      assertEquals(error.code, "LOCK_MISSING");
      assertStringIncludes(error.hint ?? "", "run `stowage lock`");
    }
    assertEquals(bench.proxy.requests.length, 0);
    assertEquals((await open.fetch({ names: ["db"] })).images.length, 1);
    assertEquals(open.graph.nodes.get("input/apps")?.needs, ["source/web"]);
  });

  it("give a stage all of their images, each by its own tag", async () => {
    await pushTags("1.0.0", "1.1.0");
    const config = defineConfig({
      sources: { web: app({ semver: "1" }) },
      inputs: { apps: images([{ source: "web" }]), named: images({ web: "localhost/app" }) },
    });
    const { graph } = stowageOf(config, await mustLock(bench, config));
    const node = graph.nodes.get("input/apps");
    const repository = `${bench.proxy.host}/web`;
    assertEquals(node?.kind === "input" && node.images, [
      { source: "source/web:1.0.0", names: [`${repository}:1.0.0`] },
      { source: "source/web:1.1.0", names: [`${repository}:1.1.0`] },
    ]);
    const named = graph.nodes.get("input/named");
    assertEquals(named?.kind === "input" && named.images.flatMap(({ names }) => names), [
      "localhost/app:1.0.0",
      "localhost/app:1.1.0",
    ]);
    const wrong = { ...config, inputs: { apps: images({ web: "localhost/app:1" }) } };
    const error = assertThrows(() => stowageOf(wrong), ConfigError);
    assertEquals(error.issues.map(({ path }) => path), ["inputs.apps.images.web"]);
  });

  it("are carried and pushed, each as its own tag", async () => {
    await pushTags("1.0.0", "1.1.0");
    const config = of({ web: app({ semver: "1" }) });
    const lock = await mustLock(bench, config);
    const site = bench.dir.join("site.tar");
    await stowageOf(config, lock).createBundle(site);
    const far = stowage(config, { root: bench.dir.path, store: bench.dir.join("far"), lock });
    assertEquals((await far.loadBundle(site)).lock, lock);
    const to = `${bench.registry.host}/mirror`;
    const { images } = await far.push({ to, tlsVerify: false });
    assertEquals(images.map(({ name, target }) => [name, target]), [
      ["web:1.1.0", `${to}/web:1.1.0`],
      ["web:1.0.0", `${to}/web:1.0.0`],
    ]);
    const { digest } = await bench.push("web", "web");
    assertEquals(images.map((image) => image.digest), [digest, digest]);
  });

  it("may be for several platforms", async () => {
    await bench.pushMany("web:1.0.0", "web", ["linux/amd64", "linux/arm64"]);
    const both = docker(`${bench.proxy.host}/web`, {
      ...{ tlsVerify: false, tags: { semver: "1" } },
      platforms: ["linux/amd64", "linux/arm64"],
    });
    const lock = await mustLock(bench, of({ web: both }));
    const { graph } = stowageOf(of({ web: both }), lock);
    assertEquals([...graph.nodes.keys()], [
      "source/web:1.0.0@linux/amd64",
      "source/web:1.0.0@linux/arm64",
    ]);
    assertEquals(Object.keys(lock.sources["web:1.0.0"]?.platforms ?? {}).length, 2);
  });

  it("are read page by page, on the same registry only", async () => {
    await pushTags("1.0.0", "1.1.0");
    const list = (query: RegExp, tags: string[], link?: string) => ({
      match: query,
      fault: {
        status: 200,
        headers: { "content-type": "application/json", ...(link && { link }) },
        body: JSON.stringify({ name: "web", tags }),
      },
    });
    bench.proxy.rules.push(
      list(/tags\/list\?n=1000$/, ["1.0.0"], `<list?n=1000&last=1.0.0>; rel="next"`),
      list(/tags\/list\?n=1000&last=1\.0\.0$/, ["1.1.0"]),
    );
    assertEquals(await tagsOf({ semver: "1" }), ["1.1.0", "1.0.0"]);
    const link = `<http://other.invalid/v2/web/tags/list?last=x>; rel="next"`;
    bench.proxy.rules.splice(0, 2, list(/tags\/list/, ["1.0.0"], link));
    const { failures } = await bench.lock(of({ web: app({ semver: "1" }) }));
    assertStringIncludes(`${failures["source/web"]}`, "continues its list of tags elsewhere");
  });

  it("that no registry lists, or that none fits, are an error; the rest is locked", async () => {
    await pushTags("1.0.0");
    const config = of({ web: app({ semver: "7" }), some: app({ semver: "1" }) });
    const nothing = await bench.lock(config);
    assertEquals(Object.keys(nothing.result.lock.sources), ["some:1.0.0"]);
    const error = errorOf(LockError, nothing, "web");
    assertStringIncludes(error.message, `no tag of "${bench.proxy.host}/web" fits semver "7"`);
    const lock = await mustLock(bench, of({ some: app({ semver: "1" }) }));
    bench.proxy.rules.push({ match: /tags\/list/, fault: { status: 503 } });
    const down = await bench.lock(of({ some: app({ semver: "1" }) }), lock, { update: true });
    assertEquals(down.result.lock, lock);
    assertStringIncludes(errorOf(FetchError, down, "some").message, "its tags cannot be listed");
    bench.proxy.rules.splice(0);
    const none = of({ web: docker(`${bench.proxy.host}/none`, { tags: { semver: "1" } }) });
    const gone = errorOf(FetchError, await bench.lock(none), "web");
    assertStringIncludes(gone.message, "its tags cannot be listed");
  });

  it("cannot stand beside what is of one image", () => {
    const digest = `sha256:${"1".repeat(64)}`;
    const wrong = (source: Config["sources"]) => {
      try {
        stowage({ sources: source ?? {} });
        return [];
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        return error.issues.map(({ path }) => path.replace("sources.web.", ""));
      }
    };
    const at = (reference: string, options: SourceOptions & { tags: TagRule }) =>
      wrong({ web: docker(reference, options) });
    const tags = { semver: "1" };
    assertEquals(at("acme.io/web:1", { tags }), ["reference"]);
    assertEquals(at(`acme.io/web@${digest}`, { tags }), ["reference"]);
    assertEquals(at("acme.io/web", { tags, digest, id: digest }), ["digest", "id"]);
    assertEquals(at("acme.io/web", { tags, fallback: [fromDir("web")] }), ["fallback.0"]);
    assertEquals(at("acme.io/web", { tags, fallback: [docker("b.io/web")] }), ["fallback.0"]);
    assertEquals(at("acme.io/web", { tags: {} }), ["tags"]);
    assertEquals(at("acme.io/web", { tags: { newest: 3 } }), ["tags"]);
    assertEquals(at("acme.io/web", { tags: { semver: "newest" } }), ["tags.semver"]);
    assertEquals(at("acme.io/web", { tags: { regex: "(" } }), ["tags.regex"]);
    assertEquals(at("acme.io/web", { tags: { regex: "a", newest: 0 } }), ["tags.newest"]);
  });
});
