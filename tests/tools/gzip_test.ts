import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { gunzipSync } from "node:zlib";
import { InterruptedError } from "@stowage/stowage";
import { concat } from "../../src/lib/bytes.ts";
import { digestOf } from "../../src/lib/fs/files.ts";
import { gzipInBlocks } from "../../src/tools/gzip.ts";
import { digestFile } from "../../src/tools/hash/digest_file.ts";
import { tempDir } from "../support/mod.ts";

const BLOCK = 4 * 2 ** 20;

/** Bytes that gzip makes smaller, and that are not the same in any two blocks. */
function bytesOf(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let state = 1;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = (state >>> 24) & 0x0f;
  }
  return bytes;
}

async function compress(bytes: Uint8Array, atOnce: number, piece = 100_000) {
  const parts: Uint8Array[] = [];
  const to = new WritableStream<Uint8Array>({ write: (part) => void parts.push(part) });
  const { stream, settled } = gzipInBlocks(to, { level: 1, atOnce });
  const writer = stream.getWriter();
  for (let at = 0; at < bytes.length; at += piece) {
    const chunk = bytes.slice(at, at + piece);
    await writer.write(chunk);
    chunk.fill(0xff); // it counts no longer
  }
  await writer.close();
  await settled();
  return concat(...parts);
}

/** Counts the members of a gzip file: `--no-name` begins each with these bytes. */
function membersOf(gzip: Uint8Array): number {
  const start = [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0];
  let count = 0;
  for (let at = gzip.indexOf(0x1f); at >= 0; at = gzip.indexOf(0x1f, at + 1)) {
    if (start.every((byte, n) => gzip[at + n] === byte)) count++;
  }
  return count;
}

describe("gzipInBlocks()", () => {
  for (const size of [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5]) {
    it(`compresses ${size} bytes to what any reader of gzip takes`, async () => {
      const bytes = bytesOf(size);
      const packed = await compress(bytes, 2);
      assertEquals(membersOf(packed), Math.max(1, Math.ceil(size / BLOCK)));
      assertEquals(digestOf(gunzipSync(packed)), digestOf(bytes));
      await using dir = await tempDir();
      await Deno.writeFile(dir.join("packed"), packed);
      const { unpacked } = await digestFile({ path: dir.join("packed"), unpack: true });
      assertEquals(unpacked, digestOf(bytes));
      const program = new Deno.Command("gzip", { args: ["-dc", dir.join("packed")] });
      const { code, stdout } = await program.output();
      assertEquals([code, digestOf(stdout)], [0, digestOf(bytes)]);
    });
  }

  it("makes the same bytes however many blocks it compresses at a time", async () => {
    const bytes = bytesOf(3 * BLOCK + 7);
    const one = digestOf(await compress(bytes, 1));
    assertEquals(digestOf(await compress(bytes, 3)), one);
    assertEquals(digestOf(await compress(bytes, 8, BLOCK + 3)), one);
  });

  it("ends its programs, and what it writes to, when it is interrupted", async () => {
    const aborted = Promise.withResolvers<unknown>();
    const to = new WritableStream<Uint8Array>({ abort: aborted.resolve });
    const interrupt = new AbortController();
    const { signal } = interrupt;
    const { stream, settled } = gzipInBlocks(to, { level: 1, atOnce: 1, signal });
    const writer = stream.getWriter();
    writer.closed.catch(() => {});
    await writer.write(bytesOf(2 * BLOCK));
    interrupt.abort();
    await assertRejects(() => writer.close(), InterruptedError);
    assert(await aborted.promise instanceof InterruptedError);
    await settled();
  });

  it("fails where nobody takes what comes out", async () => {
    const full = new Error("full");
    const to = new WritableStream<Uint8Array>({ write: () => Promise.reject(full) });
    const { stream, settled } = gzipInBlocks(to, { level: 1, atOnce: 1 });
    const writer = stream.getWriter();
    writer.closed.catch(() => {});
    await writer.write(bytesOf(10));
    await assertRejects(() => writer.close(), Error, "full");
    await settled();
  });
});
