import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import {
  containersStorage,
  ContentError,
  docker,
  type DockerImage,
  fromDir,
  type SourceOptions,
} from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  containerStorage,
  copyTo,
  digestOf,
  type Fault,
  type FaultProxy,
  fileLayer,
  nginxLikeLayer,
  type PushedIndex,
  pushImage,
  pushIndex,
  randomLayer,
  startFaultProxy,
} from "../support/mod.ts";
import { assertNothingLeft, mustFail, mustFetch, typesOf } from "./fixture.ts";

const http = { tlsVerify: false };
const ZEROS = `sha256:${"0".repeat(64)}`;

const { dir, store, registry, proxy } = await fixture({ registry: true });
const layers = [await randomLayer({ size: 100_000 }), await nginxLikeLayer()];
const app = await pushImage(registry, "app:1", { layers });
const other = await pushImage(registry, "other:1", { layers: [await fileLayer({ a: "b" })] });
/** Would serve everything, if it were asked. */
let spare: FaultProxy;

beforeEach(async () => void (spare = await startFaultProxy(registry)));
afterEach(async () => await spare[Symbol.asyncDispose]());

function source(options: SourceOptions = {}, name = "app:1"): DockerImage & SourceOptions {
  const fallback = [docker(`${spare.host}/${name}`, http)];
  return docker(`${proxy.host}/${name}`, { ...http, fallback, ...options });
}

/** The item ends at once: no second try, no other place, nothing in the store. */
async function mustEnd(
  source: DockerImage & SourceOptions,
  types = ["start", "resolved", "failed"],
): Promise<ContentError> {
  const { error, events } = await mustFail(ContentError, source, { store });
  assertEquals(typesOf(events), types);
  assertEquals(spare.requests.length, 0);
  assertEquals(error.code, "CONTENT_MISMATCH");
  assertStringIncludes(error.message, 'Cannot accept "app": docker://');
  await assertNothingLeft(store, 0);
  return error;
}

const atOnce = ["start", "failed"];

describe("what is pinned", () => {
  it("is refused with another digest", async () => {
    proxy.rules.push({ match: /manifests/, fault: { body: other.manifest } });
    const error = await mustEnd(source({ digest: app.digest }), atOnce);
    assertEquals([error.expected, error.actual], [app.digest, other.digest]);
    assertStringIncludes(error.hint ?? "", "sources.app");
  });

  it("is refused with another id", async () => {
    const error = await mustEnd(source({ id: other.id }), atOnce);
    assertEquals([error.expected, error.actual], [other.id, app.id]);
  });

  it("is refused with another id, though the digest is right", async () => {
    const error = await mustEnd(source({ digest: app.digest, id: ZEROS }), atOnce);
    assertEquals([error.expected, error.actual], [ZEROS, app.id]);
  });

  it("is refused with another digest, though the image is in the store", async () => {
    await mustFetch(docker(app.reference, http), { store });
    const layers = [await fileLayer({ a: "b" })];
    const { digest } = await pushImage(registry, "app", { layers });
    proxy.rules.push({ match: /manifests/, fault: { body: app.manifest } });
    const { error } = await mustFail(ContentError, source({ digest }), { store });
    assertEquals([error.expected, error.actual], [digest, app.digest]);
    assertEquals(spare.requests.length, 0);
  });

  it("is refused with another digest in a fallback, and no other place is tried", async () => {
    proxy.rules.push({ match: /manifests/, fault: { body: other.manifest } });
    const first = docker("127.0.0.1:1/app:1", {
      ...{ digest: app.digest, ...http },
      fallback: [docker(`${proxy.host}/app:1`, http), docker(`${spare.host}/app:1`, http)],
    });
    const { error, events } = await mustFail(ContentError, first, { store, attempts: 1 });
    assertEquals([error.expected, error.actual], [app.digest, other.digest]);
    assertEquals(typesOf(events), ["start", "absent", "failed"]);
    assertEquals(spare.requests.length, 0);
  });

  it("is refused with a digest that a fallback's own reference does not have", async () => {
    proxy.rules.push({ match: /manifests/, fault: { body: other.manifest } });
    const fallback = [docker(`${proxy.host}/app@${app.digest}`, http)];
    const first = docker("127.0.0.1:1/app:1", { ...http, fallback });
    const { error } = await mustFail(ContentError, first, { store, attempts: 1 });
    assertEquals([error.expected, error.actual], [app.digest, other.digest]);
  });

  it("is refused where a storage has another image of that name", async () => {
    await using storage = await containerStorage();
    await copyTo(registry, other, storage.reference("localhost/app:1"));
    const location = `[${storage.driver}@${storage.root}+${storage.runRoot}]`;
    const first = docker("127.0.0.1:1/app:1", {
      ...{ id: app.id, ...http },
      fallback: [
        containersStorage("localhost/app:1", { location }),
        docker(`${spare.host}/app:1`, http),
      ],
    });
    const { error, events } = await mustFail(ContentError, first, { store, attempts: 1 });
    assertEquals([error.expected, error.actual], [app.id, other.id]);
    assertEquals(typesOf(events), ["start", "absent", "failed"]);
    assertEquals(spare.requests.length, 0);
  });

  it("is refused where a folder has another image, or one under another manifest", async () => {
    await copyTo(registry, app, `dir:${dir.join("app")}`);
    for (const pins of [{ digest: other.digest }, { id: other.id }]) {
      await mustFail(ContentError, fromDir(dir.join("app"), pins), { store });
    }
    // The id decides where it is known: only the manifest is another.
    const pins = { digest: other.digest, id: app.id };
    assertEquals((await mustFetch(fromDir(dir.join("app"), pins), { store })).image.id, app.id);
  });

  it("is refused where the registry's image and the fallback's are two", async () => {
    const layer = app.layers[0]!.digest;
    proxy.rules.push({ match: ({ path }) => path.endsWith(layer), fault: { status: 404 } });
    await copyTo(registry, other, `dir:${dir.join("other")}`);
    const first = docker(`${proxy.host}/app:1`, {
      ...http,
      fallback: [fromDir(dir.join("other")), docker(`${spare.host}/app:1`, http)],
    });
    const { error, events } = await mustFail(ContentError, first, { store });
    assertEquals([error.expected, error.actual], [app.id, other.id]);
    assertEquals(typesOf(events), ["start", "resolved", "absent", "failed"]);
    assertEquals(spare.requests.length, 0);
  });
});

describe("what is spoiled", () => {
  const rest: [string, Fault][] = [
    ["cut short, as if that were all", { body: "short" }],
    ["empty", { body: "" }],
    ["with one bit flipped", { flipBit: 77 }],
    ["a page of a captive portal", { body: "<!doctype html><title>Log in</title>" }],
    ["a byte short of its length", { wrongLength: -1 }],
  ];
  for (const [what, fault] of rest) {
    it(`is refused: a layer, ${what}`, async () => {
      const layer = app.layers[0]!.digest;
      proxy.rules.push({ match: ({ path }) => path.endsWith(layer), fault });
      await mustEnd(source());
    });

    it(`is refused: a config, ${what}`, async () => {
      proxy.rules.push({ match: ({ path }) => path.endsWith(app.id), fault });
      await mustEnd(source());
    });

    it(`is refused: a manifest that is pinned, ${what}`, async () => {
      proxy.rules.push({ match: /manifests/, fault });
      await mustEnd(source({ digest: app.digest }), atOnce);
    });
  }

  for (const change of ["truncated", "other"] as const) {
    it(`is refused: a layer that is ${change} in the registry itself`, async () => {
      const path = registry.blobPath(app.layers[0]!.digest);
      const bytes = await Deno.readFile(path);
      try {
        const { length } = bytes;
        await Deno.writeFile(path, change === "other" ? new Uint8Array(length) : bytes.slice(9));
        assertEquals((await mustEnd(source())).expected, app.layers[0]?.digest);
      } finally {
        await Deno.writeFile(path, bytes);
      }
    });
  }

  const manifests = {
    "that is not JSON": "junk",
    "that is empty": "",
    "that is a page": "<html></html>",
    "that is JSON of another kind": '{"hello":"world"}',
    "that has a digest of no hash":
      '{"schemaVersion":2,"config":{"digest":"../x","size":1},"layers":[]}',
    "of schema version 1": '{"schemaVersion":1,"name":"app","tag":"1","fsLayers":[],"history":[]}',
  };
  for (const [what, body] of Object.entries(manifests)) {
    it(`is refused: a manifest ${what}`, async () => {
      proxy.rules.push({ match: /manifests/, fault: { body } });
      await mustEnd(source(), atOnce);
    });
  }

  it("is refused: a manifest that was spoiled at the first look, and only then", async () => {
    const body = app.manifest.replace(/\d\}\]/, "0}]");
    assert(body !== app.manifest);
    proxy.rules.push({ match: /manifests/, times: 1, fault: { body } });
    const error = await mustEnd(source());
    assertEquals(error.actual, await digestOf(body));
    assertStringIncludes(error.message, "it has just served it");
  });

  it("is refused: a manifest that is spoiled at the second look, and only then", async () => {
    proxy.rules.push({
      match: ({ path }) => path.endsWith(app.digest),
      fault: { body: other.manifest },
    });
    const error = await mustEnd(source());
    assertStringIncludes(error.message, "does not match provided manifest digest");
  });

  it("is what it was at the first look if the tag moves before the second", async () => {
    const layers = [await fileLayer({ moving: "tag" })];
    const first = await pushImage(registry, "moving:1", { layers });
    const flags = [...registry.flags("src"), ...registry.flags("dest")];
    const tag = `docker://${registry.host}/moving:1`;
    const move = new Deno.Command("skopeo", {
      args: ["copy", "--quiet", ...flags, `docker://${other.reference}`, tag],
    });
    const onEvent = ({ type }: { type: string }) => {
      if (type === "resolved") assert(move.outputSync().success);
    };
    const { image } = await mustFetch(source({}, "moving:1"), { store, onEvent });
    assertEquals(image.id, first.id);
    const again = await mustFetch(source({}, "moving:1"), { store });
    assertEquals(again.image.id, other.id);
  });

  it("is refused: a manifest whose sizes are not those of its blobs", async () => {
    const body = app.manifest.replace(/"size":\d+\}\]/, '"size":7}]');
    assert(body !== app.manifest);
    proxy.rules.push({ match: /manifests/, fault: { body } });
    await mustEnd(source());
  });

  it("is refused: what a storage had before somebody changed a file in it", async () => {
    await using storage = await containerStorage("vfs");
    await copyTo(registry, app, storage.reference("localhost/app:1"));
    for await (const { name } of Deno.readDir(`${storage.root}/vfs/dir`)) {
      const file = `${storage.root}/vfs/dir/${name}/srv/random-0`;
      await Deno.writeTextFile(file, "other", { create: false });
    }
    const location = `[vfs@${storage.root}+${storage.runRoot}]`;
    const from = containersStorage("localhost/app:1", {
      ...{ location, id: app.id },
      fallback: [docker(`${spare.host}/app:1`, http)],
    });
    const { error } = await mustFail(ContentError, from, { store });
    assertStringIncludes(error.message, "file integrity checksum failed");
    assertEquals(spare.requests.length, 0);
    await assertNothingLeft(store, 0);
  });
});

describe("what a storage says of an image", () => {
  it("is refused if its layers are those of another one", async () => {
    await using storage = await containerStorage("vfs");
    const [left, right] = await Promise.all(
      ["left", "right"].map(async (text) =>
        await pushImage(registry, text, { layers: [await fileLayer({ file: text })] })
      ),
    );
    assert(left && right);
    await copyTo(registry, left, storage.reference("localhost/left:1"));
    await copyTo(registry, right, storage.reference("localhost/right:1"));
    const path = `${storage.root}/vfs-images/images.json`;
    const [one, two] = JSON.parse(await Deno.readTextFile(path));
    const swapped = [{ ...one, layer: two.layer }, { ...two, layer: one.layer }];
    await Deno.writeTextFile(path, JSON.stringify(swapped));
    const location = `[vfs@${storage.root}+${storage.runRoot}]`;
    for (const pins of [{}, { id: left.id }]) {
      const from = containersStorage("localhost/left:1", { location, ...pins });
      const { error } = await mustFail(ContentError, from, { store });
      assertEquals([error.expected, error.actual], [
        left.layers[0]?.diffId,
        right.layers[0]?.diffId,
      ]);
    }
    await assertNothingLeft(store, 0);
  });
});

describe("an index that is spoiled", () => {
  let index: PushedIndex;

  beforeEach(async () => {
    index = await pushIndex(registry, "app:all", [app]);
  });

  it("is refused where it is pinned, even if what it names is nowhere", async () => {
    const body = index.manifest.replace(app.digest, ZEROS);
    proxy.rules.push({ match: /^GET .*manifests/, fault: { body }, times: 1 });
    const error = await mustEnd(source({ digest: index.digest }, "app:all"), atOnce);
    assertEquals(error.expected, index.digest);
  });

  it("is refused where it is pinned, even if it names another platform", async () => {
    const body = index.manifest.replace("amd64", "amd63");
    proxy.rules.push({ match: /^GET .*manifests/, fault: { body }, times: 1 });
    await mustEnd(source({ digest: index.digest }, "app:all"), atOnce);
  });

  it("is refused with a manifest that is not the one that it names", async () => {
    const inner = ({ path }: { path: string }) => path.endsWith(app.digest);
    proxy.rules.push({ match: inner, fault: { body: other.manifest } });
    for (const pins of [{}, { digest: index.digest }]) {
      const error = await mustEnd(source(pins, "app:all"), atOnce);
      assertEquals([error.expected, error.actual], [app.digest, other.digest]);
    }
  });
});
