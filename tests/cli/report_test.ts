import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Ajv } from "ajv";
import { describe, it } from "@std/testing/bdd";
import { forThisFile } from "../support/fixture.ts";
import { run, tempDir } from "../support/mod.ts";
import { jsonLines, stowage, writeConfig } from "./cli.ts";
import { appsFixture, source } from "./fixture.ts";

const { tool, index } = await appsFixture();
/** A config whose store has all images, for all tests. */
const dir = await forThisFile(tempDir());
await writeConfig(dir, {
  digests: "ignore",
  platform: "linux/amd64",
  sources: { web: source(index.reference), tool: source(tool.reference) },
});
assertEquals((await stowage(["fetch", "--quiet"], { cwd: dir.path })).code, 0);

const report = (...args: string[]) => stowage(["report", ...args], { cwd: dir.path });

describe("stowage report", () => {
  it("writes the page that its file's name asks for, and nothing beside it", async () => {
    const { code, stdout, stderr } = await report("-o", "report.html");
    assertEquals([code, stdout, stderr], [0, "Wrote report.html\n", ""]);
    const page = await Deno.readTextFile(dir.join("report.html"));
    assert(page.startsWith("<!DOCTYPE html>\n"));
    assertStringIncludes(page, tool.digest);
    const names = await Array.fromAsync(Deno.readDir(dir.path), ({ name }) => name);
    assertEquals(names.sort(), [".stowage", "images.config.json", "report.html"]);
    await Deno.remove(dir.join("report.html"));
  });

  it("replaces no pipe, and no device", async () => {
    await run("mkfifo", [dir.join("pipe.md")]);
    const { code, stderr } = await report("-o", "pipe.md");
    assertEquals(code, 2);
    assertStringIncludes(stderr, 'Cannot write "pipe.md": what is no regular file is there');
    await Deno.remove(dir.join("pipe.md"));
  });

  it("prints Markdown, unless told", async () => {
    const { code, stdout, stderr } = await report("tool");
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /^# Container images\n\n1 image · /);
    assertStringIncludes(stdout, `\`${tool.digest}\``);
    assertStringIncludes((await report("--format", "spdx")).stdout, '"SPDX-2.3"');
  });

  it("prints JSON as its schema has it", async () => {
    const { stdout } = await stowage(["schema", "report"], { cwd: dir.path });
    const isReport = new Ajv({ strict: true, formats: { "date-time": true } }).compile(
      JSON.parse(stdout),
    );
    const printed = JSON.parse((await report("-f", "json")).stdout);
    assert(isReport(printed), JSON.stringify(isReport.errors));
    const [result, ...others] = jsonLines((await report("--json")).stdout);
    assertEquals(others, []);
    assertEquals([result?.["type"], result?.["ok"]], ["result", true]);
    assert(isReport(result?.["report"]), JSON.stringify(isReport.errors));
  });

  it("exits with 3 where what it verified is damaged", async () => {
    const fine = await report("--verify", "--quiet", "-o", "report.md");
    assertEquals([fine.code, fine.stdout], [0, ""]);
    assertStringIncludes(await Deno.readTextFile(dir.join("report.md")), "No problems found:");
    const digest = tool.layers[1]?.digest.slice(7) ?? "";
    const image = `.stowage/sources/org.osbuild.containers/${tool.id}/image`;
    await Deno.truncate(dir.join(`${image}/${digest}`), 99);
    const { code } = await report("--verify", "-o", "report.md");
    assertEquals(code, 3);
    assertStringIncludes(await Deno.readTextFile(dir.join("report.md")), "problem");
  });

  it("says what it cannot write", async () => {
    for (
      const [args, told] of [
        [["-o", "report.txt"], "give it with --format: html, md, json, spdx"],
        [["-f", "htm"], 'did you mean "html"?'],
        [["webb"], 'did you mean "web"?'],
      ] as const
    ) {
      const { code, stderr } = await report(...args);
      assertEquals(code, 2);
      assertStringIncludes(stderr, told);
    }
    const { code, stderr } = await report("-o", "none/report.md");
    assertEquals(code, 1);
    assertStringIncludes(stderr, 'Cannot write "none/report.md"');
  });
});
