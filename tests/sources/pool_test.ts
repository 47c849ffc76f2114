import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { ContentError, docker, type RegistryOptions, type StowageEvent } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  type ProxyRequest,
  type PushedImage,
  pushImage,
  randomLayer,
  run,
} from "../support/mod.ts";
import {
  assertNothingLeft,
  assertStored,
  eventsOf,
  fetchAll,
  list,
  mustFail,
  mustFetch,
} from "./fixture.ts";
import { startJob } from "./job.ts";

const http = { tlsVerify: false };
const BASE = 4_000_000;

const { dir, store, registry, proxy } = await fixture({ registry: true });
const base = await randomLayer({ size: BASE });
const images: PushedImage[] = [];
for (const seed of [1, 2, 3]) {
  const layers = [base, await randomLayer({ size: 100_000, seed })];
  images.push(await pushImage(registry, `family/${seed}:1`, { layers }));
}

const family = () =>
  Object.fromEntries(
    images.map((_, n) => [`app${n + 1}`, docker(`${proxy.host}/family/${n + 1}:1`, http)]),
  );
const first = () => docker(`${proxy.host}/family/1:1`, http);
const baseOf = (image = images[0]!) => image.layers[0]!;
const isBase = ({ path }: { path: string }) => path.endsWith(baseOf().digest);
const file = (digest: string) => digest.slice("sha256:".length);
const layers = new Set(images.flatMap(({ layers }) => layers.map(({ digest }) => digest)));
const layerOf = ({ path }: { path: string }) => path.split("/").at(-1) ?? "";
/** Requests for layers, whoever sends them: skopeo does where it should leave them out. */
const asked = () => proxy.requests.filter((request) => layers.has(layerOf(request)));
/** Bytes of layers that came over the wire. */
const sent = () => asked().reduce((sum, { bytes }) => sum + bytes, 0);
const unique = () =>
  new Map(images.flatMap(({ layers }) => layers).map(({ digest, size }) => [digest, size]))
    .values().reduce((sum, size) => sum + size, 0);

describe("images that share a layer", () => {
  it("fetch it once, whoever is first", async () => {
    const { images: fetched, failures } = await fetchAll(family(), { store, jobs: 3 });
    assertEquals(failures, {});
    for (const [n, image] of fetched.entries()) await assertStored(store, image, images[n]!);
    assertEquals(asked().map(layerOf).sort(), [...layers].sort(), "each is asked for once");
    assertEquals(sent(), unique());
  });

  it("have one file of it", async () => {
    const { images: fetched } = await fetchAll(family(), { store });
    const name = file(baseOf().digest);
    const paths = [join(store, "blobs/sha256"), ...fetched.map(({ path }) => path)];
    const inodes = await Promise.all(
      paths.map(async (path) => (await Deno.stat(join(path, name))).ino),
    );
    assertEquals(new Set(inodes).size, 1);
  });

  it("fetch only their own, later on and in another process", async () => {
    await mustFetch(first(), { store });
    const before = sent();
    const { events } = await fetchAll(family(), { store });
    assertEquals(proxy.requests.filter(isBase).length, 1);
    assertEquals(sent() - before, unique() - before);
    const shared = eventsOf(events, "progress").filter(({ name }) => name === "app2").at(-1);
    assertEquals(shared?.shared, baseOf().size);
    assertEquals(shared?.bytes, shared?.total);
  });

  it("share it with an image that is in the store without the pool", async () => {
    await mustFetch(first(), { store });
    await Deno.remove(join(store, "blobs"), { recursive: true });
    await fetchAll(family(), { store });
    assertEquals(proxy.requests.filter(isBase).length, 1);
  });

  it("go on without each other", async () => {
    proxy.rules.push({
      match: ({ path }) => path.includes("family/1/blobs") && path.endsWith(baseOf().digest),
      fault: { cutAfter: 1000 },
    });
    const { images: fetched, failures } = await fetchAll(family(), { store, jobs: 3, attempts: 1 });
    assertEquals(fetched.map(({ name }) => name).includes("app2"), true);
    assertEquals(Object.keys(failures).every((name) => name === "source/app1"), true);
    assertEquals(
      (await mustFetch(docker(images[0]!.reference, http), { store })).image.id,
      images[0]!.id,
    );
  });
});

describe("a layer that was cut", () => {
  it("goes on from there, in the same run", async () => {
    proxy.rules.push({ match: isBase, times: 1, fault: { cutAfter: 3_000_000 } });
    const { image, events } = await mustFetch(first(), { store });
    await assertStored(store, image, images[0]!);
    assertEquals(eventsOf(events, "retry").length, 1);
    const [, again] = proxy.requests.filter(isBase);
    assertEquals(again?.headers["range"], "bytes=3000000-");
    assertEquals(again?.status, 206);
    assert(sent() <= unique());
  });

  it("goes on as long as it gets on", async () => {
    proxy.rules.push({ match: isBase, times: 3, fault: { cutAfter: 1_100_000 } });
    const { image } = await mustFetch(first(), { store, attempts: 1 });
    await assertStored(store, image, images[0]!);
    assertEquals(proxy.requests.filter(isBase).length, 4);
  });

  it("goes on in the next process, where the first one was killed", async () => {
    proxy.rules.push({ match: isBase, times: 1, fault: { slow: 4_000_000 } });
    await using job = await startJob({ sources: { app: first() }, options: { store } });
    await job.go();
    await job.until("progress", ({ bytes }) => bytes > 2_000_000);
    await job.kill();
    const { image, events } = await mustFetch(first(), { store });
    await assertStored(store, image, images[0]!);
    const resumed = eventsOf(events, "progress").at(-1)?.resumed ?? 0;
    assert(resumed >= 1_500_000, `${resumed} bytes were there`);
    await assertNothingLeft(store, 1);
    assertEquals(await list(join(store, "blobs/partial")), []);
  });

  it("begins anew where what was there is spoiled", async () => {
    const partial = join(store, "blobs/partial");
    await Deno.mkdir(partial, { recursive: true });
    await Deno.mkdir(join(store, "sources/org.osbuild.containers"), { recursive: true });
    await Deno.writeFile(join(partial, file(baseOf().digest)), new Uint8Array(1_000_000));
    const { image } = await mustFetch(first(), { store });
    await assertStored(store, image, images[0]!);
    assertEquals(proxy.requests.filter(isBase).map(({ status }) => status), [206, 200]);
  });

  it("begins anew where its pieces do not fit together", async () => {
    proxy.rules.push(
      { match: isBase, times: 1, fault: { cutAfter: 3_000_000 } },
      { match: isBase, times: 1, fault: { body: new Uint8Array(base.size - 3_000_000) } },
    );
    const { image } = await mustFetch(first(), { store });
    await assertStored(store, image, images[0]!);
    assertEquals(proxy.requests.filter(isBase).map(({ status }) => status), [200, 206, 200]);
  });

  it("goes on where less came than was asked for", async () => {
    proxy.rules.push(
      { match: isBase, times: 1, fault: { cutAfter: 3_000_000 } },
      { match: isBase, times: 1, fault: { body: base.bytes.subarray(3_000_000, 3_500_000) } },
    );
    const { image } = await mustFetch(first(), { store });
    await assertStored(store, image, images[0]!);
    assertEquals(
      proxy.requests.filter(isBase).map(({ headers }) => headers["range"]),
      [undefined, "bytes=3000000-", "bytes=3500000-"],
    );
  });

  it("is not believed, and not kept, where it is not what its digest says", async () => {
    proxy.rules.push({ match: isBase, fault: { flipBit: 2_000_000 } });
    const { error } = await mustFail(ContentError, first(), { store });
    assertEquals(error.expected, baseOf().digest);
    await assertNothingLeft(store, 0);
    assertEquals(await list(join(store, "blobs/partial")), []);
    proxy.rules.length = 0;
    await mustFetch(first(), { store });
  });
});

describe("an image that waits for the layer of another", () => {
  it("fails without it, where something else is wrong", async () => {
    proxy.rules.push(
      { match: ({ path }) => path.endsWith(images[1]!.id), fault: { status: 404 } },
      { match: isBase, fault: { slow: 3_000_000 } },
    );
    let arrived = 0;
    const onEvent = ({ type }: StowageEvent) => {
      if (type === "failed") arrived = proxy.requests.find(isBase)?.bytes ?? 0;
    };
    const { failures } = await fetchAll(family(), { store, onEvent });
    assertEquals(Object.keys(failures), ["source/app2"]);
    assert(arrived < base.size, "the layer was waited for");
  });
});

describe("layers that only skopeo can fetch", () => {
  it("are counted, all of them", async () => {
    const match = ({ path, headers }: ProxyRequest) =>
      path.includes("/blobs/") && headers["user-agent"] === "stowage";
    proxy.rules.push({ match, fault: { status: 403 } });
    const { image, events } = await mustFetch(first(), { store });
    await assertStored(store, image, images[0]!);
    const { bytes, total, fetched } = eventsOf(events, "progress").at(-1)!;
    assertEquals([bytes, fetched], [total, total]);
    assert(eventsOf(events, "traffic").every(({ rate }) => rate >= 0));
  });
});

describe("two processes", () => {
  it("wait for each other, and say so where it takes long", async () => {
    const partial = join(store, "blobs/partial", file(base.digest));
    await Deno.mkdir(dirname(partial), { recursive: true });
    await Deno.mkdir(join(store, "sources/org.osbuild.containers"), { recursive: true });
    using other = await Deno.create(partial);
    await other.lock(true);
    const { events } = await mustFetch(first(), {
      store,
      onEvent: ({ type }) => {
        if (type === "notice") other.close();
      },
    });
    const [notice, ...more] = eventsOf(events, "notice");
    assertEquals([notice?.code, more], ["LAYER_BUSY", []]);
    const what = `(process ${Deno.pid}) to fetch a layer of "app"`;
    assertStringIncludes(notice?.message ?? "", what);
  });

  it("fetch a layer once", async () => {
    proxy.rules.push({ match: isBase, times: 1, fault: { slow: 8_000_000 } });
    const [one, two] = Object.entries(family()).map(([name, source]) => ({ [name]: source }));
    await using job = await startJob({ sources: one!, options: { store } });
    await job.go();
    await job.until("progress");
    const { images: [image], failures } = await fetchAll(two!, { store });
    assertEquals(failures, {});
    await assertStored(store, image!, images[1]!);
    assertEquals(proxy.requests.filter(isBase).length, 1);
  });
});

it("an image of the machine's own busybox can be fetched too", async () => {
  const pushed = await pushImage(registry, "busybox:1", { layers: [await busyboxLayer()] });
  const { image } = await mustFetch(docker(pushed.reference, http), { store });
  await assertStored(store, image, pushed);
});

describe("a registry with a certificate of its own making", () => {
  /** With a certificate as docker's guide makes it, which is its own authority. */
  async function startSelfSigned(...flags: readonly string[]) {
    const folder = dir.join("certs");
    await Deno.mkdir(folder, { recursive: true });
    const [key, cert] = [dir.join("key"), join(folder, "ca.crt")];
    await run("openssl", [
      ...["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ...["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
      ...["-keyout", key, "-out", cert, ...flags],
    ]);
    const [keyText, certText] = await Promise.all([key, cert].map((f) => Deno.readTextFile(f)));
    const requests: string[] = [];
    const server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", key: keyText!, cert: certText!, onListen() {} },
      async (request) => {
        const { pathname } = new URL(request.url);
        requests.push(pathname);
        const range = request.headers.get("range");
        const headers = { accept: request.headers.get("accept") ?? "", ...range && { range } };
        const { status, body, headers: answered } = await fetch(
          `http://${proxy.host}${pathname}`,
          { headers },
        );
        return new Response(body, { status, headers: answered });
      },
    );
    return {
      requests,
      source: (n: number, how: RegistryOptions = { certDir: folder }) =>
        docker(`127.0.0.1:${server.addr.port}/family/${n}:1`, how),
      [Symbol.asyncDispose]: () => server.shutdown(),
    };
  }

  const OLD = ["-sha1", "-addext", "basicConstraints=critical,CA:FALSE"];
  const ways = { "that is trusted": undefined, "that nobody looks at": http };
  for (const [way, how] of Object.entries(ways)) {
    it(`${way} sends each layer once, and goes on where it was cut`, async () => {
      await using server = await startSelfSigned();
      const own = images[0]!.layers[1]!.digest;
      let isFirst = true;
      proxy.rules.push({
        match: ({ path }) => path.endsWith(own) && isFirst && !(isFirst = false),
        fault: { cutAfter: 1000 },
      });
      const sources = { app1: server.source(1, how), app2: server.source(2, how) };
      const options = { store, attempts: 3, jobs: 2 };
      const { images: fetched, failures, events } = await fetchAll(sources, options);
      assertEquals([failures, eventsOf(events, "notice")], [{}, []]);
      for (const [n, image] of fetched.entries()) await assertStored(store, image, images[n]!);
      assertEquals(server.requests.filter((path) => isBase({ path })).length, 1);
      assertEquals(proxy.requests.filter(({ headers }) => headers["range"]).length, 1);
    });
  }

  it("that only skopeo takes sends each layer once all the same, which is told once", async () => {
    await using server = await startSelfSigned(...OLD);
    const sources = { app1: server.source(1), app2: server.source(2), app3: server.source(3) };
    const { images: fetched, failures, events } = await fetchAll(sources, { store, jobs: 3 });
    assertEquals(failures, {});
    for (const [n, image] of fetched.entries()) await assertStored(store, image, images[n]!);
    assertEquals(server.requests.filter((path) => isBase({ path })).length, 1);
    const notices = eventsOf(events, "notice").map(({ code, message }) => [code, message]);
    assertEquals(notices.map(([code]) => code), ["SKOPEO_ONLY"]);
    assertStringIncludes(notices[0]?.[1] ?? "", "certificate");
  });

  it("that only skopeo takes sends a layer that has come no second time where one is cut", async () => {
    await using server = await startSelfSigned(...OLD);
    const own = images[0]!.layers[1]!.digest;
    let isFirst = true;
    proxy.rules.push({
      match: ({ path }) => path.endsWith(own) && isFirst && !(isFirst = false),
      fault: { cutAfter: 1000 },
    });
    const { image } = await mustFetch(server.source(1), { store, attempts: 3 });
    await assertStored(store, image, images[0]!);
    assertEquals(server.requests.filter((path) => isBase({ path })).length, 1);
  });
});
