import { join } from "@std/path";
import { gzipSync } from "node:zlib";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ContentError, docker, fromDir, ToolError } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  copyTo,
  digestOf,
  fileLayer,
  type Layer,
  type PushedImage,
  pushImage,
  pushIndex,
  putManifest,
  run,
  startRegistry,
  thisSkopeo,
} from "../support/mod.ts";
import { assertNothingLeft, assertStored, list, mustFail, mustFetch, typesOf } from "./fixture.ts";

const http = { tlsVerify: false };
const FILES = { file: "right" };

const { dir, store, registry } = await fixture({ registry: true });

/** Pushes an image, and tags a manifest that has its config, and another layer. */
async function pushLie(name: string, layer: Layer): Promise<PushedImage> {
  const image = await pushImage(registry, name, { layers: [await fileLayer(FILES)] });
  await pushImage(registry, name, { layers: [layer] });
  const { config, layers: [{ mediaType }], ...rest } = JSON.parse(image.manifest);
  const { digest, size } = layer;
  const manifest = JSON.stringify({ ...rest, config, layers: [{ mediaType, digest, size }] });
  const response = await registry.fetch(`/v2/${name}/manifests/lie`, {
    ...{ method: "PUT", headers: { "content-type": image.mediaType }, body: manifest },
  });
  await response.body?.cancel();
  assertEquals(response.status, 201);
  return { ...image, digest: await digestOf(manifest), manifest };
}

describe("layers of zstd by docker's own name", () => {
  it("are fetched where skopeo knows that name, or else a newer one is asked for", async () => {
    const layers = [await fileLayer(FILES, { compression: "zstd" })];
    const image = await pushImage(registry, "named:1", { layers, mediaTypes: "docker" });
    const source = docker(image.reference, http);
    if ((await thisSkopeo()).isSince([1, 21])) {
      await assertStored(store, (await mustFetch(source, { store })).image, image);
      return;
    }
    const { error } = await mustFail(ToolError, source, { store });
    assertStringIncludes(error.message, "unsupported docker v2s2 media type");
    assertStringIncludes(error.hint ?? "", "install a newer one");
    await assertNothingLeft(store, 0);
  });
});

describe("layers that the config does not name", () => {
  for (const compression of ["gzip", "zstd", "none"] as const) {
    it(`are refused where an id says what is wanted: ${compression}`, async () => {
      const layer = await fileLayer({ file: "wrong" }, { compression });
      const lie = await pushLie(`lie-${compression}`, layer);
      const source = docker(`${lie.name}:lie`, { ...http, id: lie.id });
      const { error, events } = await mustFail(ContentError, source, { store });
      assertEquals([error.expected, error.actual], [lie.layers[0]?.diffId, layer.diffId]);
      assertEquals(typesOf(events), ["start", "resolved", "failed"]);
      await assertNothingLeft(store, 0);
    });
  }

  it("are refused where a registry has told the id, and another place has the image", async () => {
    const lie = await pushLie("told", await fileLayer({ file: "wrong" }));
    await copyTo(registry, lie, `dir:${dir.join("lie")}`);
    await using down = await startRegistry();
    const real = await pushImage(down, "told:1", { layers: [await fileLayer(FILES)] });
    assertEquals(real.id, lie.id);
    await Deno.remove(down.blobPath(real.layers[0]!.digest));
    const source = docker(real.reference, { ...http, fallback: [fromDir(dir.join("lie"))] });
    const { error, events } = await mustFail(ContentError, source, { store });
    assertEquals(error.expected, real.layers[0]?.diffId);
    assertEquals(typesOf(events), ["start", "resolved", "absent", "resolved", "failed"]);
  });

  it("are refused where a folder has the id, and not the digest", async () => {
    const lie = await pushLie("folder", await fileLayer({ file: "wrong" }));
    await copyTo(registry, lie, `dir:${dir.join("lie")}`);
    const pins = { id: lie.id, digest: await digestOf("another") };
    const { error } = await mustFail(ContentError, fromDir(dir.join("lie"), pins), { store });
    assertEquals(error.expected, lie.layers[0]?.diffId);
  });

  it("are refused whatever pins the manifest, as the entry is named by the config", async () => {
    const lie = await pushLie("vouched", await fileLayer({ file: "wrong" }));
    const index = await pushIndex(registry, "vouched:all", [lie]);
    for (const { name, digest } of [lie, index]) {
      for (const pins of [{}, { digest }, { id: lie.id, digest }]) {
        const source = docker(`${name}@${digest}`, { ...http, ...pins });
        await mustFail(ContentError, source, { store });
        await assertNothingLeft(store, 0);
      }
    }
  });
});

describe("layers that the config names", () => {
  it("are the same under any compression", async () => {
    const layers = await Promise.all([
      fileLayer(FILES, { level: 1 }),
      fileLayer(FILES, { level: 9 }),
      fileLayer(FILES, { compression: "zstd" }),
      fileLayer(FILES, { compression: "none" }),
      twoMembers(),
    ]);
    const ids = new Set<string>();
    for (const [at, layer] of layers.entries()) {
      const image = await pushImage(registry, `packed-${at}:1`, { layers: [layer] });
      const source = docker(image.reference, { ...http, id: image.id });
      ids.add((await mustFetch(source, { store: dir.join(`${at}`) })).image.id);
    }
    assertEquals(ids.size, 1);
  });

  it("are refused if they cannot be unpacked", async () => {
    const layer = await fileLayer(FILES);
    const bytes = layer.bytes.slice(0, 40);
    const cut = { ...layer, bytes, size: bytes.length, digest: await digestOf(bytes) };
    const image = await pushImage(registry, "cut:1", { layers: [cut] });
    const source = docker(image.reference, { ...http, id: image.id });
    const { error } = await mustFail(ContentError, source, { store });
    assertStringIncludes(error.message, "cannot be unpacked");
    await assertNothingLeft(store, 0);
  });

  it("are refused if they are named by what they are with their compression", async () => {
    for (const compression of ["gzip", "zstd"] as const) {
      const layer = await fileLayer(FILES, { compression });
      const lie = { ...layer, diffId: layer.digest };
      const image = await pushImage(registry, `self-${compression}:1`, { layers: [lie] });
      const { error } = await mustFail(ContentError, docker(image.reference, http), { store });
      assertEquals([error.expected, error.actual], [layer.digest, layer.diffId]);
      await copyTo(registry, image, `dir:${dir.join(compression)}`);
      await mustFail(ContentError, fromDir(dir.join(compression)), { store });
      await assertNothingLeft(store, 0);
    }
  });

  it("are unpacked again for another image, whatever is recorded of them", async () => {
    const layer = await fileLayer(FILES);
    const right = await pushImage(registry, "recorded:1", { layers: [layer] });
    await mustFetch(docker(right.reference, http), { store });
    const other = `sha256:${"ab".repeat(32)}`;
    await Deno.writeTextFile(join(store, "blobs/diff-ids", layer.digest.slice(7)), other);
    const lie = await pushImage(registry, "recorded:2", { layers: [{ ...layer, diffId: other }] });
    const { error } = await mustFail(ContentError, docker(lie.reference, http), { store });
    assertEquals([error.expected, error.actual], [other, layer.diffId]);
  });

  for (const program of ["xz", "bzip2"]) {
    it(`are taken as ${program} packs them`, async () => {
      const image = await pushImage(registry, `${program}:1`, {
        layers: [await packedBy(program)],
      });
      await mustFetch(docker(image.reference, http), { store });
      await copyTo(registry, image, `dir:${dir.join("folder")}`);
      await mustFetch(fromDir(dir.join("folder")), { store: dir.join("other") });
    });
  }

  it("are refused if something follows the end of their gzip, as Go refuses it", async () => {
    const layer = await fileLayer(FILES);
    const bytes = new Uint8Array([...layer.bytes, ...new Uint8Array(512)]);
    const padded = { ...layer, bytes, size: bytes.length, digest: await digestOf(bytes) };
    const image = await pushImage(registry, "padded:1", { layers: [padded] });
    const { error } = await mustFail(ContentError, docker(image.reference, http), { store });
    assertStringIncludes(error.message, "something follows the end of its gzip");
    await assertNothingLeft(store, 0);
  });

  it("are refused if a bit of their zstd is wrong, and leave nothing that would fail later", async () => {
    const layer = await packedBy("zstd", "--check");
    const at = layer.size - 1;
    const bytes = layer.bytes.with(at, (layer.bytes[at] ?? 0) ^ 1);
    const wrong = { ...layer, bytes, digest: await digestOf(bytes) };
    const image = await pushImage(registry, "flipped:1", { layers: [wrong] });
    // What a run has left that was killed just now.
    const partial = join(store, "blobs/partial", wrong.digest.slice(7));
    for (const isLeft of [false, true]) {
      if (isLeft) await Deno.writeFile(partial, bytes);
      const { error } = await mustFail(ContentError, docker(image.reference, http), { store });
      assertStringIncludes(error.message, "its zstd is damaged");
      await assertNothingLeft(store, 0);
      assertEquals(await list(join(store, "blobs/partial")), []);
    }
  });

  it("are refused if they are encrypted, which is said", async () => {
    const layer = await fileLayer(FILES);
    const plain = await pushImage(registry, "plain:1", { layers: [layer] });
    const manifest = plain.manifest.replaceAll("tar+gzip", "tar+gzip+encrypted");
    await putManifest(registry, "plain:encrypted", manifest, plain.mediaType);
    const source = docker(`${registry.host}/plain:encrypted`, http);
    const { error } = await mustFail(ContentError, source, { store });
    assertStringIncludes(error.message, "layer 1 is encrypted");
    await assertNothingLeft(store, 0);
  });
});

/** As a program packs it. */
async function packedBy(program: string, ...flags: readonly string[]): Promise<Layer> {
  const { bytes: plain, diffId } = await fileLayer(FILES, { compression: "none" });
  await Deno.writeFile(dir.join("plain"), plain);
  await run("sh", ["-c", '"$@" -c <"$0" >"$0.packed"', dir.join("plain"), program, ...flags]);
  const bytes = await Deno.readFile(dir.join("plain.packed"));
  const digest = await digestOf(bytes);
  return { bytes, diffId, digest, size: bytes.length, compression: "gzip" };
}

/** As pigz and eStargz make them: gzip may consist of several parts. */
async function twoMembers(): Promise<Layer> {
  const { bytes: plain, diffId, size } = await fileLayer(FILES, { compression: "none" });
  const half = size >> 1;
  const members = [plain.slice(0, half), plain.slice(half)].map((part) => gzipSync(part));
  const bytes = new Uint8Array(members.flatMap((member) => [...member]));
  return { bytes, diffId, digest: await digestOf(bytes), size: bytes.length, compression: "gzip" };
}
