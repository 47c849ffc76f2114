import { assertEquals } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { describe, it } from "@std/testing/bdd";
import { indexTar, type TarMember } from "../../src/lib/archive/tar_index.ts";
import { fixture } from "../support/fixture.ts";
import { tar } from "../support/tar.ts";

const { dir } = await fixture();
const BLOCK = 512;
/** Far more than it takes, in ms. */
const TOO_LONG = 10_000;

/** Puts text into a header, and sums it up anew. */
function write(archive: Uint8Array, header: number, at: number, text: string): void {
  const block = archive.subarray(header, header + BLOCK);
  const put = (at: number, text: string) => block.set(new TextEncoder().encode(text), at);
  put(at, text);
  put(148, " ".repeat(8));
  const sum = block.reduce((sum, byte) => sum + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
}

/** An archive whose first file is the extended header of the second one. */
function extended(record: string): Uint8Array {
  const archive = tar({ extended: record, file: "1234" });
  write(archive, 0, 156, "x");
  return archive;
}

async function index(archive: Uint8Array): Promise<Map<string, TarMember> | undefined> {
  const path = dir.join("archive.tar");
  await Deno.writeFile(path, archive);
  using file = await Deno.open(path);
  return await deadline(indexTar(file), TOO_LONG);
}

describe("an archive", () => {
  it("is what its headers say, the extended ones too", async () => {
    const member = { type: "file", start: 3 * BLOCK, length: 4 } as const;
    assertEquals(await index(extended("15 path=a/name\n")), new Map([["a/name", member]]));
    const short = { ...member, length: 2 };
    assertEquals(await index(extended("9 size=2\n")), new Map([["file", short]]));
  });

  for (const size of ["-1536", "-1", "1e999", "many"]) {
    it(`is none where the size of a file is "${size}"`, async () => {
      assertEquals(await index(extended(`15 size=${size}\n`)), undefined);
    });
  }

  it("is none where a size leads back", async () => {
    const archive = tar({ first: "1", second: "2" });
    write(archive, 2 * BLOCK, 124, "-0000003000\0");
    assertEquals(await index(archive), undefined);
  });
});
