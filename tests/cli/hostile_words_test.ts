import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { jsonLine } from "../../src/cli/json_line.ts";
import { onTerminal, stowage, writeConfig } from "./cli.ts";
import { fixture } from "../support/fixture.ts";

// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

const { dir } = await fixture();
const at = { cwd: dir.path };

/** What a lock may have for a name: it moves the cursor, sets a title, forges a line. */
const NAMES = ["\x1b[31mred\x1b]0;title\x07", "x\nremoved  forged\x9b31m", "\u202eback"];

describe("names that a lock has and the config has not", () => {
  for (const name of NAMES) {
    it(`cannot move a terminal, nor forge a line: ${JSON.stringify(name)}`, async () => {
      await writeConfig(dir, { sources: {} });
      const id = `sha256:${"1".repeat(64)}`;
      const image = {
        digest: id,
        id,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        size: 1,
      };
      const locked = { reference: "a/b:1", platforms: { "linux/amd64": image } };
      const lock = JSON.stringify({ schema: 1, sources: { [name]: locked } });
      for (const args of [["lock", "--check"], ["lock", "--check", "--json"], ["lock"]]) {
        await Deno.writeTextFile(dir.join("images.lock.json"), lock);
        const { code, stdout, stderr } = await stowage(args, at);
        const said = stdout + stderr;
        assertEquals([code, CONTROLS.exec(said)], [args.includes("--check") ? 4 : 0, null], said);
        assert(!/^removed {2}forged/m.test(said), said);
        assertMatch(said, /red|forged|back/);
      }
    });
  }
});

describe("jsonLine()", () => {
  it("escapes what terminals act on, and loses nothing", () => {
    const value = { "\x9b31m": "a\u202eb\u2028c\u{e0001}\x7f\n" };
    assertEquals(jsonLine(value), '{"\\u009b31m":"a\\u202eb\\u2028c\\udb40\\udc01\\u007f\\n"}');
    assertEquals(JSON.parse(jsonLine(value)), value);
  });

  it("writes a line whatever it is given", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    const circle: Record<string, unknown> = { a: 1n };
    circle["self"] = circle;
    for (
      const value of [deep, { value: deep }, circle, {
        get bad() {
          throw new Error();
        },
      }]
    ) {
      JSON.parse(jsonLine(value));
    }
  });
});

describe("a result that has no room", () => {
  for (const command of ["check", "check --json", "schema", "--help"]) {
    it(`is told, and is no success: ${command}`, async () => {
      await writeConfig(dir, { sources: {} });
      const { code, stdout } = await onTerminal(`$stowage ${command} >/dev/full`, at);
      assertEquals(code, 1);
      assertEquals(stdout, "error: Cannot write the result: No space left on device\r\n");
    });
  }

  it("is no reason to fail where only notes are lost", async () => {
    await writeConfig(dir, { sources: {} });
    const { code, stdout } = await onTerminal("$stowage fetch 2>/dev/full", at);
    assertEquals(code, 0);
    assertStringIncludes(stdout, "0 images in the store");
  });
});
