import { assert, assertEquals, assertRejects } from "@std/assert";
import { retry } from "@std/async/retry";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { docker, InterruptedError } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, randomLayer } from "../support/mod.ts";
import {
  assertNothingLeft,
  assertStored,
  fetchAll,
  fetchApp,
  list,
  mustFetch,
  programsWith,
} from "./fixture.ts";
import { startJob } from "./job.ts";

const http = { tlsVerify: false };
/** Asks until it is so. */
const OFTEN = { minTimeout: 10, multiplier: 1, maxAttempts: 1000 };
/** Would take minutes. */
const SLOW = { slow: 40_000 };

const { store, registry, proxy } = await fixture({ registry: true });
const large = await pushImage(registry, "large:1", {
  layers: [await randomLayer({ size: 5_000_000 })],
});
const small = await pushImage(registry, "small:1", { layers: [await fileLayer({ a: "b" })] });
let reference: string;

beforeEach(() => void (reference = `${proxy.host}/large:1`));

const isBySkopeo = ({ headers }: { headers: Readonly<Record<string, string>> }) =>
  headers["user-agent"]?.startsWith("skopeo") ?? false;
const isLayer = ({ path }: { path: string }) => path.endsWith(large.layers[0]!.digest);

describe("a run that is interrupted", () => {
  it("in the middle of a layer rejects at once, and keeps what has come of it", async () => {
    proxy.rules.push({ match: isLayer, times: 1, fault: SLOW });
    const interrupt = new AbortController();
    let at = Infinity;
    const onEvent = ({ type }: { type: string }) => {
      if (type !== "progress" || interrupt.signal.aborted) return;
      at = performance.now();
      interrupt.abort(new Error("enough"));
    };
    const error = await assertRejects(
      () => fetchApp(docker(reference, http), { store, onEvent, signal: interrupt.signal }),
      InterruptedError,
    );
    assert(performance.now() - at < 3000);
    assertEquals(await programsWith(store), []);
    assertEquals([error.code, error.cause], ["INTERRUPTED", interrupt.signal.reason]);
    await assertNothingLeft(store, 0);

    const { image } = await mustFetch(docker(reference, http), { store });
    await assertStored(store, image, large);
    assertEquals(proxy.requests.filter(isLayer).map(({ status }) => status), [200, 206]);
  });

  it("while skopeo works ends it, and leaves nothing", async () => {
    const interrupt = new AbortController();
    let running: Promise<string[]> | undefined;
    proxy.rules.push({
      match: (request) => {
        if (!isBySkopeo(request)) return false;
        running = programsWith(store).finally(() => interrupt.abort());
        return true;
      },
      times: 1,
      fault: "hang",
    });
    const { signal } = interrupt;
    const source = docker(`${proxy.host}/small:1`, http);
    await assertRejects(() => fetchApp(source, { store, signal }), InterruptedError);
    const [program = "", ...others] = await running ?? [];
    assert(program.includes("skopeo"), program);
    assertEquals(others, []);
    assertEquals(await programsWith(store), []);
    await assertNothingLeft(store, 0);
  });

  it("while a registry does not answer rejects at once", async () => {
    const interrupt = new AbortController();
    proxy.rules.push({
      match: ({ path }) => {
        if (path.includes("manifests")) interrupt.abort();
        return path.includes("manifests");
      },
      fault: "hang",
    });
    const { signal } = interrupt;
    await assertRejects(
      () => fetchApp(docker(reference, http), { store, signal }),
      InterruptedError,
    );
    assertEquals(await programsWith(store), []);
    await assertNothingLeft(store, 0);
  });

  it("between two tries rejects at once", async () => {
    const interrupt = new AbortController();
    proxy.rules.push({ match: /manifests/, fault: { status: 500 } });
    const options = { store, signal: interrupt.signal, retryDelay: 600_000 };
    const over = assertRejects(() => fetchApp(docker(reference, http), options), InterruptedError);
    // skopeo has ended after it was told no, and another one does not begin.
    const asked = () => assert(proxy.requests.some(({ status }) => status === 500));
    await retry(asked, OFTEN);
    const idle = async () => assertEquals(await programsWith(store), []);
    await retry(idle, OFTEN);
    interrupt.abort();
    await over;
    await assertNothingLeft(store, 0);
  });

  it("stops all of its items, and does not begin another", async () => {
    proxy.rules.push({ match: isLayer, fault: SLOW });
    const interrupt = new AbortController();
    const names = ["a", "b", "c", "d"];
    const sources = Object.fromEntries(
      names.map((name) => [name, docker(reference, { ...http, id: large.id })]),
    );
    const failed: string[] = [];
    await assertRejects(
      () =>
        fetchAll({ ...sources, last: docker(small.reference, http) }, {
          ...{ store, jobs: 2, signal: interrupt.signal },
          onEvent: (event) => {
            if (event.type === "progress") interrupt.abort();
            if (event.type === "failed" || event.type === "image") failed.push(event.name);
          },
        }),
      InterruptedError,
    );
    assertEquals(failed, []);
    assertEquals(await programsWith(store), []);
    await assertNothingLeft(store, 0);
  });

  it("by a listener that throws rejects with what it threw", async () => {
    proxy.rules.push({ match: isLayer, fault: SLOW });
    for (const type of ["progress", "resolved"]) {
      const oops = new Error("oops");
      const onEvent = (event: { type: string }) => {
        if (event.type === type) throw oops;
      };
      const error = await assertRejects(() =>
        fetchApp(docker(reference, http), { store, onEvent })
      );
      assert(error === oops);
      assertEquals(await programsWith(store), []);
      await assertNothingLeft(store, 0);
    }
  });

  it("before it begins asks for nothing", async () => {
    const signal = AbortSignal.abort();
    await assertRejects(
      () => fetchApp(docker(reference, http), { store, signal }),
      InterruptedError,
    );
    assertEquals(proxy.requests.length, 0);
  });
});

describe("a process that is killed", () => {
  it("takes skopeo along; the next run clears what it left, and only that", async () => {
    const asked = () => proxy.requests.filter(isBySkopeo).length;
    const hasAsked = async (times: number) => {
      await retry(() => assertEquals(asked(), times), OFTEN);
    };
    proxy.rules.push({ match: isBySkopeo, times: 2, fault: "hang" });
    const job = { sources: { app: docker(`${proxy.host}/small:1`, http) }, options: { store } };
    await using living = await startJob(job);
    await living.go();
    await hasAsked(1);
    const before = await list(`${store}/tmp`);
    const [program] = await programsWith(store);

    await using killed = await startJob(job);
    await killed.go();
    await hasAsked(2);
    assertEquals((await programsWith(store)).length, 2 * 2, "two skopeos, two stowages");
    assertEquals((await list(`${store}/tmp`)).length, 2 * before.length);
    await killed.kill();
    const left = async () => assertEquals((await programsWith(store)).length, 2);
    await retry(left, OFTEN);
    assert((await programsWith(store)).includes(program!));
    assertEquals((await list(`${store}/tmp`)).length, 2 * before.length);

    await mustFetch(docker(small.reference, http), { store });
    assertEquals(await list(`${store}/tmp`), before);
    assert(!living.lines.some(({ type }) => type === "failed" || type === "error"));

    await living.kill();
    await mustFetch(docker(small.reference, http), { store });
    await assertNothingLeft(store, 1);
  });
});
