import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { ContentError, docker, FetchError, RunError, stowage } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  copyTo,
  type ProxyRequest,
  type PushedImage,
  pushImage,
  randomLayer,
} from "../support/mod.ts";
import { assertNothingLeft, assertStored, eventsOf, fetchAll } from "./fixture.ts";
import { startJob } from "./job.ts";

const http = { tlsVerify: false };

const { store, registry, proxy } = await fixture({ registry: true });
const app = await pushImage(registry, "app:1", { layers: [await randomLayer({ size: 200_000 })] });

function layersAsked(): number {
  const layer = app.layers[0]!.digest;
  return proxy.requests.filter(({ path }) => path.endsWith(layer)).length;
}

describe("the same image at the same time", () => {
  it("is fetched by two processes, and both have it", async () => {
    // Slow enough that each begins while the other is at it.
    proxy.rules.push({ match: /\/blobs\//, fault: { slow: 130_000 } });
    const source = docker(`${proxy.host}/app:1`, http);
    const job = { sources: { app: source }, options: { store } };
    await using first = await startJob(job);
    await using second = await startJob(job);
    await Promise.all([first.go(), second.go()]);
    const results = await Promise.all([first.until("result"), second.until("result")]);
    assertEquals(layersAsked(), 1);
    for (const { images: [image] } of results) {
      assert(image);
      assertEquals(image.status, "fetched");
      await assertStored(store, image, app);
    }
    await assertNothingLeft(store, 1);
  });

  it("is downloaded once for two sources of one run", async () => {
    await copyTo(registry, app, `docker://${registry.host}/again:1`, "--dest-tls-verify=false");
    const sources = {
      one: docker(`${proxy.host}/app:1`, http),
      two: docker(`${proxy.host}/again:1`, http),
      three: docker(`${proxy.host}/app@${app.digest}`, http),
    };
    const { images } = await fetchAll(sources, { store });
    assertEquals(images.map(({ name }) => name), ["one", "two", "three"]);
    const statuses = images.map(({ status }) => status).sort();
    assertEquals(statuses, ["cached", "cached", "fetched"]);
    for (const image of images) await assertStored(store, image, app);
    assertEquals(layersAsked(), 1);
    await assertNothingLeft(store, 1);
    const origins = await Deno.readTextFile(`${images[0]?.path}/../origin.json`);
    assertEquals(
      JSON.parse(origins).origins.map(({ reference }: { reference: string }) => reference).sort(),
      [
        `docker://${proxy.host}/again:1`,
        `docker://${proxy.host}/app:1`,
        `docker://${proxy.host}/app@${app.digest}`,
      ].sort(),
    );
  });

  it("is downloaded by the second source if the first cannot", async () => {
    const layer = app.layers[0]!.digest;
    const match = ({ path }: { path: string }) => path.endsWith(layer);
    // skopeo is told no as well.
    proxy.rules.push({ match, fault: { status: 404 }, times: 2 });
    const source = docker(`${proxy.host}/app:1`, http);
    const { images, failures } = await fetchAll({ one: source, two: source }, { store });
    assertEquals(images.map(({ status }) => status), ["fetched"]);
    for (const error of Object.values(failures)) assertInstanceOf(error, FetchError);
    assertEquals([Object.keys(failures).length, layersAsked()], [1, 3]);
    await assertNothingLeft(store, 1);
  });
});

describe("many images", () => {
  let pushed: PushedImage[];

  beforeEach(async () => {
    pushed = [];
    for (let seed = 1; seed <= 10; seed++) {
      const layers = [await randomLayer({ size: 50_000, seed })];
      pushed.push(await pushImage(registry, `many/${seed}:1`, { layers }));
    }
  });

  for (const [jobs, count, most] of [[1, 3, 1], [3, 9, 6], [10, 10, 10]] as const) {
    it(`come side by side, by ${most} programs at most where there are ${jobs} jobs`, async () => {
      let [active, highest] = [0, 0];
      const isOf = (part: string) => (request: ProxyRequest) =>
        request.headers["user-agent"]?.startsWith("skopeo") === true &&
        request.path.includes(part);
      // Each program asks for the manifest first and for the config last.
      const match = (request: ProxyRequest) => {
        if (isOf("/blobs/")(request)) active--;
        if (!isOf("/manifests/")(request)) return false;
        highest = Math.max(highest, ++active);
        return true;
      };
      proxy.rules.push({ match, fault: { slow: 1_000 } });
      const sources = Object.fromEntries(
        pushed.slice(0, count).map((
          _,
          at,
        ) => [`app-${at + 1}`, docker(`${proxy.host}/many/${at + 1}:1`, http)]),
      );
      const { images, events } = await fetchAll(sources, { store, jobs });
      assertEquals(images.map(({ name }) => name), Object.keys(sources));
      for (const [at, image] of images.entries()) await assertStored(store, image, pushed[at]!);
      assertEquals([highest, active], [most, 0]);
      // What costs little does not wait for that.
      const types = events.map(({ type }) => type);
      if (jobs > 1) assert(types.lastIndexOf("resolved") < types.indexOf("image"));
      await assertNothingLeft(store, count);
    });
  }

  it("do not wait for a registry that asks to be left alone, where theirs is another", async () => {
    const fault = { status: 429, headers: { "retry-after": "1" } };
    proxy.rules.push({ match: /manifests/, times: 1, fault });
    const [slow, fast] = [docker(`${proxy.host}/app:1`, http), docker(app.reference, http)];
    const { events } = await fetchAll({ one: slow, two: slow, three: fast }, { store, jobs: 2 });
    assertEquals(eventsOf(events, "image").map(({ name }) => name).at(0), "three");
  });

  it("do not stop each other when some fail", async () => {
    const [first, last] = [docker(pushed[0]!.reference, http), docker(pushed[9]!.reference, http)];
    const sources = {
      first,
      absent: docker(`${registry.host}/none:1`, http),
      wrong: docker(pushed[1]!.reference, { ...http, id: app.id }),
      last,
    };
    const run = stowage({ sources }, { store, jobs: 1 }).fetch();
    const error = await assertRejects(() => run, RunError);
    assertEquals(Object.keys(error.failures), ["source/absent", "source/wrong"]);
    assertInstanceOf(error.failures["source/absent"], FetchError);
    assertInstanceOf(error.failures["source/wrong"], ContentError);
    assertEquals(
      error.result.images.map(({ name, id }: { name: string; id: string }) => [name, id]),
      [["first", pushed[0]?.id], ["last", pushed[9]?.id]],
    );
    assertEquals([error.code, error.message.split("\n")[0]], [
      "RUN_FAILED",
      "Cannot finish: 2 of 4 failed",
    ]);
    const { events } = await fetchAll(sources, { store });
    assertEquals(
      eventsOf(events, "failed").map(({ name, error }) => [name, error.code]).sort(),
      [["absent", "FETCH_FAILED"], ["wrong", "CONTENT_MISMATCH"]],
    );
    await assertNothingLeft(store, 2);
  });
});
