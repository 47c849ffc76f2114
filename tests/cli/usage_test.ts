import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { fixture } from "../support/fixture.ts";
import { jsonLines, stowage } from "./cli.ts";

const COMMANDS = [
  ...["check", "plan", "graph", "fetch", "build", "push", "lock", "outdated", "schema", "doctor"],
];
const NOWHERE = { type: "docker", reference: "127.0.0.1:1/apps/web:1", tlsVerify: false };
// deno-lint-ignore no-control-regex
const ESCAPE = /[\x00-\x08\x0b-\x1f\x7f]/;

const { dir } = await fixture({
  files: {
    "images.config.json": JSON.stringify({ sources: { web: NOWHERE, wide: NOWHERE } }),
    "wrong/broken.json": "{",
    "wrong/list.json": "[]",
    "wrong/broken.ts": "export default { sources: {",
    "wrong/bare.ts": "export const config = {};",
    "wrong/throws.ts": 'throw new Error("no \\x1b[31mVERSION\\x1b[0m is set\\r");',
    "wrong/lost.ts": 'import "./nothing.ts";',
    "wrong/unmapped.ts": 'import "left-pad-of-mine";',
    "wrong/stowage.ts": 'import "@stowage/stowag";',
    "wrong/compiles.ts": 'import { compile } from "@stowage/stowage";\n' +
      'compile({ inputs: { a: { type: "output", stage: "b" } } });',
    "wrong/wrong.json": JSON.stringify({
      sources: { web: { type: "dokcer", reference: "web" } },
      inputs: { apps: { type: "images", images: { wbe: "web" } } },
    }),
  },
});

describe("the command line", () => {
  const cli = (...args: string[]) => stowage(args, { cwd: dir.path });
  /** Runs what must fail, and returns what it said to the user. */
  const refusal = async (...args: string[]) => {
    const { code, stdout, stderr } = await cli(...args);
    assertEquals([code, stdout], [2, ""], stderr);
    return stderr;
  };

  it("shows its help when asked, and as an error when there is no command", async () => {
    const asked = await cli("--help");
    assertMatch(asked.stdout, /^ {2}-V, --version +show the version$/m);
    assertEquals([asked.code, asked.stderr], [0, ""]);
    for (const name of COMMANDS) assertMatch(asked.stdout, new RegExp(`^  ${name} `, "m"));
    const { code, stdout, stderr } = await cli();
    assertEquals([code, stdout, stderr], [2, "", asked.stdout]);
    assertEquals(await cli("help"), asked);
    assertStringIncludes(await refusal("help", "chekc"), '→ did you mean "check"?');
  });

  for (const name of COMMANDS) {
    it(`shows the help of ${name}`, async () => {
      const { code, stdout, stderr } = await cli(name, "--help");
      assertEquals([code, stderr], [0, ""]);
      assertMatch(stdout, new RegExp(`^stowage ${name} `));
      assertMatch(stdout, /^Examples:\n {2}stowage \w/m);
      assertEquals(await cli("help", name), { code, stdout, stderr });
    });
  }

  it("shows its version", async () => {
    const { version } = JSON.parse(
      await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
    );
    for (const arg of ["--version", "version"]) {
      assertEquals(await cli(arg), { code: 0, stdout: `stowage ${version}\n`, stderr: "" });
    }
  });

  it("takes flags in front of the command", async () => {
    const { code, stdout } = await cli("--jobs", "2", "--json", "check");
    const [{ duration } = {}] = jsonLines(stdout);
    assert(typeof duration === "number" && duration > 0);
    assertEquals([code, jsonLines(stdout)], [0, [
      { type: "result", duration, exitCode: 0, ok: true, source: 2, input: 0, stage: 0 },
    ]]);
    assertMatch((await cli("-h", "check")).stdout, /^stowage check /);
  });

  it("names the nearest command, flag, name and format", async () => {
    assertEquals(
      await refusal("chekc"),
      'error: Cannot run "chekc": there is no such command\n  → did you mean "check"?\n',
    );
    assertStringIncludes(await refusal("something"), "→ see stowage --help");
    assertEquals(
      await refusal("check", "--stroe", "x"),
      'error: Cannot use "--stroe": there is no such flag\n  → did you mean --store?\n',
    );
    assertEquals(
      await refusal("fetch", "wbe"),
      'error: Cannot find "wbe": the config has no source of that name\n' +
        '  → did you mean "web"?\n',
    );
    assertStringIncludes(await refusal("fetch", "something"), "→ names: web, wide");
    assertStringIncludes(await refusal("graph", "--format", "mermiad"), '→ did you mean "mermaid"');
    assertStringIncludes(
      await refusal("graph", "-f", "photograph"),
      "→ formats: text, json, mermaid",
    );
  });

  it("refuses values that flags cannot have, and calls the flags by their names", async () => {
    const wrong = { jobs: "0", attempts: "many", timeout: "1.5", j: "99999999999999999999" };
    for (const [name, value] of Object.entries(wrong)) {
      assertStringIncludes(
        await refusal("fetch", name === "j" ? "-j" : `--${name}`, value),
        `Cannot use --${name === "j" ? "jobs" : name} "${value}": expected a whole number from 1`,
      );
    }
    assertStringIncludes(await refusal("check", "--store"), "expected one DIR behind it");
    assertStringIncludes(await refusal("check", "--config="), "expected one FILE behind it");
    assertStringIncludes(await refusal("check", "--platform", "x/y/z/a"), '"os/arch[/variant]"');
  });

  it("refuses names where a command takes none", async () => {
    for (const name of ["check", "graph", "doctor"]) {
      assertStringIncludes(
        await refusal(name, "web"),
        `Cannot use "web": ${name} takes no names\n  → see stowage ${name} --help`,
      );
    }
  });

  it("says in JSON, too, that it was used wrongly", async () => {
    for (const args of [["check", "--bogus"], ["fetch", "wbe"]]) {
      const { code, stdout, stderr } = await cli(...args, "--json");
      const last = jsonLines(stdout).at(-1);
      assertEquals([code, stderr, last?.["type"], last?.["exitCode"]], [2, "", "result", 2]);
      assertEquals(Object(last?.["error"]).code, "USAGE");
    }
  });
});

describe("the config", () => {
  const folder = dir.join("wrong");
  const cli = (...args: string[]) => stowage(args, { cwd: folder });
  const refusal = async (...args: string[]) => {
    const { code, stdout, stderr } = await cli("check", ...args);
    assertEquals([code, stdout, ESCAPE.exec(stderr)], [2, "", null], stderr);
    return stderr;
  };

  it("may compile itself, and its mistakes are its own", async () => {
    const text = await refusal("-c", "compiles.ts");
    assertStringIncludes(
      text,
      "error: Cannot use the config: 1 mistake\n  inputs.a.stage: expected",
    );
  });

  it("is looked for in the current folder and in those above it", async () => {
    assertEquals(
      (await cli("check")).stdout,
      "The config is right: 2 sources, 0 inputs, 0 stages\n",
    );
    const { stderr: text } = await stowage(["check"], { cwd: "/" });
    assertStringIncludes(text, 'error: Cannot find a config in "/" or a folder above it');
    assertStringIncludes(
      text,
      "  → `stowage init` begins one here; --config says where another one is",
    );
    assertStringIncludes(await refusal("-c", "x.ts"), `"${join(folder, "x.ts")}"`);
    assertStringIncludes(await refusal("-c", "."), "Cannot find the config");
  });

  it("has to be loadable", async () => {
    assertMatch(await refusal("-c", "broken.json"), /Cannot read the config .*broken\.json"/);
    assertMatch(await refusal("-c", "broken.ts"), /Cannot load the config .*broken\.ts:1:\d+/s);
    assertMatch(await refusal("-c", "lost.ts"), /Cannot load the config .*nothing\.ts/s);
    assertStringIncludes(await refusal("-c", "throws.ts"), "no VERSION is set");
  });

  it("has to be an object", async () => {
    for (const name of ["list.json", "bare.ts"]) {
      const text = await refusal("-c", name);
      assertStringIncludes(text, "it holds no object\n  → a module has to say `export default");
    }
  });

  it("is told how to import stowage, where that is what it misses", async () => {
    assertStringIncludes(await refusal("-c", "stowage.ts"), '→ map "@stowage/stowage"');
    assertEquals((await refusal("-c", "unmapped.ts")).includes("@stowage/stowage"), false);
  });

  it("is told all its mistakes, with the nearest right names", async () => {
    const text = await refusal("-c", "wrong.json");
    assertStringIncludes(text, "Cannot use the config: 2 mistakes");
    assertMatch(text, /sources\.web\.type: .*it is "dokcer"; did you mean "docker"\?/);
    assertMatch(text, /inputs\.apps\.images\.wbe: .*did you mean "web"\?/);
    const [{ error }] = jsonLines((await cli("check", "-c", "wrong.json", "--json")).stdout) as [
      { error: { code: string; issues: { suggestion: string }[] } },
    ];
    assertEquals(error.code, "CONFIG_INVALID");
    assertEquals(error.issues.map(({ suggestion }) => suggestion), ["docker", "web"]);
  });

  it("shows where in the code an error comes from with --debug only", async () => {
    for (const name of ["throws.ts", "wrong.json"]) {
      assertEquals(/ at .*\(.*:\d+:\d+\)/.test(await refusal("-c", name)), false);
      assertMatch(await refusal("-c", name, "--debug"), / at .*src\/.*:\d+:\d+/);
    }
    assertMatch(
      await refusal("-c", "throws.ts", "--debug"),
      /\nCaused by: Error: no VERSION is set\n +at .*throws\.ts:1:/,
    );
  });
});
