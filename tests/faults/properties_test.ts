import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "../support/fast_check.ts";
import { dirname, join } from "@std/path";
import {
  compile,
  type Config,
  formatReference,
  type Graph,
  type Lock,
  parseReference,
} from "@stowage/stowage";
import { parsePlatform } from "../../config/mod.ts";
import { readLock } from "../../src/lockfile/lock_file.ts";
import { placeResults } from "../../src/build/place_results.ts";
import { Store } from "../../src/store/store.ts";
import { loadConfig } from "../../src/cli/config_file.ts";
import { fixture } from "../support/fixture.ts";
import { fileOf, json, mutated, parameters } from "./arbitraries.ts";
import { CONFIG, LOCK, MANIFEST, MARK, ORIGINS, STAGE } from "./examples.ts";
import { robust } from "./robust.ts";

const { dir } = await fixture();
const ID = "a".repeat(64);

function idsOf({ nodes }: Graph): Record<string, string> {
  return Object.fromEntries([...nodes.values()].map(({ key, id }) => [key, id]));
}

/** What a script passes without the compiler's help. */
function asConfig(value: unknown): Config {
  return value as Config;
}

describe("whatever is compiled", () => {
  it("has ids that stay, through JSON too, or is explained", async () => {
    const found = { right: 0, wrong: 0 };
    await fc.assert(
      fc.asyncProperty(fc.oneof({ weight: 5, arbitrary: mutated(CONFIG) }, json), async (value) => {
        const compiled = await robust(() => compile(asConfig(value)));
        found[compiled ? "right" : "wrong"]++;
        if (!compiled) return;
        const ids = idsOf(compiled.value);
        assertEquals(idsOf(compile(asConfig(structuredClone(value)))), ids);
        assertEquals(idsOf(compile(asConfig(JSON.parse(JSON.stringify(value))))), ids);
        for (const id of Object.values(ids)) assert(/^[0-9a-f]{64}$/.test(id), id);
        for (const node of compiled.value.nodes.values()) {
          const names = node.kind === "input" ? node.images.flatMap((image) => image.names) : [];
          for (const name of names) assertEquals(formatReference(parseReference(name)), name);
        }
      }),
      parameters,
    );
    assert(found.right > 0 && found.wrong > 0, JSON.stringify(found));
  });

  it("is explained, where a script passes what JSON cannot say", async () => {
    const circle: Record<string, unknown> = {};
    circle["circle"] = circle;
    const bare = Object.assign(Object.create(null), { a: 1 });
    const odd = fc.constantFrom(
      ...[1n, Symbol("x"), () => 1, NaN, Infinity, undefined, circle, new Date(NaN), /x/, bare],
      ...[new Map([["a", 1]]), new Set([1]), new Uint8Array(3), new Proxy({}, {})],
    );
    const placed = fc.tuple(mutated(CONFIG), fc.nat(), odd).map(([config, at, value]) => {
      if (typeof config !== "object" || config === null) return value;
      const sections = Object.keys(config);
      const section = sections[at % Math.max(sections.length, 1)];
      const inner = section && Reflect.get(config, section);
      const holder = typeof inner === "object" && inner !== null && at % 2 ? inner : config;
      const key = Object.keys(holder)[0] ?? "sources";
      Reflect.set(holder, at % 3 ? key : section ?? key, value);
      return config;
    });
    await fc.assert(
      fc.asyncProperty(placed, async (value) => {
        await robust(() => compile(asConfig(value)));
      }),
      parameters,
    );
  });

  it("takes any lock that can be read", async () => {
    const path = dir.join("images.lock.json");
    await fc.assert(
      fc.asyncProperty(fileOf(fc.oneof(mutated(LOCK), json)), async (file) => {
        await Deno.writeTextFile(path, file);
        const read = await robust(() => readLock(path));
        const lock: Lock | undefined = read?.value;
        if (lock) await robust(() => compile(asConfig(CONFIG), { lock }));
      }),
      parameters,
    );
  });
});

describe("whatever a file says is read or explained:", () => {
  it("images.config.json", async () => {
    const path = dir.join("images.config.json");
    await fc.assert(
      fc.asyncProperty(fileOf(fc.oneof(mutated(CONFIG), json)), async (file) => {
        await Deno.writeTextFile(path, file);
        const loaded = await robust(() => loadConfig(path));
        if (loaded) await robust(() => compile(loaded.value.config));
      }),
      parameters,
    );
  });

  it("origin.json, and the manifest beside it", async () => {
    const platform = parsePlatform("amd64");
    const store = new Store(dir.path, () => {});
    const id = `sha256:${ID}`;
    const image = store.imagePath(id);
    await Deno.mkdir(image, { recursive: true });
    await fc.assert(
      fc.asyncProperty(
        fileOf(fc.oneof(mutated(ORIGINS), json)),
        fileOf(fc.oneof(mutated(MANIFEST), json)),
        async (origins, manifest) => {
          await Deno.writeTextFile(join(dirname(image), "origin.json"), origins);
          await Deno.writeTextFile(join(image, "manifest.json"), manifest);
          for (const query of [{ digest: id }, { reference: "docker://quay.io/acme/app:1" }]) {
            const read = await robust(() =>
              store.search({ ...query, platform, platformIsGiven: false })
            );
            assert(read, "it throws");
            assertEquals(read.value, undefined);
          }
        },
      ),
      parameters,
    );
  });

  it("stage.json", async () => {
    const { trees } = new Store(dir.path, () => {});
    await Deno.mkdir(trees.treePath(ID), { recursive: true });
    await fc.assert(
      fc.asyncProperty(fileOf(fc.oneof(mutated(STAGE), json)), async (file) => {
        await Deno.writeTextFile(join(dirname(trees.treePath(ID)), "stage.json"), file);
        const read = await robust(() => trees.find(ID, () => Promise.resolve("none")));
        assert(read, "it throws");
        assertEquals(read.value, undefined);
      }),
      parameters,
    );
  });

  it(".stowage.json", async () => {
    const signal = new AbortController().signal;
    await Deno.mkdir(dir.join("os"));
    await fc.assert(
      fc.asyncProperty(fileOf(fc.oneof(mutated(MARK), json)), async (file) => {
        await Deno.writeTextFile(dir.join(".stowage.json"), file);
        await robust(() => placeResults([], dir.path, signal));
      }),
      parameters,
    );
  });
});
