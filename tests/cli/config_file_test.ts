import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { cleanEnv, jsonLines, STOWAGE, stowage } from "./cli.ts";
import { fixture } from "../support/fixture.ts";

const { dir } = await fixture();
const at = { cwd: dir.path };
const write = (text: string) => Deno.writeTextFile(dir.join("images.config.ts"), text);

describe("a config module that gives no plain data", () => {
  const kinds: Readonly<Record<string, readonly [string, string]>> = {
    "a Promise": ["(async () => ({}))()", "it holds no object, but a Promise"],
    "a Map": ["new Map()", "it holds no object, but a Map"],
    "a Set": ["new Set([1])", "it holds no object, but a Set"],
    "a Date": ["new Date()", "it holds no object, but a Date"],
    "an instance": ["new (class Images { sources = {} })()", "it holds no object, but a Images"],
    "a Map of sources": ["{ sources: new Map() }", '"sources" is no plain data, but a Map'],
    "a Promise of an input": [
      "{ inputs: { i: Promise.resolve({}) } }",
      '"inputs.i" is no plain data, but a Promise',
    ],
    "a getter that throws": [
      "{ get sources() { throw 1 } }",
      "it holds no object, but something that cannot be read",
    ],
    "a circle": ["(() => { const a: any = {}; a.a = a; return a })()", "deeper than 100 levels"],
  };
  for (const [kind, [value, message]] of Object.entries(kinds)) {
    it(`is refused: ${kind}`, async () => {
      await write(`export default ${value};`);
      const { code, stdout } = await stowage(["check", "--json"], at);
      const error = Object(jsonLines(stdout).at(-1)?.["error"]);
      assertEquals([code, error.code], [2, "CONFIG_FILE"]);
      assertStringIncludes(error.message, message);
    });
  }
});

describe("a config module that goes wrong later", () => {
  it("is told with a code, and without a stack trace", async () => {
    const later = "export function then() { setTimeout(() => {}, 1000); }";
    await write(`Promise.reject(new Error("late")); ${later} export default {};`);
    const { code, stdout, stderr } = await stowage(["fetch", "--json"], at);
    assertEquals([code, stderr], [1, ""]);
    assertEquals(Object(jsonLines(stdout).at(-1)?.["error"]).code, "UNEXPECTED");
  });
});

describe("a config module that ends the process", () => {
  const late =
    "globalThis.addEventListener('unload', () => {}); setTimeout(() => Deno.exit(0), 0);";
  const ways = {
    "Deno.exit(0)": "Deno.exit(0);",
    "Deno.exit()": "Deno.exit();",
    "process.exit(0)": "const { exit } = await import('node:process'); exit(0);",
    "Deno.exit(0), later": `${late} await new Promise(() => {});`,
  };
  for (const [way, text] of Object.entries(ways)) {
    it(`is no success: ${way}`, async () => {
      await write(`${text}\nexport default {};`);
      const { code, stderr } = await stowage(["check"], at);
      assertEquals(code, 2);
      assertStringIncludes(stderr, "error: Cannot go on: code of the config has ended the process");
      const { code: again, stdout } = await stowage(["check", "--json"], at);
      const line = jsonLines(stdout).at(-1) ?? {};
      assertEquals([again, line["ok"], Object(line["error"]).code], [2, false, "CONFIG_FILE"]);
    });
  }
});

describe("a config module that waits for what never comes", () => {
  const kinds = {
    "a namespace that is thenable": "export function then() {}",
    "at its top": "await new Promise(() => {});",
  };
  for (const [kind, text] of Object.entries(kinds)) {
    it(`is told as such: ${kind}`, async () => {
      await write(`${text}\nexport default {};`);
      const { code, stdout } = await stowage(["check", "--json"], at);
      const error = Object(jsonLines(stdout).at(-1)?.["error"]);
      assertEquals([code, error.code], [2, "CONFIG_FILE"]);
      assertStringIncludes(error.message, "waits for what never comes");
    });
  }
});

describe("a config module that does not end", () => {
  const kinds = {
    "a loop": "while (true);",
    "a namespace that is thenable": "export function then() { setInterval(() => {}, 1000); }",
    "a getter that loops": "", // below
  };
  for (const [kind, text] of Object.entries(kinds)) {
    it(`is ended by the first Ctrl-C: ${kind}`, async () => {
      const loop = "get sources() { console.error('here'); while (true); }";
      await write(
        text ? `console.error("here"); ${text}\nexport default {};` : `export default { ${loop} };`,
      );
      const child = new Deno.Command("sh", {
        args: ["-c", `sh ${STOWAGE} check; exit $?`],
        ...{ cwd: dir.path, env: cleanEnv(), clearEnv: true, stderr: "piped" },
      }).spawn();
      for await (const chunk of child.stderr) {
        if (!new TextDecoder().decode(chunk).includes("here")) continue;
        const pid = await pidOf(child.pid);
        Deno.kill(pid, "SIGINT");
      }
      assertEquals((await child.status).code, 130);
    });
  }
});

/** The one program that a shell runs. */
async function pidOf(shell: number): Promise<number> {
  const children = await Deno.readTextFile(`/proc/${shell}/task/${shell}/children`);
  return Number(children.trim());
}
