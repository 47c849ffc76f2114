import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { gzipSync } from "node:zlib";
import { InterruptedError } from "@stowage/stowage";
import { DigestPool } from "../../../src/tools/hash/digest_pool.ts";
import { DigestThread } from "../../../src/tools/hash/digest_thread.ts";
import { fixture } from "../../support/fixture.ts";
import { digestOf, run } from "../../support/mod.ts";

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

  it("takes the death of a thread for the answer, and for that of one file only", async () => {
    const deadly = new URL("./deadly_worker.ts", import.meta.url);
    const { signal } = new AbortController();
    using pool = new DigestPool(signal, 1, () => new DigestThread(deadly));
    const bytes = new Uint8Array(gzipSync("text"));
    const [unpacked, digest] = await Promise.all([
      digestOf(new TextEncoder().encode("text")),
      digestOf(bytes),
    ]);
    for (const name of ["deadly", "growing"]) await Deno.writeFile(dir.join(name), bytes);
    const growing = pool.follow({ path: dir.join("growing"), unpack: true }, bytes.length);
    growing.grow(5);
    const found = await pool.digest({ path: dir.join("deadly"), unpack: true });
    assertEquals(found, { digest, fault: "what unpacks it dies of it" });
    growing.grow(bytes.length);
    assertEquals(await growing.end(), { digest, unpacked });
  });

  it("gives a window of 128 MiB, and no more, to one file at a time", async () => {
    using pool = new DigestPool(new AbortController().signal, 2);
    await Deno.writeFile(dir.join("plain"), new Uint8Array(2 ** 20));
    const pack = async (log: number) => {
      const path = dir.join(`${log}`);
      // From a pipe, so that it does not know that less would do.
      await run("sh", [
        "-c",
        `cat "$1" | zstd -q --ultra --long=${log} >"$2"`,
        "sh",
        dir.join("plain"),
        path,
      ]);
      return await pool.digest({ path, unpack: true });
    };
    const expected = await digestOf(new Uint8Array(2 ** 20));
    assertEquals((await Promise.all([pack(27), pack(27)])).map(({ unpacked }) => unpacked), [
      expected,
      expected,
    ]);
    assertEquals(
      (await pack(28)).fault,
      "its zstd needs a window of more than 128 MiB, which is all that it gets",
    );
  });
});
