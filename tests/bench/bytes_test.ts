import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { checkImages, wholeOf } from "../../scripts/bench/content.ts";
import { bytesOnDisk } from "../../scripts/bench/disk.ts";
import { openGate } from "../../scripts/bench/gate.ts";
import { pushSharing } from "../../scripts/bench/images.ts";
import { bytesSent, sentBy } from "../../scripts/bench/wire.ts";
import { fileLayer, pushImage, type Registry, startRegistry, tempDir } from "../support/mod.ts";

const LAYER = { "srv/data": new Uint8Array(3_000_000).fill(7) };

async function startWithLayer(): Promise<{ registry: Registry; path: string; size: number }> {
  const registry = await startRegistry();
  const layers = [await fileLayer(LAYER, { compression: "none" })];
  const image = await pushImage(registry, "app:1", { layers });
  const { digest = "", size = 0 } = image.layers[0] ?? {};
  return { registry, path: `/v2/app/blobs/${digest}`, size };
}

/** Counts what comes until the other side has no more. */
async function receive(host: string, path: string): Promise<number> {
  const [hostname = "", port] = host.split(":");
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const buffer = new Uint8Array(65_536);
  let bytes = 0;
  for (let size; (size = await connection.read(buffer)) !== null;) bytes += size;
  return bytes;
}

describe("bytes on the wire", () => {
  it("are those of bodies, by the registry's log; HEAD has none", async () => {
    const { registry, path, size } = await startWithLayer();
    await using _ = registry;
    const sent = sentBy(registry);
    const before = await sent();
    for (const init of [{}, { method: "HEAD" }, { headers: { range: "bytes=10-29" } }]) {
      await (await registry.fetch(path, init)).arrayBuffer();
    }
    assertEquals(await sent() - before, size + 20);
    const missing = path.replace(/.{8}$/, "00000000");
    await (await registry.fetch(missing, { method: "HEAD" })).arrayBuffer();
    assertEquals(await sent() - before, size + 20);
  });

  it("are none in a log without requests", () => {
    assertEquals(bytesSent('time="…" level=info msg="listening on 127.0.0.1:1"\n'), 0);
  });
});

describe("openGate()", () => {
  it("counts every byte that clients receive", async () => {
    const { registry, path, size } = await startWithLayer();
    await using _ = registry;
    await using gate = openGate(registry.host);
    const direct = await receive(registry.host, path);
    const [first, second] = await Promise.all([receive(gate.host, path), receive(gate.host, path)]);
    assertEquals([first, second, gate.passed], [direct, direct, 2 * direct]);
    assertEquals(direct > size, true);
  });

  it("lets so many bytes pass, holds back the rest, and counts anew when it is reopened", async () => {
    const { registry, path } = await startWithLayer();
    await using _ = registry;
    await using gate = openGate(registry.host);
    const whole = await receive(gate.host, path);
    const full = gate.reopenFor(1_000_001);
    const held = receive(gate.host, path).catch(() => "ended");
    await full;
    assertEquals(gate.passed, 1_000_001);
    await gate.reopen();
    assertEquals(await held === whole, false);
    assertEquals(gate.passed, 0);
    assertEquals([await receive(gate.host, path), gate.passed], [whole, whole]);
  });
});

describe("bytes on disk", () => {
  it("count a file once, whatever names it has", async () => {
    await using dir = await tempDir();
    await Deno.mkdir(dir.join("a/b"), { recursive: true });
    await Deno.writeFile(dir.join("a/one"), new Uint8Array(1_000));
    await Deno.link(dir.join("a/one"), dir.join("a/b/two"));
    await Deno.symlink(dir.join("a/one"), dir.join("a/three"));
    await Deno.writeFile(dir.join("a/b/other"), new Uint8Array(10));
    assertEquals(await bytesOnDisk(dir.path), 1_010);
    assertEquals(await bytesOnDisk(dir.join("absent")), 0);
  });
});

describe("what images are held against", () => {
  it("has each blob once", async () => {
    await using registry = await startRegistry();
    const images = await pushSharing(registry, 2, { shared: 1_000, own: 100 });
    const [a, b] = images.map(({ size, manifest }) => size + manifest.length);
    const [busybox, shared] = images[0]?.layers ?? [];
    const common = (busybox?.size ?? NaN) + (shared?.size ?? NaN);
    assertEquals(wholeOf(images), (a ?? NaN) + (b ?? NaN) - common);
  });

  it("finds a blob that is short, and on a thorough look one that is wrong", async () => {
    await using registry = await startRegistry();
    const [image] = await pushSharing(registry, 1, { own: 100 });
    const images = image ? [image] : [];
    const pathOf = (_: unknown, digest: string) => registry.blobPath(digest);
    await checkImages(images, pathOf, true);
    const path = registry.blobPath(image?.layers[0]?.digest ?? "");
    const bytes = await Deno.readFile(path);
    bytes[50] = (bytes[50] ?? 0) ^ 1;
    await Deno.writeFile(path, bytes);
    await checkImages(images, pathOf, false);
    await assertRejects(() => checkImages(images, pathOf, true), Error, ", not sha256:");
    await Deno.truncate(path, 10);
    await assertRejects(() => checkImages(images, pathOf, false), Error, "has 10 bytes");
  });
});
