import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { InterruptedError } from "../../src/errors/mod.ts";
import { findDeno, runDeno } from "../../src/tools/deno.ts";

const deno = await findDeno() ?? "";
const cwd = Deno.cwd();

describe("runDeno()", () => {
  it("says what was said, and how it ended", async () => {
    const program = "console.log('out'); console.error('err'); Deno.exit(3)";
    const said = await runDeno(deno, ["run", "--ext=js", "-"], { cwd, stdin: program });
    assertEquals(said, { code: 3, stdout: "out\n", stderr: "err\n" });
  });

  it("is interrupted before it begins, and while it runs", async () => {
    const stop = new AbortController();
    const program = "setInterval(() => {}, 1000)";
    const options = { cwd, stdin: program, signal: stop.signal };
    const running = runDeno(deno, ["run", "--ext=js", "-"], options);
    stop.abort();
    await assertRejects(() => running, InterruptedError);
    await assertRejects(() => runDeno(deno, ["--version"], options), InterruptedError);
  });
});
