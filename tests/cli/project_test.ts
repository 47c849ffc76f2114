import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { sdkTypes } from "../../src/cli/project/sdk_types.ts";
import { fixture } from "../support/fixture.ts";
import { jsonLines, stowage } from "./cli.ts";

/** A config whose source is called by what it imports. */
const named = (imports: string, name: string, more = "") =>
  `import { defineConfig, docker } from "@stowage/stowage";\n${imports}\n${more}\n` +
  `export default defineConfig({ sources: { [${name}]: docker("web:1") } });\n`;

const { dir } = await fixture({
  files: {
    "own/deno.json": `{
      // Deno reads comments here.
      "imports": { "@/": "./lib/", "limit": "npm:p-limit@7.3.3" },
    }`,
    "own/lib/x.ts": 'export const x: string = "from-lib";',
    "own/images.config.ts": named(
      'import { x } from "@/x.ts"; import limit from "limit";',
      "x + typeof limit(1)",
      'console.log("hello", Deno.cwd());',
    ),
    "own/throws.ts": named("", "name()", "\nfunction name(): string {\n  null!.x;\n}"),
    "own/types.ts": 'import limit from "limit";\nconst run: number = limit(1);\nvoid run;\n' +
      'import { compile, docker } from "@stowage/stowage";\n' +
      "void (() => compile({ sources: { web: 1 } }));\nvoid (() => docker(1));\n" +
      "export default {};\n",
    "own/odd.ts": "export default { sources: { web: () => 1 } };",
    "own/promise.ts": "export default Promise.resolve({});",
    "own/wrong.ts": 'import { compile } from "@stowage/stowage";\n' +
      'compile({ inputs: { a: { type: "output", stage: "b" } } });',
    "own/ends.ts": "Deno.exit(0);",
    "map/deno.json": '{ "importMap": "./maps/own.json" }',
    "map/maps/own.json": '{ "imports": { "x": "../x.ts" } }',
    "map/x.ts": 'export const x = "mapped";',
    "map/images.config.ts": named('import { x } from "x";', "x"),
    "space/deno.json": '{ "workspace": ["./a", "./b"], "imports": { "top": "./top.ts" } }',
    "space/top.ts": 'export const top = "top";',
    "space/a/deno.json": '{ "imports": { "@/": "./lib/" } }',
    "space/a/lib/x.ts": 'export const x = "member";',
    "space/b/deno.json": '{ "name": "@acme/b", "version": "1.0.0", "exports": "./b.ts" }',
    "space/b/b.ts": 'export const b = "other";',
    "space/a/images.config.ts": named(
      'import { x } from "@/x.ts"; import { top } from "top"; import { b } from "@acme/b";',
      'x + "-" + top + "-" + b',
    ),
    "says/deno.json": '{ "imports": { "@stowage/stowage": "./theirs.ts" } }',
    "says/theirs.ts": 'export const docker = () => ({ type: "docker", reference: "theirs:1" });\n' +
      "export const defineConfig = <T>(config: T): T => config;",
    "says/images.config.ts": named("", '"web"'),
    "broken/deno.json": '{ "imports": ',
    "broken/images.config.ts": named("", '"web"'),
    "broken/needs.ts": named('import { x } from "@/x.ts";', "x"),
  },
});

describe("a config in a project", () => {
  const cli = (cwd: string, ...args: string[]) => stowage(args, { cwd: dir.join(cwd) });
  const nodes = async (cwd: string) => {
    const { code, stdout, stderr } = await cli(cwd, "graph", "--quiet");
    assertEquals([code, stderr], [0, ""]);
    return stdout.trim().split(/ +/);
  };

  it("imports what its deno.json names, and the running stowage where that says nothing", async () => {
    const { code, stdout, stderr } = await cli("own/lib", "check", "--json");
    assertEquals([code, stderr], [0, ""]);
    const [note, result] = jsonLines(stdout);
    assertEquals(result?.source, 1);
    assertEquals(note, {
      time: note?.time,
      type: "notice",
      code: "CONFIG_NOTE",
      message: `hello ${dir.join("own/lib")}`,
    });
    assertEquals((await nodes("own"))[0], "source/from-libfunction");
    for await (const { name } of Deno.readDir(dir.join("own"))) assertNotEquals(name, "deno.lock");
  });

  it("imports by the import map that its deno.json names", async () => {
    assertEquals((await nodes("map"))[0], "source/mapped");
  });

  it("imports what its workspace and the members of that name", async () => {
    assertEquals((await nodes("space/a"))[0], "source/member-top-other");
  });

  it("imports the stowage that its project names", async () => {
    assertStringIncludes((await nodes("says"))[1] ?? "", "theirs:1");
  });

  it("is loaded beside a deno.json that cannot be read, and says so", async () => {
    const { code, stderr } = await cli("broken", "check", "--no-types");
    assertEquals(code, 0);
    assertMatch(stderr, /Cannot read ".*deno\.json": .*; the config is loaded without it/);
    const needs = await cli("broken", "check", "--no-types", "-c", "needs.ts");
    assertEquals(needs.code, 2);
    assertStringIncludes(needs.stderr, '"@/x.ts"');
  });

  it("has its types checked in its project, unless that is not wanted", async () => {
    const { code, stderr } = await cli("own", "check", "-c", "types.ts");
    assertEquals(code, 2);
    assertStringIncludes(stderr, "its types do not fit\n  TS2322 [ERROR]: Type 'LimitFunction'");
    assertStringIncludes(stderr, "Type 'number' is not assignable to type 'Source'");
    assertStringIncludes(stderr, "'number' is not assignable to parameter of type 'string'");
    assertMatch(stderr, /types\.ts:2:7\n/);
    assertMatch(stderr, /types\.ts:6:20\n {2}→ --no-types leaves types unchecked\n$/);
    assertEquals((await cli("own", "check", "-c", "types.ts", "--no-types")).code, 0);
    // Declarations that are made once, not all the sources of this checkout.
    assertMatch(await sdkTypes({}), /\/\.tools\/types\/[0-9a-f]{64}\/mod\.d\.ts$/);
  });

  it("is refused with the place and the line of what it throws", async () => {
    const refusal = async (file: string) => {
      const { code, stdout, stderr } = await cli("own", "check", "-c", file);
      assertEquals([code, stdout], [2, ""]);
      return stderr;
    };
    assertStringIncludes(
      await refusal("throws.ts"),
      "reading 'x')\n  at throws.ts:5:9\n      null!.x;\n            ^\n",
    );
    assertStringIncludes(
      await refusal("odd.ts"),
      "sources.web is a function\n  → a config is plain",
    );
    assertStringIncludes(await refusal("promise.ts"), "its default export is a Promise\n");
    assertStringIncludes(await refusal("wrong.ts"), "1 mistake\n  inputs.a.stage: expected");
    assertStringIncludes(await refusal("ends.ts"), "code of the config has ended the process");
  });
});
