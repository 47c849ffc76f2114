import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { containersStorage, docker, FetchError, fromDir } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  containerStorage,
  copyTo,
  type Fault,
  pushImage,
  randomLayer,
  startRegistry,
} from "../support/mod.ts";
import {
  assertNothingLeft,
  assertStored,
  eventsOf,
  mustFail,
  mustFetch,
  programsWith,
  typesOf,
} from "./fixture.ts";

const http = { tlsVerify: false };
const MANIFEST = /^GET .*\/manifests\//;
const BLOB = /^GET .*\/blobs\//;

const { dir, store, registry, proxy } = await fixture({ registry: true });
const app = await pushImage(registry, "app:1", { layers: [await randomLayer({ size: 300_000 })] });
let reference: string;

beforeEach(() => void (reference = `${proxy.host}/app:1`));

const isLayer = ({ path }: { path: string }) => path.endsWith(app.layers[0]!.digest);

describe("a registry that is ill for a moment", () => {
  const faults: [string, RegExp | typeof isLayer, Fault, string][] = [
    ["answers 500", MANIFEST, { status: 500 }, "500"],
    ["answers 503 to its ping", /^GET \/v2\/$/, { status: 503 }, "503"],
    ["answers 502 for a layer", isLayer, { status: 502 }, "502"],
    ["closes the connection", MANIFEST, "refuse", "cannot reach"],
    ["resets the connection", BLOB, "reset", "reset"],
    ["cuts a manifest", MANIFEST, { cutAfter: 50 }, "was lost after 50 bytes"],
    ["cuts a layer", isLayer, { cutAfter: 100_000 }, "was lost after 100000 bytes"],
    ["sends less of a layer than it says", isLayer, { wrongLength: 9 }, "was lost"],
  ];
  for (const [what, match, fault, says] of faults) {
    it(`is asked again: it ${what}`, async () => {
      proxy.rules.push({ match, fault, times: 2 });
      const { image, events } = await mustFetch(docker(reference, http), { store, attempts: 3 });
      await assertStored(store, image, app);
      const retries = eventsOf(events, "retry");
      // A connection that is lost before an answer is opened again at once, without a word.
      assert(retries.length > 0);
      assertEquals(
        retries.map(({ name, from, attempt, attempts }) => [name, from, attempt, attempts]),
        retries.map((_, n) => ["app", `docker://${reference}`, 2 + n, 3]),
      );
      for (const { reason } of retries) assertStringIncludes(reason, says);
      assertEquals(eventsOf(events, "absent"), []);
      await assertNothingLeft(store, 1);
    });
  }

  it("is asked as often as told, and then the next place is", async () => {
    await copyTo(registry, app, `dir:${dir.join("app")}`);
    proxy.rules.push({ match: MANIFEST, fault: { status: 500 } });
    const source = docker(reference, { ...http, fallback: [fromDir(dir.join("app"))] });
    const { image, events } = await mustFetch(source, { store, attempts: 4 });
    assertEquals(image.from, `dir:${dir.join("app")}`);
    const types = ["start", "retry", "retry", "retry", "absent", "resolved", "image"];
    assertEquals(typesOf(events), types);
    assertEquals(proxy.requests.filter(({ path }) => path.includes("manifests")).length, 4);
  });

  it("is asked again for a layer, and then the next place is", async () => {
    await copyTo(registry, app, `dir:${dir.join("app")}`);
    proxy.rules.push({ match: isLayer, fault: { cutAfter: 1000 } });
    const source = docker(reference, { ...http, fallback: [fromDir(dir.join("app"))] });
    const { image, events } = await mustFetch(source, { store, attempts: 2 });
    assertEquals(image.from, `dir:${dir.join("app")}`);
    const types = ["start", "resolved", "retry", "absent", "resolved", "image"];
    assertEquals(typesOf(events), types);
    await assertNothingLeft(store, 1);
  });
});

describe("a registry that cuts a layer and gives no part of it", () => {
  const isPart = ({ headers }: { headers: Readonly<Record<string, string>> }) =>
    headers["range"] !== undefined;

  it("is asked for the whole once it has refused the rest as often as it is asked", async () => {
    proxy.rules.push(
      { match: isPart, fault: { status: 500 } },
      { match: isLayer, fault: { cutAfter: 100_000 }, times: 1 },
    );
    const { image, events } = await mustFetch(docker(reference, http), { store, attempts: 2 });
    await assertStored(store, image, app);
    assertEquals(eventsOf(events, "retry").length, 1);
    const ranges = proxy.requests.filter(isLayer).map(({ headers }) => headers["range"]);
    assertEquals(ranges, [undefined, "bytes=100000-", undefined]);
  });

  it("keeps what has come where it does not give the whole either", async () => {
    proxy.rules.push(
      { match: isLayer, fault: { cutAfter: 100_000 }, times: 1 },
      { match: isLayer, fault: { status: 500 } },
    );
    await mustFail(FetchError, docker(reference, http), { store, attempts: 2 });
    proxy.rules.length = 0;
    const { image } = await mustFetch(docker(reference, http), { store });
    await assertStored(store, image, app);
    assertEquals(proxy.requests.findLast(isLayer)?.headers["range"], "bytes=100000-");
  });
});

describe("a registry that hangs", () => {
  const places = { "its ping": /v2\/$/, "a manifest": MANIFEST, "a layer": BLOB };
  for (const [what, match] of Object.entries(places)) {
    it(`is given up after a while: ${what}`, async () => {
      proxy.rules.push({ match, fault: "hang" });
      const options = { store, attempts: 2, stallTimeout: 100 };
      const { error, events } = await mustFail(FetchError, docker(reference, http), options);
      assertEquals(error.attempts.map(({ reason }) => reason), ["stalled"]);
      assert(eventsOf(events, "retry").length > 0);
      assertEquals(await programsWith(store), []);
      await assertNothingLeft(store, 0);
    });

    it(`is asked again: ${what}`, async () => {
      proxy.rules.push({ match, fault: "hang", times: 1 });
      const options = { store, attempts: 2, stallTimeout: 800 };
      const { image, events } = await mustFetch(docker(reference, http), options);
      await assertStored(store, image, app);
      const [retry] = eventsOf(events, "retry");
      assertStringIncludes(retry?.reason ?? "", "nothing arrived");
    });
  }

  it("is not taken for one that is slow", async () => {
    proxy.rules.push({ match: isLayer, fault: { slow: 300_000 } });
    const begin = performance.now();
    const options = { store, attempts: 1, stallTimeout: 600 };
    const { image } = await mustFetch(docker(reference, http), options);
    await assertStored(store, image, app);
    assert(performance.now() - begin > 600);
  });
});

describe("a registry that gives a byte now and then", () => {
  for (const [what, match] of Object.entries({ "a manifest": MANIFEST, "a layer": isLayer })) {
    it(`is given up as if it gave none: ${what}`, async () => {
      proxy.rules.push({ match, fault: { slow: 40 } });
      const options = { store, attempts: 1, stallTimeout: 400, minRate: 1_000 };
      const { error } = await mustFail(FetchError, docker(reference, http), options);
      const [{ reason, message } = { reason: "", message: "" }] = error.attempts;
      assertEquals(reason, "stalled");
      assertStringIncludes(message, "fewer than 1000 bytes a second arrived");
      assertEquals(await programsWith(store), []);
    });
  }
});

describe("a registry that says no", () => {
  const statuses = { 401: "denied", 403: "denied", 404: "unknown", 400: "unreachable" } as const;
  for (const [status, reason] of Object.entries(statuses)) {
    for (const [what, match] of Object.entries({ manifest: MANIFEST, layer: isLayer })) {
      it(`is not asked again: ${status} for a ${what}`, async () => {
        await copyTo(registry, app, `dir:${dir.join("app")}`);
        proxy.rules.push({ match, fault: { status: Number(status), body: "no" } });
        const source = docker(reference, { ...http, fallback: [fromDir(dir.join("app"))] });
        const { events } = await mustFetch(source, { store });
        assertEquals(eventsOf(events, "retry"), []);
        assertEquals(eventsOf(events, "absent").map((event) => event.reason), [reason]);
      });
    }
  }

  it("is waited for as long as Retry-After says", async () => {
    const begin = performance.now();
    const fault = { status: 429, headers: { "retry-after": "1" } };
    proxy.rules.push({ match: MANIFEST, fault, times: 1 });
    const { image, events } = await mustFetch(docker(reference, http), { store });
    await assertStored(store, image, app);
    assertEquals(typesOf(events), ["start", "notice", "retry", "resolved", "image"]);
    const [notice] = eventsOf(events, "notice");
    const message = `"${proxy.host}" asks to be left alone for 1 s`;
    assertEquals([notice?.code, notice?.message], ["REGISTRY_BUSY", message]);
    assert(performance.now() - begin >= 1000);
  });

  it("is left for another place when it says 429 all the time", async () => {
    await copyTo(registry, app, `dir:${dir.join("app")}`);
    const fault = { status: 429, headers: { "retry-after": "0" } };
    proxy.rules.push({ match: MANIFEST, fault });
    const source = docker(reference, { ...http, fallback: [fromDir(dir.join("app"))] });
    const { events } = await mustFetch(source, { store });
    assertEquals(typesOf(events), ["start", "retry", "retry", "absent", "resolved", "image"]);
    assertEquals(eventsOf(events, "absent")[0]?.reason, "rate-limited");
  });
});

describe("an image that is nowhere", () => {
  it("fails with every place that was tried, and why", async () => {
    await using storage = await containerStorage();
    await copyTo(registry, app, storage.reference("localhost/other:1"));
    await using away = await startRegistry();
    await away.stop();
    proxy.rules.push({ match: /\/denied\//, fault: { status: 403 } });
    const location = `[${storage.driver}@${storage.root}+${storage.runRoot}]`;
    const fallback = [
      docker(`${registry.host}/app:none`, http),
      docker(`${proxy.host}/denied/app:1`, http),
      containersStorage({ location }),
      fromDir(dir.join("none")),
    ];
    const source = docker(`${away.host}/app:1`, { ...http, fallback });
    const { error, events } = await mustFail(FetchError, source, { store, attempts: 1 });
    assertEquals(
      error.attempts.map(({ transport, reference, reason }) => [transport, reference, reason]),
      [
        ["docker", `docker://${away.host}/app:1`, "unreachable"],
        ["docker", `docker://${registry.host}/app:none`, "unknown"],
        ["docker", `docker://${proxy.host}/denied/app:1`, "denied"],
        ["containers-storage", `containers-storage:${location}${away.host}/app:1`, "unknown"],
        ["dir", `dir:${dir.join("none")}`, "unknown"],
      ],
    );
    const whys = ["Connection refused", "manifest unknown", "403", "does not resolve", "no such"];
    for (const [at, { reference, message }] of error.attempts.entries()) {
      assertStringIncludes(message, whys[at]!);
      assertStringIncludes(error.message, `${reference}: `);
      assertStringIncludes(error.message, message);
    }
    assertEquals(
      eventsOf(events, "absent").map(({ from, reason, message }) => [from, reason, message]),
      error.attempts.map(({ reference, reason, message }) => [reference, reason, message]),
    );
    await assertNothingLeft(store, 0);
  });

  it("fails with a hint that fits", async () => {
    const hint = async (...args: Parameters<typeof docker>) =>
      (await mustFail(FetchError, docker(...args), { store, attempts: 1 })).error.hint ?? "";
    assertStringIncludes(await hint(reference), "tlsVerify: false");
    assertStringIncludes(await hint(`${proxy.host}/app:none`, http), "typing error");
    const gone = await hint(`${proxy.host}/app@sha256:${"0".repeat(64)}`, http);
    assertStringIncludes(gone, "put another into sources.app");
    proxy.rules.push({ match: MANIFEST, fault: { status: 401 } });
    assertStringIncludes(await hint(reference, http), "skopeo login");
    await using safe = await startRegistry({ tls: true });
    assertStringIncludes(await hint(`${safe.host}/app:1`), "certs.d");
    assertStringIncludes(await hint("127.0.0.1:1/app:1", http), "add a fallback");
  });
});
