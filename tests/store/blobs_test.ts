import { assert, assertEquals, assertRejects } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { join } from "@std/path";
import { InterruptedError, StoreError } from "../../src/errors/mod.ts";
import { Store } from "../../src/store/store.ts";
import { DigestPool } from "../../src/tools/hash/digest_pool.ts";
import { list } from "../sources/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { digestOf, run, smallFs } from "../support/mod.ts";

const { signal } = new AbortController();
let digests: DigestPool;

const { dir } = await fixture();
let store: Store;
let bytes: Uint8Array<ArrayBuffer>;
let layer: { digest: string; size: number };

beforeEach(async () => {
  store = new Store(dir.join("store"), () => {});
  digests = new DigestPool(signal, 1);
  bytes = crypto.getRandomValues(new Uint8Array(10_000));
  layer = { digest: await digestOf(bytes), size: bytes.length };
});
afterEach(() => digests[Symbol.dispose]());

const hex = () => layer.digest.slice("sha256:".length);
const inode = async (path: string) => (await Deno.stat(path)).ino;

/** Fetches as a process does. */
async function put(into = store): Promise<string> {
  using partial = await into.blobs.openPartial(layer.digest, signal);
  await partial.file.write(bytes);
  return (await partial.keep(layer.digest)).path;
}

describe("the pool", () => {
  it("has what was fetched, under its digest, and nothing beside it", async () => {
    const path = await put();
    assertEquals(path, dir.join("store", "blobs", "sha256", hex()));
    assertEquals(await Deno.readFile(path), bytes);
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o644);
    assertEquals(await list(dir.join("store", "blobs", "partial")), []);
    assertEquals((await new Store(store.path, () => {}).blobs.find(layer, digests))?.path, path);
  });

  it("gives an image one more name of the same file", async () => {
    const path = await put();
    const found = await store.blobs.find(layer, digests);
    await store.blobs.link(found!, dir.join("layer"));
    assertEquals(await inode(dir.join("layer")), await inode(path));
  });

  it("copies where there can be no further name", async () => {
    await using fs = await smallFs("1m");
    await put();
    const found = await store.blobs.find(layer, digests);
    await store.blobs.link(found!, join(fs.path, "layer"));
    assertEquals(await Deno.readFile(join(fs.path, "layer")), bytes);
  });

  it("does not serve what is not what it was, and moves it away", async () => {
    const path = await put();
    await Deno.writeFile(path, bytes.with(5_000, bytes[5_000]! ^ 1));
    const later = new Store(store.path, () => {});
    assertEquals(await later.blobs.find(layer, digests), undefined);
    const [name = ""] = await list(dir.join("store", "quarantine"));
    assert(name.startsWith(`${layer.digest}-blob-`), name);
  });

  it("finds out again what a layer is without compression, whatever is recorded", async () => {
    await put();
    const record = dir.join("store", "blobs", "diff-ids", hex());
    for (const spoiled of ["sha256:0", `sha256:${"ab".repeat(32)}`]) {
      await Deno.writeTextFile(record, spoiled);
      const found = await new Store(store.path, () => {}).blobs.find(layer, digests);
      assertEquals(found?.diffId, layer.digest);
      assertEquals(await Deno.readTextFile(record), layer.digest);
    }
  });

  it("keeps what was cut for the next process", async () => {
    {
      using partial = await store.blobs.openPartial(layer.digest, signal);
      await partial.file.write(bytes.subarray(0, 4_000));
    }
    using partial = await new Store(store.path, () => {}).blobs.openPartial(layer.digest, signal);
    assertEquals((await partial.file.stat()).size, 4_000);
    assertEquals(await store.blobs.find(layer, digests), undefined);
  });

  it("writes to no file that has another name as well", async () => {
    await put();
    await Deno.writeTextFile(dir.join("precious"), "precious");
    layer = { ...layer, digest: await digestOf("another") };
    await Deno.link(dir.join("precious"), dir.join("store", "blobs", "partial", hex()));
    await put();
    assertEquals(await Deno.readTextFile(dir.join("precious")), "precious");
  });

  for (const folder of ["", "partial", "sha256", "diff-ids"]) {
    it(`puts nothing where a link leads that came since: blobs/${folder}`, async () => {
      const [place, victim] = [dir.join("store", "blobs", folder), dir.join("victim")];
      for (const name of ["", "partial", "sha256", "diff-ids"]) {
        await Deno.mkdir(join(victim, name), { recursive: true });
      }
      const places = ["", "partial", "sha256"].map((name) => join(victim, name, hex()));
      const precious = places.filter((path) => folder === "" || path === join(victim, hex()));
      for (const path of precious) await Deno.writeTextFile(path, "precious");
      const before = await run("find", [victim]);
      using partial = await store.blobs.openPartial(layer.digest, signal);
      await partial.file.write(bytes);
      await Deno.rename(place, dir.join("old"));
      await Deno.symlink(victim, place);
      for (const act of [() => partial.keep(layer.digest), () => partial.discard()]) {
        await assertRejects(act, StoreError, "is a symbolic link");
      }
      const find = new Store(store.path, () => {}).blobs.find(layer, digests);
      if (["", "sha256"].includes(folder)) await assertRejects(() => find, StoreError);
      else assertEquals(await find, undefined);
      assertEquals(await run("find", [victim]), before);
    });
  }

  it("lets one at a time fetch a layer; who waits can be stopped", async () => {
    using first = await store.blobs.openPartial(layer.digest, signal);
    const stop = new AbortController();
    const second = new Store(store.path, () => {}).blobs.openPartial(layer.digest, stop.signal);
    stop.abort();
    await assertRejects(() => second, InterruptedError);
    const third = new Store(store.path, () => {}).blobs.openPartial(layer.digest, signal);
    await first.file.write(bytes);
    await first.keep(layer.digest);
    first[Symbol.dispose]();
    using waited = await third;
    assertEquals((await waited.file.stat()).size, 0);
  });

  it("finds a layer although another one who looked for it was stopped", async () => {
    await put();
    const later = new Store(store.path, () => {});
    const stop = new AbortController();
    using other = new DigestPool(stop.signal, 1);
    const stopped = later.blobs.find(layer, other);
    const found = later.blobs.find(layer, digests);
    stop.abort(new Error("enough"));
    await Promise.allSettled([stopped]);
    assertEquals((await found)?.digest, layer.digest);
  });

  it("serves no layer that is gone since", async () => {
    const path = await put();
    await Deno.remove(path);
    assertEquals(await store.blobs.find(layer, digests), undefined);
  });

  it("takes the layers of images that came without it", async () => {
    const image = store.imagePath(`sha256:${"1".repeat(64)}`);
    await Deno.mkdir(image, { recursive: true });
    await Deno.writeFile(join(image, hex()), bytes);
    const found = await store.blobs.find(layer, digests);
    assertEquals(await inode(found!.path), await inode(join(image, hex())));
  });

  it("takes no spoiled layer of an image", async () => {
    const image = store.imagePath(`sha256:${"1".repeat(64)}`);
    await Deno.mkdir(image, { recursive: true });
    await Deno.writeFile(join(image, hex()), bytes.with(0, bytes[0]! ^ 1));
    assertEquals(await store.blobs.find(layer, digests), undefined);
  });

  it("makes one file of two that are the same", async () => {
    const path = await put();
    await Deno.writeFile(dir.join("same"), bytes);
    await store.blobs.adopt(dir.join("same"), layer, layer.digest, digests);
    assertEquals(await inode(dir.join("same")), await inode(path));
  });
});
