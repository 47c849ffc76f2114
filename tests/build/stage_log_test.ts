import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StageLog } from "../../src/build/stage_log.ts";
import { tempDir } from "../support/mod.ts";

describe("StageLog", () => {
  it("has written what it was given when that is done, so that nothing piles up", async () => {
    await using dir = await tempDir();
    await using log = await StageLog.open(dir.join("log"), "s");
    await log.append("said");
    assertEquals(await Deno.readTextFile(dir.join("log")), "== s\nsaid");
  });

  it("keeps the first and the last of what is said without end", async () => {
    await using dir = await tempDir();
    {
      await using log = await StageLog.open(dir.join("log"), "s");
      await log.append("first\n");
      for (let mib = 0; mib < 70; mib++) await log.append("0123456\n".repeat(2 ** 17));
      await log.append("last\n");
      assert(log.text.endsWith("last\n"));
    }
    const text = await Deno.readTextFile(dir.join("log"));
    assert(text.startsWith("== s\nfirst\n"));
    assert(text.includes("\n… the log is too long; its end is:\n"));
    assert(text.endsWith("0123456\nlast\n"));
    assert(text.length < 65 * 2 ** 20, `it has ${text.length} characters`);
  });
});
