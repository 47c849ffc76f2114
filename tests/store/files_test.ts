import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { writableFile } from "../../src/store/files.ts";
import { smallFs, tempDir } from "../support/mod.ts";

describe("writableFile()", () => {
  it("replaces what is there", async () => {
    await using dir = await tempDir();
    await Deno.writeTextFile(dir.join("file"), "a long text");
    const text = ReadableStream.from(["short", " text"]).pipeThrough(new TextEncoderStream());
    await text.pipeTo(await writableFile(dir.join("file")));
    assertEquals(await Deno.readTextFile(dir.join("file")), "short text");
  });

  it("says that there is no room, whenever that is", async () => {
    await using disk = await smallFs("64k");
    for (const size of [1000, 10_000, 30_000, 100_000]) {
      const chunks = Array.from({ length: Math.ceil(70_000 / size) }, () => new Uint8Array(size));
      const file = await writableFile(`${disk.path}/file`);
      await assertRejects(() => ReadableStream.from(chunks).pipeTo(file), Error, "No space left");
    }
  });
});
