import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { InterruptedError } from "@stowage/stowage";
import { digestFile } from "../../../src/tools/hash/digest_file.ts";
import { fixture } from "../../support/fixture.ts";
import { digestOf } from "../../support/mod.ts";

async function unpackedDigest(path: string, signal?: AbortSignal): Promise<string | undefined> {
  return (await digestFile({ path, unpack: true }, { signal })).unpacked;
}

const { dir } = await fixture();
const path = dir.join("file");

const encode = (text: string) => new TextEncoder().encode(text);

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** Bytes that hardly compress, so that a file of them is read in several parts. */
function noise(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

const ONE = encode("one".repeat(400));
const TWO = encode("two".repeat(700));
const ZEROS = new Uint8Array(600);
const PACKERS = {
  gzip: (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)),
  zstd: (bytes: Uint8Array) => new Uint8Array(zstdCompressSync(bytes)),
};

/** What Go makes of it. */
const CASES: Record<
  string,
  (one: Uint8Array, two: Uint8Array) => readonly [
    bytes: Uint8Array<ArrayBuffer>,
    unpacked: Readonly<Record<keyof typeof PACKERS, Uint8Array<ArrayBuffer> | undefined>>,
  ]
> = {
  "one file": (one) => [concat(one), { gzip: ONE, zstd: ONE }],
  "two in one": (
    one,
    two,
  ) => [concat(one, two), { gzip: concat(ONE, TWO), zstd: concat(ONE, TWO) }],
  "garbage behind it": (one) => [concat(one, encode("rest")), { gzip: undefined, zstd: undefined }],
  "zeros behind it": (one) => [concat(one, ZEROS), { gzip: undefined, zstd: undefined }],
  "a cut file": (one) => [concat(one.subarray(0, -3)), { gzip: undefined, zstd: undefined }],
  "a cut second": (
    one,
    two,
  ) => [concat(one, two.subarray(0, -3)), { gzip: undefined, zstd: undefined }],
  "a flipped bit": (one) => {
    const bytes = concat(one);
    bytes[bytes.length - 6]! ^= 1;
    return [bytes, { gzip: undefined, zstd: undefined }];
  },
};

describe("digestFile() without compression", () => {
  for (const format of ["gzip", "zstd"] as const) {
    for (const [what, make] of Object.entries(CASES)) {
      it(`takes ${what} of ${format} as Go does`, async () => {
        const [bytes, unpacked] = make(PACKERS[format](ONE), PACKERS[format](TWO));
        await Deno.writeFile(path, bytes);
        const expected = unpacked[format];
        assertEquals(await unpackedDigest(path), expected && await digestOf(expected));
        assertEquals((await digestFile({ path, unpack: true })).digest, await digestOf(bytes));
      });
    }
  }

  it("takes several members wherever a part of the file ends", async () => {
    const [big, small] = [noise(2 ** 20 + 40), noise(300)];
    const packed = PACKERS.gzip(big);
    for (const more of [0, 1, 17, 18, 19, 200]) {
      // Of such sizes that the second member ends close to where a part of the file does.
      const first = PACKERS.gzip(noise(2 ** 20 - packed.length % 2 ** 20 + more));
      for (const rest of [[], [PACKERS.gzip(small)]]) {
        const bytes = concat(packed, first, ...rest);
        await Deno.writeFile(path, bytes);
        const { stdout } = await new Deno.Command("sh", {
          args: ["-c", 'gzip -dcq <"$1" | sha256sum', "sh", path],
        }).output();
        const expected = `sha256:${new TextDecoder().decode(stdout).slice(0, 64)}`;
        assertEquals(await unpackedDigest(path), expected);
        await Deno.writeFile(path, concat(bytes, ZEROS));
        assertEquals(await unpackedDigest(path), undefined);
      }
    }
  });

  it("takes a member that ends where a part of the file does", async () => {
    const part = 2 ** 20;
    let size = part - 500;
    let packed = PACKERS.gzip(noise(size));
    for (; packed.length !== part; packed = PACKERS.gzip(noise(size))) size += part - packed.length;
    await Deno.writeFile(path, concat(packed, PACKERS.gzip(ONE)));
    const both = await unpackedDigest(path);
    await Deno.writeFile(path, concat(packed, ZEROS));
    assertEquals(await unpackedDigest(path), undefined);
    await Deno.writeFile(path, concat(packed, encode("rest")));
    assertEquals(await unpackedDigest(path), undefined);
    await Deno.writeFile(path, packed);
    const alone = await unpackedDigest(path);
    assert(both && alone && both !== alone);
  });

  it("takes what is not compressed as it is", async () => {
    for (const bytes of [ONE, new Uint8Array(), new Uint8Array([0x1f])]) {
      await Deno.writeFile(path, bytes);
      assertEquals(await unpackedDigest(path), await digestOf(bytes));
    }
  });

  it("ends with the signal", async () => {
    await Deno.writeFile(path, PACKERS.gzip(noise(100_000)));
    const signal = AbortSignal.abort();
    await assertRejects(() => unpackedDigest(path, signal), InterruptedError);
  });
});

describe("digestFile()", () => {
  it("hashes a part of a file, in several reads", async () => {
    const bytes = noise(3 * 2 ** 20 + 7);
    await Deno.writeFile(path, bytes);
    const range = { start: 11, length: 2 ** 21 + 5 };
    let count = 0;
    const { digest } = await digestFile(
      { path, range, unpack: false },
      { onBytes: (bytes) => count += bytes },
    );
    const expected = bytes.slice(range.start, range.start + range.length);
    assertEquals([digest, count], [await digestOf(expected), range.length]);
  });

  it("follows no symbolic link, and waits for no pipe", async () => {
    await Deno.symlink("/etc/passwd", path);
    await assertRejects(() => digestFile({ path, unpack: false }), Error, "is no file");
    await Deno.remove(path);
    await new Deno.Command("mkfifo", { args: [path] }).output();
    await assertRejects(() => digestFile({ path, unpack: false }), Error, "is no file");
  });
});
