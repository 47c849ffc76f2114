import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { examineImageConfig, readManifest } from "../../src/store/manifest.ts";

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

  it("leaves out platforms that cannot be shown", () => {
    const entries = [{ os: "li\u001b[2Jnux", architecture: "amd64" }, null, 7, {
      os: "linux",
      architecture: "amd64",
    }].map((platform) => ({ ...blob, platform }));
    const found = read(JSON.stringify({ schemaVersion: 2, manifests: entries }));
    assert(found.kind === "index");
    assertEquals(found.index.manifests.map(({ platform }) => platform?.os), [
      ...[undefined, undefined, undefined, "linux"],
    ]);
  });
});

describe("examineImageConfig()", () => {
  it("reads what has no layers in all the ways that say so", () => {
    for (const rootfs of [{ diff_ids: [] }, { diff_ids: null }, {}]) {
      const text = JSON.stringify({ architecture: "amd64", rootfs });
      const found = examineImageConfig(new TextEncoder().encode(text));
      assert("config" in found);
      assertEquals(found.config, { os: "linux", architecture: "amd64", rootfs: { diff_ids: [] } });
    }
  });
});
