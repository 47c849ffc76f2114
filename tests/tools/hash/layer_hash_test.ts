import { assert, assertEquals } from "@std/assert";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, it } from "@std/testing/bdd";
import { LayerHash, limitOf } from "../../../src/tools/hash/layer_hash.ts";
import { forThisFile } from "../../support/fixture.ts";
import { digestOf, run, tempDir } from "../../support/mod.ts";

/** The program zstd takes gzip behind its own. */
const GZIP = gzipSync("more");
const ZSTD = zstdCompressSync("more");
const isGzip = (bytes: Uint8Array) => bytes[0] === 0x1f;
const CHECKSUM = constants.ZSTD_c_checksumFlag;

/** A megabyte that compresses somewhat. */
const plain = new TextEncoder().encode(
  Array.from({ length: 100_000 }, (_, n) => `${(n * 7919) % 65_537}\n`).join(""),
);

const dir = await forThisFile(tempDir());
await Deno.writeFile(dir.join("plain"), plain);
await run("gzip", ["-k", dir.join("plain")]);
await run("zstd", ["-q", dir.join("plain")]);
await run("xz", ["-k", dir.join("plain")]);
await run("bzip2", ["-k", dir.join("plain")]);

async function hashInPieces(bytes: Uint8Array, size: number) {
  using hash = new LayerHash({ limit: limitOf(bytes.length), memory: 16 });
  for (let at = 0; at < bytes.length; at += size) await hash.write(bytes.slice(at, at + size));
  const { digest, diffId } = await hash.end();
  return { digest, diffId };
}

describe("LayerHash", () => {
  for (const kind of ["plain", "plain.gz", "plain.zst", "plain.xz", "plain.bz2"]) {
    for (const size of [3, 1_000, 2 ** 24]) {
      it(`gives both digests of ${kind} in pieces of ${size} bytes`, async () => {
        const bytes = await Deno.readFile(dir.join(kind));
        const part = size === 3 ? bytes.slice(0, 30_000) : bytes;
        const { digest, diffId } = await hashInPieces(part, size);
        assertEquals(digest, await digestOf(part));
        if (size > 3) assertEquals(diffId, await digestOf(plain));
      });
    }
  }

  it("takes two members of gzip for one layer", async () => {
    const member = await Deno.readFile(dir.join("plain.gz"));
    const { diffId } = await hashInPieces(new Uint8Array([...member, ...member]), 10_000);
    assertEquals(diffId, await digestOf(new Uint8Array([...plain, ...plain])));
  });

  for (const size of [1, 7, 1_000, 2 ** 24]) {
    it(`takes frames of zstd, and what skips, for one layer in pieces of ${size} bytes`, async () => {
      const frame = (text: string) => zstdCompressSync(text, { params: { [CHECKSUM]: 1 } });
      const skip = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
      const layer = [...frame("one"), ...skip, ...frame(""), ...frame("two".repeat(999)), ...skip];
      const whole = await hashInPieces(new Uint8Array(layer), size);
      assertEquals(whole.diffId, await digestOf(`one${"two".repeat(999)}`));
      for (const bytes of [layer.slice(0, -1), layer.slice(0, -skip.length - 1), [...layer, 0]]) {
        assertEquals((await hashInPieces(new Uint8Array(bytes), size)).diffId, undefined);
      }
    });
  }

  const spoiled: [string, (bytes: Uint8Array) => Uint8Array][] = [
    ["cut", (bytes) => bytes.slice(0, -1)],
    ["flipped", (bytes) => bytes.with(bytes.length - 6, (bytes.at(-6) ?? 0) ^ 1)],
    ["longer", (bytes) => new Uint8Array([...bytes, 1, 2, 3])],
    ["longer by zeros", (bytes) => new Uint8Array([...bytes, 0, 0, 0])],
    [
      "longer by another kind",
      (bytes) => new Uint8Array([...bytes, ...(isGzip(bytes) ? ZSTD : GZIP)]),
    ],
  ];
  for (const kind of ["plain.gz", "plain.zst", "plain.xz", "plain.bz2"]) {
    for (const [name, spoil] of spoiled) {
      it(`has no second digest of a ${kind} that is ${name}`, async () => {
        const bytes = spoil(await Deno.readFile(dir.join(kind)));
        const digest = await digestOf(new Uint8Array(bytes));
        for (const size of [1_000, 2 ** 24]) {
          assertEquals(await hashInPieces(bytes, size), { digest, diffId: undefined });
        }
      });
    }
  }

  it("lets a layer unpack to 4 GiB, and 250 times its size, and no more", async () => {
    assertEquals([limitOf(0), limitOf(2 ** 40)], [2 ** 32, 250 * 2 ** 40]);
    for (const kind of ["plain.gz", "plain.zst", "plain.xz", "plain.bz2"]) {
      const bytes = await Deno.readFile(dir.join(kind));
      for (const [limit, isBomb] of [[plain.length, false], [plain.length - 1, true]] as const) {
        using hash = new LayerHash({ limit, memory: 16 });
        await hash.write(bytes);
        const { digest, diffId, fault } = await hash.end();
        assertEquals([digest, diffId === undefined], [await digestOf(bytes), isBomb], kind);
        assertEquals(fault?.message.includes("as bombs do") ?? false, isBomb, kind);
      }
    }
  });

  it("takes a million frames in no time", async () => {
    const frame = zstdCompressSync("x", { params: { [CHECKSUM]: 1 } });
    const bytes = new Uint8Array(frame.length * 10 ** 6);
    for (let at = 0; at < bytes.length; at += frame.length) bytes.set(frame, at);
    const begin = performance.now();
    const { diffId } = await hashInPieces(bytes, 2 ** 20);
    assertEquals(diffId, await digestOf(new TextEncoder().encode("x".repeat(10 ** 6))));
    const took = performance.now() - begin;
    assert(took < 5_000, `it took ${took} ms`);
  });

  it("takes less than four bytes, and none", async () => {
    for (const bytes of [new Uint8Array(), new Uint8Array([0x1f, 0x8b])]) {
      const digest = await digestOf(bytes);
      const { digest: found } = await hashInPieces(bytes, 1);
      assertEquals(found, digest);
    }
  });
});
