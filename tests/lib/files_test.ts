import { assertEquals, assertRejects } from "@std/assert";
import { exists } from "@std/fs/exists";
import { describe, it } from "@std/testing/bdd";
import { isLocked, writableFile } from "../../src/lib/fs/files.ts";
import { fixture } from "../support/fixture.ts";
import { smallFs } from "../support/mod.ts";

const { dir } = await fixture();

describe("writableFile()", () => {
  it("replaces what is there", async () => {
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

/** As NFS has it: a file that was not opened to be written cannot be had alone. */
function likeNfs(): Disposable {
  const { tryLock } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.tryLock = async function (isAlone) {
    await this.write(new Uint8Array());
    return await tryLock.call(this, isAlone);
  };
  return { [Symbol.dispose]: () => void (Deno.FsFile.prototype.tryLock = tryLock) };
}

describe("isLocked()", () => {
  it("asks as one who may write, as NFS wants it, and changes nothing", async () => {
    const file = dir.join("file");
    await Deno.writeTextFile(file, "half");
    const { mtime } = await Deno.stat(file);
    {
      using _nfs = likeNfs();
      assertEquals(await isLocked(file), false);
    }
    assertEquals([await Deno.readTextFile(file), (await Deno.stat(file)).mtime], ["half", mtime]);
    using held = await Deno.open(file);
    await held.lock(true);
    assertEquals(await isLocked(file), true);
    assertEquals([await isLocked(dir.join("gone")), await exists(dir.join("gone"))], [true, false]);
  });

  it("asks of what cannot be written, too", async () => {
    await using disk = await smallFs("64k");
    await Deno.writeTextFile(`${disk.path}/file`, "half");
    assertEquals(await isLocked(disk.path), false);
    await disk.remount("ro");
    assertEquals(await isLocked(`${disk.path}/file`), false);
  });
});
