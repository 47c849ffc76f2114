import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ContentError, docker, fromDir, PlatformError } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  digestOf,
  fileLayer,
  pushImage,
  putBlob,
  putManifest,
  skopeo,
  startFaultProxy,
} from "../support/mod.ts";
import { assertNothingLeft, assertStored, mustFail, mustFetch } from "./fixture.ts";

const http = { tlsVerify: false };
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const ESCAPES = "\u001b[2J\u202e\u0007";

const { dir, registry } = await fixture({ registry: true });
const layer = await fileLayer({ a: "b" });
const app = await pushImage(registry, "app:1", { layers: [layer] });

/** What `app:1` says, with something else in places. */
function changed(change: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ ...JSON.parse(app.manifest), ...change });
}

function listed(change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { mediaType: LAYER, digest: layer.digest, size: layer.size, ...change };
}

/** A registry serves it: a real one if it takes it, else one that a proxy spoils. */
async function mustRefuse(manifest: string | Uint8Array, mediaType = MANIFEST) {
  const bytes = typeof manifest === "string" ? new TextEncoder().encode(manifest) : manifest;
  const url = "/v2/app/manifests/odd";
  const answer = await registry.fetch(url, {
    method: "PUT",
    headers: { "content-type": mediaType },
    body: new Uint8Array(bytes),
  });
  await answer.body?.cancel();
  await using proxy = await startFaultProxy(registry);
  if (!answer.ok) proxy.rules.push({ match: /manifests/, fault: { body: bytes } });
  const from = answer.ok ? `${registry.host}/app:odd` : `${proxy.host}/app:1`;
  const store = dir.join("store");
  const { error } = await mustFail(ContentError, docker(from, http), { store });
  await assertNothingLeft(store, 0);
  assertEquals(error.item, "app");
  assertStringIncludes(error.message, `Cannot accept "app": docker://${from}: `);
  assert(error.message.length < 1000, `it has ${error.message.length} characters`);
  // deno-lint-ignore no-control-regex
  assert(!/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/.test(error.message), "it moves the cursor");
  assert(error.hint !== undefined, "it does not say what to do");
  return error.message;
}

describe("a manifest is refused", () => {
  const cases: Record<string, [manifest: () => string | Uint8Array, words: string]> = {
    "that is nested without end": [() => "[".repeat(2_000_000), "nested deeper than 100 levels"],
    "that is larger than 4 MiB": [
      () => changed({ annotations: { a: "x".repeat(5 * 2 ** 20) } }),
      "4194304",
    ],
    "that has a layer more than can be stacked": [
      () => changed({ layers: Array(501).fill(listed()) }),
      "layers: must have at most 500 items",
    ],
    "with a size below zero": [
      () => changed({ layers: [listed({ size: -1 })] }),
      "layers.0.size: must be a whole number from 0",
    ],
    "with half a byte": [
      () => changed({ layers: [listed({ size: 1.5 })] }),
      "layers.0.size: must be a whole number from 0",
    ],
    "with a size that no number has": [
      () => changed({ layers: [listed()] }).replace(`"size":${layer.size}`, '"size":1e400'),
      "layers.0.size: must be a whole number from 0",
    ],
    "with a layer that no disk has room for": [
      () => changed({ layers: [listed({ size: 1e15 })] }),
      "layers.0.size: must be at most 1099511627776",
    ],
    "with two sizes of one layer": [
      () => changed({ layers: [listed(), listed({ size: 3 })] }),
      "must give one size for each digest",
    ],
    "with a config that is too large": [
      () => changed({ config: { mediaType: CONFIG, digest: app.id, size: 5 * 2 ** 20 } }),
      "config: must have at most 4194304 bytes",
    ],
    "with another algorithm": [
      () => changed({ layers: [listed({ digest: `sha512:${"0".repeat(128)}` })] }),
      'layers.0.digest: must be "sha256:" and 64 lower-case hex digits',
    ],
    "with a digest in capitals": [
      () => changed({ layers: [listed({ digest: `sha256:${"A".repeat(64)}` })] }),
      'layers.0.digest: must be "sha256:" and 64 lower-case hex digits',
    ],
    "with a digest that leads elsewhere": [
      () => changed({ layers: [listed({ digest: "sha256:../../../../etc/passwd" })] }),
      'layers.0.digest: must be "sha256:" and 64 lower-case hex digits',
    ],
    "that sends skopeo elsewhere for a layer": [
      () => changed({ layers: [listed({ urls: ["http://169.254.169.254/latest/"] })] }),
      "cannot be used: layers.0.urls: must be empty: only the image's own registry is asked",
    ],
    "with the media type of an index": [
      () => changed({ mediaType: INDEX }),
      "mediaType: must be that of a manifest",
    ],
    "with a media type that moves the cursor": [
      () => changed({ layers: [listed({ mediaType: ESCAPES })] }),
      "layers.0.mediaType: must be a media type",
    ],
    "of schema version 3": [() => changed({ schemaVersion: 3 }), "schemaVersion: must be 2"],
    "of a schema version without end": [
      () => changed({ schemaVersion: ESCAPES.repeat(100_000) }),
      "schemaVersion: must be 2",
    ],
    "that is an index too": [
      () => changed({ manifests: [] }),
      "is an image's and an index at a time",
    ],
    "that says a thing twice": [
      () => app.manifest.replace("{", '{"layers":[],'),
      'has the key "layers" twice',
    ],
    "that says a thing twice, once in escapes": [
      () => app.manifest.replace("{", '{"\\u006cayers":[],'),
      'has the key "layers" twice',
    ],
    "with more annotations than anything needs": [
      () => changed({ annotations: Object.fromEntries(Array(20_001).keys().map((n) => [n, ""])) }),
      "has more than 20000 keys in one place",
    ],
    "with more objects than any image has": [
      () => changed({ annotations: Array(40_000).fill({}) }),
      "holds more than 40000 objects and lists",
    ],
    "with more numbers than anything needs": [
      () => changed({ annotations: Array(200_002).fill(0.5) }),
      "holds more than 200000 values",
    ],
    "that Go would read otherwise": [
      () => changed({ LAYERS: [listed()] }),
      "must not have keys that differ from its own by case only",
    ],
    "that has all behind __proto__": [
      () => `{"__proto__":${app.manifest}}`,
      "schemaVersion: is missing",
    ],
    "that begins with a byte order mark": [
      () => `\uFEFF${app.manifest}`,
      "begins with a byte order mark",
    ],
    "that is not UTF-8": [() => Uint8Array.of(0x7b, 0xff, 0x7d), "is not UTF-8"],
    "that is null": [() => "null", "must be an object"],
  };
  for (const [what, [manifest, words]] of Object.entries(cases)) {
    it(what, async () => assertStringIncludes(await mustRefuse(manifest()), words));
  }

  it("that is an index within an index within an index", async () => {
    const platform = { os: "linux", architecture: "amd64" };
    let manifests: unknown[] = [];
    for (let depth = 0; depth < 2; depth++) {
      const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
      const { digest } = await putManifest(registry, "app", index, INDEX);
      manifests = [{ mediaType: INDEX, digest, size: index.length, platform }];
    }
    const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
    assertStringIncludes(await mustRefuse(index, INDEX), "more than one index within an index");
  });

  it("in a folder, larger than is read", async () => {
    const image = dir.join("image");
    await skopeo(
      "copy",
      "--quiet",
      "--src-tls-verify=false",
      `docker://${app.reference}`,
      `dir:${image}`,
    );
    const annotations = { a: "x".repeat(5 * 2 ** 20) };
    await Deno.writeTextFile(`${image}/manifest.json`, changed({ annotations }));
    const store = dir.join("store");
    const { error } = await mustFail(ContentError, fromDir(image), { store });
    assertStringIncludes(error.message, "4194304");
    await assertNothingLeft(store, 0);
  });
});

describe("a manifest is taken", () => {
  it("with the same layer many times", async () => {
    const layers = Array(40).fill(layer);
    const image = await pushImage(registry, "many:1", { layers });
    const store = dir.join("store");
    const fetched = await mustFetch(docker(image.reference, http), { store });
    await assertStored(store, fetched.image, image);
  });

  it("without a layer, in all the ways that say so", async () => {
    const image = await pushImage(registry, "none:1", { layers: [] });
    await mustFetch(docker(image.reference, http), { store: dir.join("store") });
    const { diff_ids: _, ...rootfs } = { type: "layers", diff_ids: [] };
    const text = JSON.stringify({ os: "linux", architecture: "amd64", rootfs });
    const config = { mediaType: CONFIG, ...await putBlob(registry, "none", text) };
    const manifest = changed({ config, layers: null });
    const { digest } = await putManifest(registry, "none:2", manifest, MANIFEST);
    const store = dir.join("other");
    const fetched = await mustFetch(docker(`${registry.host}/none:2`, http), { store });
    assertEquals([fetched.image.digest, fetched.image.id], [digest, config.digest]);
  });
});

describe("an index", () => {
  it("is read though it has thousands of entries, and odd ones", async () => {
    const entry = { mediaType: MANIFEST, digest: app.digest, size: app.manifest.length };
    const odd = { ...entry, platform: { os: ESCAPES, architecture: "amd64" } };
    const manifests = Array.from({ length: 5000 }, (_, at) => ({
      ...entry,
      platform: { os: "linux", architecture: `a${at}` },
    }));
    const right = { ...entry, platform: { os: "linux", architecture: "amd64" } };
    const push = async (tag: string, all: unknown[]) => {
      const index = { schemaVersion: 2, mediaType: INDEX, manifests: all };
      await putManifest(registry, `app:${tag}`, JSON.stringify(index), INDEX);
      return docker(`${registry.host}/app:${tag}`, http);
    };
    const [all, wrong] = [
      await push("large", [odd, ...manifests, right]),
      await push("none", manifests),
    ];
    const store = dir.join("store");
    assertEquals((await mustFetch(all, { store })).image.id, app.id);
    const { error } = await mustFail(PlatformError, wrong, { store: dir.join("other") });
    assertEquals(error.offered.length, 5000);
    assert(error.message.length < 1000, error.message);
  });
});

describe("an index with a digest that is not sha256", () => {
  const manifests = [
    {
      ...{ mediaType: MANIFEST, digest: `sha512:${"1".repeat(128)}`, size: 500 },
      platform: { os: "linux", architecture: "s390x" },
    },
    {
      ...{ mediaType: MANIFEST, digest: app.digest, size: app.manifest.length },
      platform: { os: "linux", architecture: "amd64" },
    },
  ];
  const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
  const serve = async () => {
    const proxy = await startFaultProxy(registry);
    const body = new TextEncoder().encode(index);
    proxy.rules.push({ match: /manifests\/1$/, fault: { body } });
    return proxy;
  };
  const store = () => ({ store: dir.join("store") });

  it("gives what it has by sha256, and says what it has else", async () => {
    await using proxy = await serve();
    const from = `${proxy.host}/app:1`;
    assertEquals((await mustFetch(docker(from, http), store())).image.id, app.id);
    const other = docker(from, { ...http, platform: "linux/s390x" });
    const { error } = await mustFail(PlatformError, other, store());
    assertEquals(error.offered, ["linux/amd64", "linux/s390x by sha512, which is not read"]);
  });

  it("is not kept", async () => {
    await using proxy = await serve();
    const whole = docker(`${proxy.host}/app:1`, { ...http, index: true });
    const { error } = await mustFail(ContentError, whole, store());
    assertStringIncludes(error.message, "its index lists sha512:111");
  });
});

describe("a config is refused", () => {
  const rootfs = () => ({ type: "layers", diff_ids: [layer.diffId] });
  const right = { os: "linux", architecture: "amd64" };
  const cases: Record<string, [config: () => unknown, words: string]> = {
    "that is not JSON": [() => "junk", "the config is not JSON"],
    "that is nested without end": [() => "[".repeat(1_000_000), "nested deeper than 100 levels"],
    "without an architecture": [() => ({ rootfs: rootfs() }), "architecture: is missing"],
    "that is that of no image": [() => ({}), "it is no image: what is called its config"],
    "without a root": [() => right, "rootfs: is missing"],
    "without layers": [
      () => ({ ...right, rootfs: { type: "layers" } }),
      "the image has 1 layers, and its config has 0",
    ],
    "with more layers than there are": [
      () => ({ ...right, rootfs: { diff_ids: [layer.diffId, layer.diffId] } }),
      "the image has 1 layers, and its config has 2",
    ],
    "with other layers": [
      () => ({ ...right, rootfs: { diff_ids: [app.id] } }),
      "layer 1 unpacks to sha256:",
    ],
    "with layers of another algorithm": [
      () => ({ ...right, rootfs: { diff_ids: [`sha512:${"0".repeat(128)}`] } }),
      'rootfs.diff_ids.0: must be "sha256:"',
    ],
    "with an architecture that moves the cursor": [
      () => ({ os: "linux", architecture: ESCAPES, rootfs: rootfs() }),
      "architecture: must be a word",
    ],
    "that Go would read otherwise": [
      () => ({ ...right, rootfs: rootfs(), RootFS: { diff_ids: [] } }),
      "differ from its own by case only",
    ],
  };
  for (const [what, [config, words]] of Object.entries(cases)) {
    it(what, async () => {
      const given = config();
      const text = typeof given === "string" ? given : JSON.stringify(given);
      const blob = { mediaType: CONFIG, ...await putBlob(registry, "app", text) };
      assertEquals(blob.digest, await digestOf(text));
      assertStringIncludes(await mustRefuse(changed({ config: blob })), words);
    });
  }
});
