import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StoreError } from "@stowage/stowage";
import { Scratch } from "../../src/store/scratch.ts";

describe("Scratch.keep()", () => {
  it("gives few bytes again from memory, and many from a file until the run ends", async () => {
    const scratch = new Scratch();
    const few = new Uint8Array([1, 2, 3]);
    assertEquals(await (await scratch.keep(few))(), few);
    const many = new Uint8Array(300_000).fill(7);
    const read = await scratch.keep(many);
    assert(await read() !== many, "it is kept in memory");
    assertEquals(await read(), many);
    const folder = await scratch.folder();
    const [file] = await Array.fromAsync(Deno.readDir(folder));
    await Deno.writeFile(`${folder}/${file!.name}`, many.with(5, 8));
    await assertRejects(read, StoreError, "something has changed it");
    await scratch[Symbol.asyncDispose]();
    await assertRejects(() => Deno.lstat(folder), Deno.errors.NotFound);
  });
});
