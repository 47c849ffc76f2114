import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { exists } from "@std/fs/exists";
import { toFileUrl } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  ConfigError,
  defineConfig,
  docker,
  FetchError,
  inspectBundle,
  PlatformError,
  stowage,
  type StowageOptions,
  UsageError,
  verifyBundle,
} from "@stowage/stowage";
import { eventsOf, fetchApp, list, mustFail, mustFetch, typesOf } from "./sources/fixture.ts";
import { runJob } from "./sources/job.ts";
import { fixture } from "./support/fixture.ts";
import {
  busyboxLayer,
  fileLayer,
  nginxLikeLayer,
  type PushedImage,
  pushImage,
  pushIndex,
} from "./support/mod.ts";

const http = { tlsVerify: false };

const { dir, store, registry, proxy } = await fixture({ registry: true });
const base = await busyboxLayer();
const web = await pushImage(registry, "web:1", { layers: [base, await nginxLikeLayer()] });
const db = await pushImage(registry, "db:1", { layers: [base, await fileLayer({ a: "b" })] });
const index = await pushIndex(registry, "web:all", [web]);

function config(): Config {
  return defineConfig({
    sources: {
      web: docker(`${proxy.host}/web:1`, http),
      db: docker(`${proxy.host}/db:1`, http),
      none: docker(`${proxy.host}/none:1`, http),
      arm: docker(`${proxy.host}/web:all`, { ...http, platform: "linux/s390x" }),
    },
  });
}

const blobsAsked = () => proxy.requests.filter(({ path }) => path.includes("/blobs/"));

describe("plan()", () => {
  it("tells what a fetch would do, downloads nothing and leaves no trace", async () => {
    const { sources, bytes, stages } = await stowage(config(), { store, platform: "linux/amd64" })
      .plan();
    const [first, second, none, arm] = sources;
    const of = (image: PushedImage, name: string, bytes: number) => ({
      ...{ name, status: "fetch", from: `docker://${proxy.host}/${name}:1` },
      ...{ digest: image.digest, id: image.id, size: image.size, bytes, layers: 2, shared: 1 },
    });
    assertEquals<unknown>(first, of(web, "web", web.size));
    // Their base is fetched once.
    assertEquals<unknown>(second, of(db, "db", db.size - base.size));
    assert(none?.status === "failed" && none.error instanceof FetchError);
    assert(arm?.status === "failed" && arm.error instanceof PlatformError);
    assertEquals([bytes, stages], [web.size + db.size - base.size, []]);
    assertEquals(blobsAsked(), []);
    assertEquals(await exists(store), false);
  });

  it("leaves a store as it is, and tells what is there", async () => {
    const source = docker(`${proxy.host}/web@${web.digest}`, http);
    await mustFetch(source, { store });
    const before = await list(`${store}/tmp`);
    const asked = blobsAsked().length;
    const sources = { app: source, db: docker(`${proxy.host}/db:1`, http) };
    const plan = await stowage({ sources }, { store, platform: "linux/amd64" }).plan();
    const [app] = plan.sources;
    assert(app?.status === "cached");
    assertEquals([app.id, app.digest], [web.id, web.digest]);
    assertEquals(plan.bytes, db.size - base.size);
    assertEquals([blobsAsked().length, await list(`${store}/tmp`)], [asked, before]);
    assertEquals(await list(`${store}/sources/org.osbuild.containers`), [web.id]);
  });

  it("tells events, and that it is a plan", async () => {
    const types: string[] = [];
    await stowage(config(), { store, platform: "linux/amd64" }).plan({
      names: ["web"],
      onEvent: (event) => {
        types.push(event.type);
        if (event.type !== "start") return;
        assert(Math.abs(Date.parse(event.time) - Date.now()) < 60_000);
        assertEquals(event, {
          time: event.time,
          type: "start",
          action: "plan",
          sources: ["web"],
          keys: ["source/web"],
          store,
        });
      },
    });
    assertEquals(types, ["start", "notice", "resolved"]);
  });
});

describe("results", () => {
  it("say how long it took, in ms", async () => {
    const images = stowage({ sources: { db: docker(`${proxy.host}/db:1`, http) } }, {
      store,
      platform: "linux/amd64",
    });
    const [bundle, lock] = [dir.join("db.tar"), dir.join("images.lock.json")];
    const push = { to: `${registry.host}/copies`, ...http };
    const operations = {
      plan: () => images.plan(),
      makeLock: () => images.makeLock(),
      lock: () => images.lock(lock),
      fetch: () => images.fetch(),
      build: () => images.build(),
      outdated: () => images.outdated(),
      planPush: () => images.planPush(push),
      push: () => images.push(push),
      createBundle: () => images.createBundle(bundle),
      loadBundle: () => images.loadBundle(bundle),
      inspectBundle: () => inspectBundle(bundle),
      verifyBundle: () => verifyBundle(bundle),
      verify: () => images.verify(),
      gc: () => images.gc(),
    };
    for (const [name, operation] of Object.entries(operations)) {
      const start = performance.now();
      const { duration } = await operation();
      const took = performance.now() - start;
      assert(Number.isInteger(duration) && duration >= 0 && duration <= took + 1, name);
    }
    // So many bytes a second.
    proxy.rules.push({ match: /\/blobs\//, fault: { slow: web.size } });
    const other = { store: dir.join("other"), platform: "linux/amd64" };
    const source = docker(`${proxy.host}/web:1`, http);
    const { duration } = await stowage({ sources: { app: source } }, other).fetch();
    assert(duration > 200, `${duration} ms`);
  });
});

describe("names", () => {
  it("choose what is fetched", async () => {
    const { images } = await stowage(config(), { store, platform: "linux/amd64" }).fetch({
      names: ["db"],
    });
    assertEquals(images.map(({ name }) => name), ["db"]);
    assertEquals(proxy.requests.filter(({ path }) => path.includes("/web/")), []);
  });

  it("keep the order of the config, and each counts once", async () => {
    const { images } = await stowage(config(), { store, platform: "linux/amd64" }).fetch({
      names: ["db", "web", "db"],
    });
    assertEquals(images.map(({ name }) => name), ["web", "db"]);
  });

  it("that mean nothing are refused, with the nearest that does", async () => {
    const { fetch, plan, build, makeLock, outdated } = stowage(config(), {
      store,
      platform: "linux/amd64",
    });
    for (const run of [fetch, plan, build, makeLock, outdated]) {
      const error = await assertRejects(() => run({ names: ["wep"] }), UsageError);
      assertStringIncludes(error.message, '"wep"');
      assertEquals(error.hint, 'did you mean "web"?');
    }
    const far = await assertRejects(() => fetch({ names: ["entirely-else"] }), UsageError);
    assertEquals(far.hint, "names: web, db, none, arm");
    assertEquals(proxy.requests.length, 0);
    assertEquals(await exists(store), false);
  });
});

describe("options", () => {
  const wrong: [StowageOptions, string][] = [
    [{ jobs: 0 }, "jobs"],
    [{ jobs: 1.5 }, "jobs"],
    [{ attempts: 0 }, "attempts"],
    [{ retryDelay: -1 }, "retryDelay"],
    [{ stallTimeout: 0 }, "stallTimeout"],
    [{ stallTimeout: NaN }, "stallTimeout"],
    [{ minRate: -1 }, "minRate"],
    [{ jobs: Infinity }, "jobs"],
    [{ epoch: -1 }, "epoch"],
    [{ epoch: 9e12 }, "epoch"],
    [JSON.parse('{"jobs":"4"}'), "jobs"],
  ];
  for (const [options, name] of wrong) {
    it(`are refused: ${name} ${JSON.stringify(options)}`, () => {
      const error = assertThrows(() => stowage({ sources: {} }, options), UsageError);
      assertStringIncludes(error.message, `Cannot use ${name}: expected`);
    });
  }

  it("name SOURCE_DATE_EPOCH and its value", () => {
    const before = Deno.env.get("SOURCE_DATE_EPOCH");
    try {
      for (const value of ["abc", "1.5", "-1", "1e3", " 1", "9".repeat(12)]) {
        Deno.env.set("SOURCE_DATE_EPOCH", value);
        const { message, hint } = assertThrows(() => stowage({ sources: {} }), UsageError);
        assertEquals(message, `Cannot use SOURCE_DATE_EPOCH: it is "${value}"`);
        assertStringIncludes(hint ?? "", "whole seconds since 1970");
      }
    } finally {
      if (before === undefined) Deno.env.delete("SOURCE_DATE_EPOCH");
      else Deno.env.set("SOURCE_DATE_EPOCH", before);
    }
  });

  it("do not hide what is wrong with a config", () => {
    const sources = { app: docker("NOT A REFERENCE") };
    const error = assertThrows(() => stowage({ sources }), ConfigError);
    assertEquals(error.issues.map(({ path }) => path), ["sources.app.reference"]);
  });

  it("say where the store is, else the environment does, else the root", async () => {
    const storeOf = async (options: StowageOptions) => {
      let found = "";
      const onEvent = (event: { type: string; store?: string }) => found ||= event.store ?? "";
      await stowage({ sources: {} }, options).plan({ onEvent });
      return found;
    };
    assertEquals(await storeOf({ store, root: dir.path }), store);
    assertEquals(await storeOf({ root: dir.path }), dir.join(".stowage"));
    assertEquals(await storeOf({ root: toFileUrl(dir.path) }), dir.join(".stowage"));
    const env = { STOWAGE_STORE: dir.join("elsewhere") };
    const { events: [start] } = await runJob({ sources: {}, options: { root: dir.path }, env });
    assert(start?.type === "start");
    assertEquals(start.store, dir.join("elsewhere"));
  });

  it("name the platform of sources that do not", async () => {
    const source = docker(`${proxy.host}/web:all`, http);
    const { error } = await mustFail(PlatformError, source, { store, platform: "armhf" });
    assertEquals([error.platform, error.offered], ["linux/arm/v7", ["linux/amd64"]]);
    const { image } = await mustFetch(source, { store, platform: "amd64" });
    assertEquals(image.platform, "linux/amd64");
  });
});

describe("offline", () => {
  const offline = true;

  it("serves what is pinned and there, and asks nobody", async () => {
    const { digest } = web;
    for (const pins of [{ digest }, { id: web.id }, { digest: index.digest }]) {
      const name = pins.digest === index.digest ? "web:all" : "web:1";
      const source = docker(`${proxy.host}/${name}`, { ...http, ...pins });
      await mustFetch(source, { store });
      const asked = proxy.requests.length;
      const { image, events } = await mustFetch(source, { store, offline });
      assertEquals([image.status, image.id, image.digest], ["cached", web.id, web.digest]);
      assertEquals(typesOf(events), ["start", "image"]);
      assertEquals(proxy.requests.length, asked);
    }
  });

  it("serves what a tag was when it was fetched last, and says so", async () => {
    const source = docker(`${proxy.host}/web:1`, http);
    await mustFetch(source, { store });
    await mustFetch(docker(`${proxy.host}/db:1`, http), { store });
    const asked = proxy.requests.length;
    const { image, events } = await mustFetch(source, { store, offline });
    assertEquals([image.status, image.id, image.digest], ["cached", web.id, web.digest]);
    const [notice, ...others] = eventsOf(events, "notice");
    assertEquals([notice?.code, others], ["UNPINNED_OFFLINE", []]);
    assertStringIncludes(notice?.message ?? "", "it is the image that was fetched for it last");
    assertEquals(proxy.requests.length, asked);
  });

  it("takes the last of two images that a tag was", async () => {
    const moving = await pushImage(registry, "moving:1", {
      layers: [await fileLayer({ a: "1" })],
    });
    const source = docker(moving.reference, http);
    await mustFetch(source, { store });
    const moved = await pushImage(registry, "moving:1", { layers: [await fileLayer({ a: "2" })] });
    await mustFetch(source, { store });
    assertEquals((await mustFetch(source, { store, offline })).image.id, moved.id);
    await pushImage(registry, "moving:1", { layers: [await fileLayer({ a: "1" })] });
    await mustFetch(source, { store });
    assertEquals((await mustFetch(source, { store, offline })).image.id, moving.id);
  });

  it("says what to do where nothing is there", async () => {
    const source = docker(`${proxy.host}/web:1`, http);
    const { error } = await mustFail(FetchError, source, { store, offline });
    assertEquals(error.attempts.map(({ reason }) => reason), ["offline"]);
    assertStringIncludes(error.hint ?? "", "without --offline");
    assertEquals(proxy.requests.length, 0);
    await mustFetch(source, { store });
    const pinned = docker(`${proxy.host}/web:1`, { ...http, id: db.id });
    await mustFail(FetchError, pinned, { store, offline });
    const arm = docker(`${proxy.host}/web:1`, { ...http, platform: "arm64" });
    await mustFail(FetchError, arm, { store, offline });
  });

  it("is the way out where the registry is down, and told as that", async () => {
    const source = docker(`${proxy.host}/web:1`, http);
    await mustFetch(source, { store });
    proxy.rules.push({ match: /./, fault: { status: 404 } });
    const { error } = await mustFail(FetchError, source, { store });
    assertStringIncludes(error.hint ?? "", "--offline");
    const { image } = await mustFetch(source, { store, offline: true });
    assertEquals(image.status, "cached");
  });

  it("does not serve what was fetched by another name", async () => {
    await mustFetch(docker(`${proxy.host}/web:1`, http), { store });
    const { error } = await fetchApp(docker(`${proxy.host}/web:2`, http), { store, offline });
    assert(error instanceof FetchError);
  });
});

describe("an error", () => {
  it("is plain data for those who want it", async () => {
    const source = docker(`${proxy.host}/none:1`, http);
    const { error, events } = await mustFail(FetchError, source, { store });
    const data = JSON.parse(JSON.stringify(error));
    assertEquals(data, {
      ...{ code: "FETCH_FAILED", item: "app", message: error.message, hint: error.hint },
      attempts: [{
        ...{ transport: "docker", reference: `docker://${proxy.host}/none:1` },
        ...{ reason: "unknown", message: error.attempts[0]?.message },
      }],
    });
    assertEquals(eventsOf(events, "failed")[0]?.error, data);
  });
});
