import { assert, assertEquals, assertMatch } from "@std/assert";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { onTerminal, stowage, writeConfig } from "./cli.ts";
import { appsFixture, source } from "./fixture.ts";

// deno-lint-ignore no-control-regex
const COLOR = /\x1b\[[\d;]+m/;
// deno-lint-ignore no-control-regex
const ESCAPE = /[\x00-\x08\x0b-\x1f\x7f]/;
const STATUS_CLEARED = "\r\x1b[2K";

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
  it("a terminal: colours, and a status line that goes", async () => {
    const { code, stdout } = await onTerminal("$stowage fetch", at);
    assertEquals(code, 1);
    assertMatch(stdout, COLOR);
    assertMatch(stdout, /[\d.]+ [kM]B of [\d.]+ MB(?:, [\w./ ]+){0,2}, tool \d\d? % of [\d.]+ MB/);
    const end = stdout.slice(stdout.lastIndexOf(STATUS_CLEARED));
    assertMatch(end, /Cannot finish: 1 of 2 failed\r\n$/);
  });

  it("a narrow terminal without colours: the status line fits", async () => {
    const { stdout } = await onTerminal("stty cols 12; $stowage fetch tool", {
      ...at,
      env: { NO_COLOR: "1" },
    });
    assertEquals(COLOR.test(stdout), false);
    const isStatus = /^(?:tool \d+ %|[\d.]+ [kM]B )/;
    const statuses = stdout.split(STATUS_CLEARED).filter((line) => isStatus.test(line));
    assert(statuses.length > 0, stdout);
    // What stands before the next line break is a status line only, or the line that replaced it.
    for (const status of statuses) assert(status.length < 12, status);
  });

  it("a terminal, and --quiet or --json: no status line", async () => {
    const quiet = await onTerminal("$stowage fetch tool --quiet", at);
    assertEquals([quiet.code, quiet.stdout], [0, ""]);
    const json = await onTerminal("$stowage fetch tool --json", at);
    for (const line of json.stdout.trim().split("\r\n")) JSON.parse(line);
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
