import { assert, assertEquals, assertMatch } from "@std/assert";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { onTerminal, stowage, writeConfig } from "./cli.ts";
import { appsFixture, source } from "./fixture.ts";

// deno-lint-ignore no-control-regex
const COLOR = /\x1b\[[\d;]+m/;
// deno-lint-ignore no-control-regex
const ESCAPE = /[\x00-\x08\x0b-\x1f\x7f]/;
const CLEARED = "\x1b[2K";

const { dir, proxy, tool } = await appsFixture();
const at = { cwd: dir.path };

beforeEach(async () => {
  const match = new RegExp(`^GET .*/blobs/${tool.layers[1]?.digest}`);
  // It takes half a second to arrive.
  proxy.rules.push({ match, fault: { slow: 800_000 } });
  await writeConfig(dir, {
    sources: {
      tool: source(`${proxy.host}/apps/tool:1`),
      absent: source(`${proxy.host}/apps/absent:1`),
    },
  });
});

describe("where it writes to", () => {
  it("a terminal: colours, and bars that go", async () => {
    const { code, stdout } = await onTerminal("$stowage fetch", at);
    assertEquals(code, 1);
    assertMatch(stdout, COLOR);
    assertMatch(
      stdout,
      /\[[01]\/2\] [\d.]+ (?:[kM]B )?of [\d.]+ MB(?: or more)?(?: · [\w./ ]+)*\r\n/,
    );
    assertMatch(stdout, /\ntool {2}\[#*-*\] +\d+ % {2}[\d.]+ (?:[kM]B )?of [\d.]+ MB/);
    const end = stdout.slice(stdout.lastIndexOf(CLEARED));
    assertMatch(end, /Cannot finish: 1 of 2 failed\r\n$/);
  });

  it("a narrow terminal without colours: all lines fit", async () => {
    const { stdout } = await onTerminal("stty cols 12; $stowage fetch tool", {
      ...at,
      env: { NO_COLOR: "1" },
    });
    assertEquals(COLOR.test(stdout), false);
    const isStatus = /^(?:\[\d|tool +\d)/;
    const lines = stdout.split("\r\n").flatMap((line) => line.split(`\r${CLEARED}`));
    const statuses = lines.filter((line) => isStatus.test(line));
    assert(statuses.length > 1, stdout);
    for (const status of statuses) assert(status.length < 12, status);
  });

  it("a terminal, and --quiet or --json: no status line", async () => {
    const quiet = await onTerminal("$stowage fetch tool --quiet", at);
    assertEquals([quiet.code, quiet.stdout], [0, ""]);
    const json = await onTerminal("$stowage fetch tool --json", at);
    for (const line of json.stdout.trim().split("\r\n")) JSON.parse(line);
  });

  it("a terminal, and --progress plain or none: no status line", async () => {
    for (const how of ["plain", "none"]) {
      const { code, stdout } = await onTerminal(`$stowage fetch tool --progress ${how}`, at);
      assertEquals([code, stdout.includes(CLEARED)], [0, false]);
      assertMatch(stdout, /1 image in the store/);
      await dir.empty();
      await writeConfig(dir, { sources: { tool: source(`${proxy.host}/apps/tool:1`) } });
    }
  });

  it("no terminal: bars are refused, and so is what is no kind of progress", async () => {
    const bar = await stowage(["fetch", "--progress", "bar"], at);
    assertEquals([bar.code, /standard error is no terminal/.test(bar.stderr)], [2, true]);
    const fast = await stowage(["fetch", "--progress", "fast"], at);
    assertEquals([fast.code, /expected bar, plain, none/.test(fast.stderr)], [2, true]);
  });

  it("a terminal for errors, a file for the result: the file has no escape codes", async () => {
    const { code } = await onTerminal("$stowage fetch tool >result.txt", at);
    assertEquals(code, 0);
    const text = await Deno.readTextFile(dir.join("result.txt"));
    assertMatch(text, /^tool +fetched .*\n1 image in the store/);
    assertEquals(ESCAPE.exec(text), null);
  });

  it("no terminal: no escape codes at all", async () => {
    for (const args of [["fetch"], ["plan"], ["doctor"], ["--help"], ["fetch", "--json"]]) {
      const { stdout, stderr } = await stowage(args, at);
      assertEquals(ESCAPE.exec(stdout + stderr), null);
    }
  });

  it("a pipe that is closed: no fuss", async () => {
    const { code, stdout } = await onTerminal("$stowage graph | true; $stowage --help | true", at);
    assertEquals([code, stdout], [0, ""]);
  });
});
