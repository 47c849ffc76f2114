import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  copyTo,
  type Fault,
  type PushedImage,
  pushImage,
  randomLayer,
  type Registry,
  skopeo,
  startFaultProxy,
  startRegistry,
  tempDir,
} from "./mod.ts";

const BLOBS = /^GET .*\/blobs\//;

async function pushRandom(registry: Registry, size = 200_000): Promise<PushedImage> {
  return await pushImage(registry, "apps/a:1", { layers: [await randomLayer({ size })] });
}

function layerUrl(host: string, image: PushedImage): string {
  return `http://${host}/v2/apps/a/blobs/${image.layers[0]?.digest}`;
}

/** What skopeo says about a copy through a proxy; nothing when all is well. */
async function complaint(host: string): Promise<string> {
  await using dir = await tempDir();
  const image = [`docker://${host}/apps/a:1`, `dir:${dir.path}`];
  const flags = ["--command-timeout=300ms", "copy", "--src-tls-verify=false"];
  return await skopeo(...flags, ...image).then(() => "", (error: Error) => error.message);
}

describe("startFaultProxy()", () => {
  for (const tls of [false, true]) {
    it(`passes pushes and pulls on to a registry with${tls ? "" : "out"} TLS`, async () => {
      await using dir = await tempDir();
      await using registry = await startRegistry({ tls, auth: { user: "ann", password: "pw" } });
      await using proxy = await startFaultProxy(registry);
      const image = await pushRandom(registry, 3e6);
      const reach = (side: string) => [`--${side}-tls-verify=false`, `--${side}-creds=ann:pw`];
      const folder = `dir:${dir.path}`;
      await skopeo("copy", ...reach("src"), `docker://${proxy.host}/apps/a:1`, folder);
      await skopeo("copy", ...reach("dest"), folder, `docker://${proxy.host}/apps/b:1`);
      const pushed = await registry.fetch("/v2/apps/b/manifests/1", {
        headers: { accept: image.mediaType },
      });
      assertEquals(await pushed.text(), image.manifest);
    });
  }

  it("passes on HEAD and Range, and logs them", async () => {
    await using registry = await startRegistry();
    await using proxy = await startFaultProxy(registry);
    const image = await pushRandom(registry);
    const url = layerUrl(proxy.host, image);
    const head = await fetch(url, { method: "HEAD" });
    assertEquals(head.headers.get("content-length"), `${image.layers[0]?.size}`);
    const part = await fetch(url, { headers: { range: "bytes=5-14" } });
    assertEquals((await part.bytes()).length, 10);
    assertEquals(
      proxy.requests.map(({ method, status, bytes, headers }) => [
        ...[method, status, bytes, headers["range"]],
      ]),
      [["HEAD", 200, 0, undefined], ["GET", 206, 10, "bytes=5-14"]],
    );
  });

  const cases: { fault: Fault; says: string; status: number; bytes?: number }[] = [
    { fault: "refuse", says: "EOF", status: 0, bytes: 0 },
    { fault: "reset", says: "connection reset by peer", status: 0, bytes: 0 },
    { fault: "hang", says: "context deadline exceeded", status: 0, bytes: 0 },
    { fault: { cutAfter: 0 }, says: "unexpected EOF", status: 200, bytes: 0 },
    { fault: { cutAfter: 70_000 }, says: "unexpected EOF", status: 200, bytes: 70_000 },
    { fault: { wrongLength: 5 }, says: "unexpected EOF", status: 200 },
    { fault: { wrongLength: -5 }, says: "Digest did not match", status: 200 },
    { fault: { flipBit: 100_000 }, says: "Digest did not match", status: 200 },
    { fault: { slow: 100_000 }, says: "context deadline exceeded", status: 200 },
    { fault: { body: "other" }, says: "Digest did not match", status: 200, bytes: 5 },
    { fault: { status: 503, body: "later" }, says: "503", status: 503, bytes: 5 },
  ];
  for (const { fault, says, status, bytes } of cases) {
    it(`makes skopeo say "${says}" on ${JSON.stringify(fault)}, as often as told`, async () => {
      await using registry = await startRegistry();
      await pushRandom(registry);
      await using proxy = await startFaultProxy(registry, [{ match: BLOBS, times: 1, fault }]);
      const message = await complaint(proxy.host);
      assert(message.includes(says), message);
      const seen = proxy.requests.find(({ method, path }) => BLOBS.test(`${method} ${path}`));
      assertEquals(seen?.status, status);
      if (bytes !== undefined) assertEquals(seen?.bytes, bytes);
      assertEquals(await complaint(proxy.host), "");
    });
  }

  it("lets exactly so many bytes through before it cuts", async () => {
    await using registry = await startRegistry();
    const image = await pushRandom(registry);
    await using proxy = await startFaultProxy(registry, [
      { match: BLOBS, fault: { cutAfter: 123_457 } },
    ]);
    const response = await fetch(layerUrl(proxy.host, image));
    let received = 0;
    await assertRejects(async () => {
      for await (const chunk of response.body ?? []) received += chunk.length;
    });
    assertEquals(received, 123_457);
  });

  it("flips one bit and no other", async () => {
    await using registry = await startRegistry();
    const image = await pushRandom(registry);
    await using proxy = await startFaultProxy(registry);
    const load = async () => await (await fetch(layerUrl(proxy.host, image))).bytes();
    const real = await load();
    proxy.rules.push({ match: BLOBS, fault: { flipBit: 150_000 } });
    const flipped = await load();
    real[150_000]! ^= 1;
    assertEquals(flipped, real);
  });

  it("answers with a status and headers to the requests that a function picks", async () => {
    await using registry = await startRegistry();
    const fault = { status: 429, headers: { "retry-after": "7" } };
    await using proxy = await startFaultProxy(registry, [
      { match: ({ method }) => method === "GET", fault },
    ]);
    const response = await fetch(`http://${proxy.host}/v2/`);
    await response.body?.cancel();
    assertEquals([response.status, response.headers.get("retry-after")], [429, "7"]);
    const head = await fetch(`http://${proxy.host}/v2/`, { method: "HEAD" });
    assertEquals(head.status, 200);
  });

  it("drops the connection when the registry is away", async () => {
    await using registry = await startRegistry();
    await pushRandom(registry);
    await using proxy = await startFaultProxy(registry);
    await registry.stop();
    assert((await complaint(proxy.host)).includes("EOF"));
    await registry.start();
    assertEquals(await complaint(proxy.host), "");
  });

  it("streams a large layer in little memory", async () => {
    await using dir = await tempDir();
    await using registry = await startRegistry();
    const image = await pushRandom(registry, 100e6);
    await using proxy = await startFaultProxy(registry);
    const before = Deno.memoryUsage().rss;
    const reach = { ...registry, flags: () => ["--src-tls-verify=false"] };
    await copyTo(reach, { ...image, name: `${proxy.host}/apps/a` }, `dir:${dir.path}`);
    const growth = Deno.memoryUsage().rss - before;
    // Kept as a whole it would be 100 MB.
    assert(growth < 80e6, `${growth}`);
  });
});
