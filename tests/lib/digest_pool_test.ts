import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { gzipSync } from "node:zlib";
import { InterruptedError } from "@stowage/stowage";
import { DigestPool } from "../../src/lib/hash/digest_pool.ts";
import { fixture } from "../support/fixture.ts";
import { digestOf } from "../support/mod.ts";

const { dir } = await fixture();

const quiet = () => {};

describe("DigestPool", () => {
  it("hashes files side by side, and counts their bytes", async () => {
    using pool = new DigestPool(new AbortController().signal, 2);
    const texts = ["one", "two", "three", "four", "five"];
    let count = 0;
    const digests = await Promise.all(texts.map(async (text) => {
      const path = dir.join(text);
      await Deno.writeFile(path, new Uint8Array(gzipSync(text)));
      return await pool.digest({ path, unpack: true }, (bytes) => count += bytes);
    }));
    assertEquals(
      digests.map(({ unpacked }) => unpacked),
      await Promise.all(texts.map((text) => digestOf(new TextEncoder().encode(text)))),
    );
    const sizes = await Promise.all(
      texts.map(async (text) => (await Deno.stat(dir.join(text))).size),
    );
    assertEquals(count, sizes.reduce((sum, size) => sum + size));
  });

  it("says why a file cannot be read, and goes on", async () => {
    using pool = new DigestPool(new AbortController().signal, 1);
    const error = await assertRejects(() =>
      pool.digest({ path: dir.join("no"), unpack: false }, quiet)
    );
    assert(error instanceof Error && "code" in error);
    assertEquals(error.code, "ENOENT");
    await Deno.writeTextFile(dir.join("yes"), "");
    assert(await pool.digest({ path: dir.join("yes"), unpack: false }, quiet));
  });

  it("stops at once with the signal", async () => {
    const controller = new AbortController();
    using pool = new DigestPool(controller.signal, 2);
    const path = dir.join("big");
    await Deno.writeFile(path, new Uint8Array());
    await Deno.truncate(path, 2 ** 36); // a hole: much to hash, nothing on the disk
    const hashing = pool.digest({ path, unpack: false }, () => controller.abort());
    const begin = performance.now();
    await assertRejects(() => hashing, InterruptedError);
    assert(performance.now() - begin < 5_000);
    await assertRejects(() => pool.digest({ path, unpack: false }, quiet), InterruptedError);
  });
});
