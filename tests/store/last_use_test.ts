import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { lastUse, markUsed } from "../../src/store/last_use.ts";
import { fixture } from "../support/fixture.ts";
import { smallFs } from "../support/mod.ts";

const { dir } = await fixture();

describe("lastUse()", () => {
  it("tells when an entry was marked last", async () => {
    await Deno.utime(dir.path, 1_000, 1_000);
    assertEquals((await lastUse(dir.path))?.getTime(), 1_000_000);
    const before = Date.now();
    await markUsed(dir.path);
    assert(((await lastUse(dir.path))?.getTime() ?? 0) >= before - 1);
    assertEquals(await lastUse(dir.join("gone")), undefined);
  });

  it("is left as it is where nothing can be written", async () => {
    await using fs = await smallFs("1m");
    await Deno.utime(fs.path, 1_000, 1_000);
    await fs.remount("ro");
    await markUsed(fs.path);
    await markUsed(`${fs.path}/gone`);
    assertEquals((await lastUse(fs.path))?.getTime(), 1_000_000);
  });
});
