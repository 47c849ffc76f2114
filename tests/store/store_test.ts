import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { basename, join } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { parsePlatform } from "../../config/mod.ts";
import { digestOf } from "../../src/lib/fs/files.ts";
import { CONTAINERS, Store } from "../../src/store/store.ts";
import { StoreError } from "@stowage/stowage";
import { list } from "../sources/fixture.ts";
import { fixture } from "../support/fixture.ts";

const encoder = new TextEncoder();

const AMD64 = { platform: parsePlatform("amd64"), platformIsGiven: false };
const ARM64 = { platform: parsePlatform("arm64"), platformIsGiven: true };

const { dir } = await fixture();
let store: Store;

beforeEach(() => {
  store = new Store(dir.join("store"), () => {});
});

/** A tiny image in the format of the `dir` transport. */
async function writeImage(folder: string, text = "layer", json = "{}"): Promise<string> {
  const blobs = [json, text].map((blob) => encoder.encode(blob));
  const [config, layer] = blobs.map((blob) => ({ digest: digestOf(blob), size: blob.length }));
  await Deno.mkdir(folder, { recursive: true });
  for (const blob of blobs) await Deno.writeFile(join(folder, digestOf(blob).slice(7)), blob);
  const manifest = JSON.stringify({ schemaVersion: 2, config, layers: [layer] });
  await Deno.writeTextFile(join(folder, "manifest.json"), manifest);
  return config!.digest;
}

const origin = (reference: string) => ({
  ...{ reference, transport: "dir", platform: "linux/amd64", fetched: new Date().toISOString() },
});

const targetOf = (id: string) => join(store.path, "sources", CONTAINERS, id, "image");

describe("Store.commit()", () => {
  it("moves the folder itself, at once", async () => {
    const id = await writeImage(dir.join("image"));
    const { ino } = await Deno.stat(dir.join("image"));
    const image = await store.commit(dir.join("image"), id, origin("dir:/a"));
    assertEquals([image.id, image.path], [id, targetOf(id)]);
    assertEquals((await Deno.stat(targetOf(id))).ino, ino);
    assertEquals(await list(dir.path), ["store"]);
  });

  it("leaves an image that is there already as it is", async () => {
    const id = await writeImage(dir.join("first"));
    await store.commit(dir.join("first"), id, origin("dir:/first"));
    const { ino } = await Deno.stat(targetOf(id));
    await writeImage(dir.join("second"));
    await store.commit(dir.join("second"), id, origin("dir:/second"));
    assertEquals((await Deno.stat(targetOf(id))).ino, ino);
    assertEquals(await list(join(store.path, "quarantine")), []);
    const origins = await store.origins(id);
    assertEquals(origins.map(({ reference }) => reference), ["dir:/first", "dir:/second"]);
  });

  it("takes the place of an empty folder", async () => {
    const id = await writeImage(dir.join("image"));
    await Deno.mkdir(targetOf(id), { recursive: true });
    await store.commit(dir.join("image"), id, origin("dir:/a"));
    assert(await store.find(id));
    assertEquals(await list(join(store.path, "quarantine")), []);
  });

  it("succeeds for all that do the same at once, over what is not whole", async () => {
    const id = await writeImage(dir.join("image-0"));
    const others = Array.from({ length: 12 }, (_, at) => dir.join(`image-${at}`));
    for (const folder of others) await writeImage(folder);
    await Deno.mkdir(join(targetOf(id), "junk"), { recursive: true });
    const all = await Promise.all(
      others.map((folder) =>
        new Store(store.path, () => {}).commit(folder, id, origin(`dir:${folder}`))
      ),
    );
    assertEquals(new Set(all.map(({ path }) => path)), new Set([targetOf(id)]));
    assertEquals((await list(join(store.path, "quarantine"))).length, 1);
    assertEquals((await store.origins(id)).length, 12);
    assertEquals(await list(join(targetOf(id), "..")), ["image", "origin.json"]);
  });

  it("fails as a StoreError", async () => {
    await Deno.writeTextFile(dir.join("file"), "");
    const id = await writeImage(dir.join("image"));
    const error = await assertRejects(
      () =>
        new Store(dir.join("file/store"), () => {}).commit(dir.join("image"), id, origin("dir:/a")),
      StoreError,
    );
    assertEquals(error.code, "STORE_FAILED");
  });
});

describe("Store.addOrigin()", () => {
  it("has nothing else in the entry at any moment, which a kill would leave there", async () => {
    const id = await writeImage(dir.join("image"));
    await store.commit(dir.join("image"), id, origin("dir:/a"));
    using watcher = Deno.watchFs(store.entryPath(id));
    await store.addOrigin(id, origin("dir:/b"));
    const seen = new Set<string>();
    for await (const { paths } of watcher) {
      for (const path of paths) if (path !== store.entryPath(id)) seen.add(basename(path));
      if (seen.has("origin.json")) break;
    }
    assertEquals(seen, new Set(["origin.json"]));
    assertEquals(await list(join(store.path, "tmp")), []);
  });
});

describe("Store.find()", () => {
  it("finds only what has the id that its folder says", async () => {
    const id = await writeImage(dir.join("image"));
    await store.commit(dir.join("image"), id, origin("dir:/a"));
    const other = `sha256:${"1".repeat(64)}`;
    await Deno.rename(join(targetOf(id), ".."), join(targetOf(other), ".."));
    assertEquals(await store.find(other), undefined);
    assertEquals(await store.find(id), undefined);
    assertEquals(await store.ids(), [other]);
  });

  it("makes no path of what is not a digest", () => {
    for (const id of ["../x", "sha256:../../x", `sha256:${"A".repeat(64)}`, ""]) {
      assertThrows(() => store.entryPath(id), TypeError);
    }
  });
});

describe("Store.search()", () => {
  it("prefers what was fetched last, whatever the clock said", async () => {
    const ids: string[] = [];
    for (const [at, year] of ["2021", "2023", "2022"].entries()) {
      const folder = dir.join(`image-${at}`);
      await writeImage(folder, year);
      const config = encoder.encode(JSON.stringify({ year }));
      const id = digestOf(config);
      const manifest = JSON.parse(await Deno.readTextFile(join(folder, "manifest.json")));
      manifest.config = { digest: id, size: config.length };
      await Deno.writeFile(join(folder, id.slice(7)), config);
      await Deno.writeTextFile(join(folder, "manifest.json"), JSON.stringify(manifest));
      const fetched = `${year}-01-02T03:04:05.000Z`;
      await store.commit(folder, id, { ...origin("docker://a.example/b:1"), fetched });
      ids.push(id);
    }
    const reference = "docker://a.example/b:1";
    assertEquals((await store.search({ reference, ...AMD64 }))?.id, ids[2]);
    assertEquals(await store.search({ reference, ...ARM64 }), undefined);
    assertEquals(await store.search({ reference: `${reference}2`, ...AMD64 }), undefined);
    const digest = digestOf(await Deno.readFile(join(targetOf(ids[2]!), "manifest.json")));
    assertEquals((await store.search({ digest, ...AMD64 }))?.id, ids[2]);
    await Deno.remove(join(targetOf(ids[2]!), "manifest.json"));
    assertEquals((await store.search({ reference, ...AMD64 }))?.id, ids[1]);
  });

  it("finds nothing in a store that is not there", async () => {
    assertEquals(await store.search({ reference: "dir:/a", ...AMD64 }), undefined);
    assertEquals(await store.ids(), []);
    assertEquals(await list(store.path), []);
  });
});

describe("Store.search() in a store of many images", () => {
  it("reads what is recorded of each once, however much is asked for", async () => {
    const digests: string[] = [];
    for (let n = 0; n < 20; n++) {
      const id = await writeImage(dir.join(`image-${n}`), `layer ${n}`, `{"n":${n}}`);
      const image = await store.commit(dir.join(`image-${n}`), id, origin(`docker://a/b:${n}`));
      digests.push(image.digest);
    }
    const later = new Store(store.path, () => {});
    const read = new Map<string, number>();
    const { readFile } = Deno;
    Deno.readFile = (path, options) => {
      if (String(path).endsWith("origin.json")) {
        read.set(String(path), (read.get(String(path)) ?? 0) + 1);
      }
      return readFile(path, options);
    };
    try {
      const found = await Promise.all(
        digests.map((digest) => later.search({ digest, ...AMD64 })),
      );
      assertEquals(found.map((image) => image?.digest), digests);
    } finally {
      Deno.readFile = readFile;
    }
    // Once for all, and once for the one that is meant.
    assertEquals([...read.values()], digests.map(() => 2));
  });
});
