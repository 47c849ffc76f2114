import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { examineImageConfig, platformOfEntry, readManifest } from "../../src/store/manifest.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const blob = { digest: DIGEST, size: 3 };

function read(text: string) {
  return readManifest(new TextEncoder().encode(text));
}

function manifest(change: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ schemaVersion: 2, config: blob, layers: [], ...change });
}

describe("readManifest()", () => {
  it("takes five hundred layers, the same one too, and none", () => {
    for (const layers of [Array(500).fill(blob), [blob, blob], [], null]) {
      const found = read(manifest({ layers }));
      assert(found.kind === "image");
      assertEquals(found.manifest.layers.length, layers?.length ?? 0);
    }
  });

  const bombs: Record<string, string> = {
    "brackets": "[".repeat(4_000_000),
    "lists that end": "[".repeat(2_000_000) + "]".repeat(2_000_000),
    "objects": '{"a":'.repeat(800_000),
    "quotes": '"a'.repeat(2_000_000),
    "backslashes": `"${"\\\\".repeat(2_000_000)}`,
    "numbers": `{"layers":[${"1,".repeat(2_000_000)}1]}`,
    "keys": `{${Array.from({ length: 300_000 }, (_, at) => `"${at}":1`).join()}}`,
    "layers of nothing": manifest({ layers: Array(1_000_000).fill({}) }),
    "entries of nothing": JSON.stringify({
      schemaVersion: 2,
      manifests: Array(1_000_000).fill({}),
    }),
    "one long text": manifest({ schemaVersion: "x".repeat(4_000_000) }),
    "more than is read": manifest({ schemaVersion: "x".repeat(5_000_000) }),
  };
  for (const [what, text] of Object.entries(bombs)) {
    it(`refuses a bomb of ${what} in little time and few words`, () => {
      const start = performance.now();
      const found = read(text);
      assert(found.kind === "invalid");
      assert(found.reason.length < 500, `it says ${found.reason.length} characters`);
      // Of one of four million bytes; seconds would mean that time grows faster than the text.
      assert(performance.now() - start < 5000, "it takes too long");
    });
  }

  it("finds a key that is there twice in the same object only", () => {
    const of = (annotations: string) => manifest().replace("{", `{"annotations":${annotations},`);
    assertEquals(read(of('{"a":"b","b":{"a":"a"},"c":["a","a"],"d":"a"}')).kind, "image");
    assertEquals(read(of('{"a\\"":1,"a":1,"A":1}')).kind, "image");
    for (const twice of ['{"a":1,"a":2}', '{"a":1,"\\u0061" :2}', '{"b":[{"a":{},"a":[]}]}']) {
      const found = read(of(twice));
      assert(found.kind === "invalid", twice);
      assertStringIncludes(found.reason, 'has the key "a" twice');
    }
  });

  it("takes no key for another that Go takes for the same", () => {
    const cases = [
      { config: { ...blob, "ſize": 5 } }, // its capital is S
      { "\u{212A}ind": "x", LAYERS: [] },
      { Config: blob },
      { layers: [{ ...blob, URLs: ["http://127.0.0.1/"] }] },
    ];
    for (const change of cases) {
      const found = read(manifest(change));
      assert(found.kind === "invalid");
      assertStringIncludes(found.reason, "differ from its own by case only");
    }
  });

  it("does not change what all objects have", () => {
    read(`{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}`);
    assertEquals(Reflect.get({}, "polluted"), undefined);
  });

  it("takes null for what is left out, as Go does", () => {
    const config = { ...blob, mediaType: null, urls: null, annotations: null };
    const nothing = { mediaType: null, annotations: null, subject: null, manifests: null };
    const image = read(manifest({ ...nothing, config, layers: [config] }));
    assert(image.kind === "image");
    const bare = read(manifest({ layers: [blob] }));
    assertEquals(image, bare);

    const platform = { os: "linux", architecture: "amd64" };
    const of = (...manifests: unknown[]) =>
      read(JSON.stringify({ schemaVersion: 2, ...nothing, config: null, layers: null, manifests }));
    const bent = { ...platform, variant: null, features: null, "os.version": null };
    const index = of({ ...config, platform: bent }, { ...blob, platform: null });
    assert(index.kind === "index");
    assertEquals(index, of({ ...blob, platform }, blob));
    const none = read(JSON.stringify({ schemaVersion: 2, ...nothing }));
    assert(none.kind === "index");
    assertEquals(none.index.manifests, []);
  });

  it("does not take null for what has to be there", () => {
    const cases: [Record<string, unknown>, string][] = [
      [{ schemaVersion: null }, "schemaVersion: is missing"],
      [{ config: null }, "config: is missing"],
      [{ config: { ...blob, digest: null } }, "config.digest: is missing"],
      [{ layers: [{ ...blob, size: null }] }, "layers.0.size: is missing"],
    ];
    for (const [change, reason] of cases) {
      const found = read(manifest(change));
      assert(found.kind === "invalid");
      assertStringIncludes(found.reason, reason);
    }
  });

  it("names what it cannot read of an index", () => {
    const of = (platform: unknown) =>
      read(JSON.stringify({ schemaVersion: 2, manifests: [{ ...blob, platform }] }));
    const odd = of({ os: "li\u001b[2Jn\nux", architecture: "amd64" });
    assert(odd.kind === "index");
    const [entry] = odd.index.manifests;
    assert(entry && "oddPlatform" in entry);
    assertEquals([entry.oddPlatform, platformOfEntry(entry)], ["lin\\nux/amd64/", undefined]);
    for (const wrong of [7, "linux", { os: 7 }, { variant: ["v7"] }, { OS: "linux" }]) {
      const found = of(wrong);
      assert(found.kind === "invalid", JSON.stringify(wrong));
      assertStringIncludes(found.reason, "manifests.0.platform");
    }
  });

  it("has entries that are for no platform", () => {
    const entries = [undefined, {}, { os: "unknown", architecture: "unknown" }, { os: "linux" }]
      .map((platform) => ({ ...blob, platform }));
    const found = read(JSON.stringify({ schemaVersion: 2, manifests: entries }));
    assert(found.kind === "index");
    assertEquals(found.index.manifests.map(platformOfEntry), Array(4).fill(undefined));
  });
});

describe("examineImageConfig()", () => {
  it("reads what has no layers in all the ways that say so", () => {
    for (const rootfs of [{ diff_ids: [] }, { diff_ids: null }, {}]) {
      const text = JSON.stringify({ architecture: "amd64", rootfs });
      const found = examineImageConfig(new TextEncoder().encode(text));
      assert("config" in found);
      const expected = { os: "linux", architecture: "amd64", variant: "" };
      assertEquals(found.config, { ...expected, rootfs: { diff_ids: [] } });
    }
  });

  it("takes null for what is left out", () => {
    const nothing = { os: null, variant: null, created: null, history: null, config: null };
    const of = (change: unknown) =>
      examineImageConfig(new TextEncoder().encode(JSON.stringify(change)));
    const rootfs = { type: null, diff_ids: null };
    const found = of({ architecture: "arm64", ...nothing, rootfs });
    assertEquals(found, of({ architecture: "arm64", rootfs: {} }));
    assert("reason" in of({ architecture: null, rootfs }));
  });
});
