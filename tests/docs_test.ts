/** Holds README.md and docs/ to the code: links, commands, flags, codes, events; the quick start. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname, fromFileUrl, join, relative } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { compile } from "@stowage/stowage";
import { toJsonSchema } from "@valibot/to-json-schema";
import { WholeConfigSchema } from "../config/schema.ts";
import { COMMANDS, loadCommands } from "../src/cli/commands/mod.ts";
import { EXIT } from "../src/cli/exit_code.ts";
import { GLOBAL_FLAGS, readFlags } from "../src/cli/flags.ts";
import { manPages, withCommands } from "../scripts/manual.ts";
import { cleanEnv, STOWAGE } from "./cli/cli.ts";
import { fixture } from "./support/fixture.ts";
import { busyboxLayer, denoProgram, pushImage, run, tempDir } from "./support/mod.ts";

const { dir, registry } = await fixture({ registry: true });
const ROOT = fromFileUrl(new URL("../", import.meta.url));
const read = (path: string) => Deno.readTextFile(join(ROOT, path));

const names = await Array.fromAsync(Deno.readDir(join(ROOT, "docs")), ({ name }) => `docs/${name}`);
const pages = new Map<string, string>();
for (const path of ["README.md", ...names.sort()]) pages.set(path, await read(path));

/** What is written on a page outside of code. */
const proseOf = (text: string) => text.replace(/^```[\s\S]*?^```$|^ {4}.*$/gm, "");
const page = (path: string) => pages.get(path) ?? "";

/** The ids that GitHub gives the headings of a page. */
function headingsOf(text: string): string[] {
  return [...proseOf(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-")
  );
}

/** The first column of a table's rows, without its ticks. */
function rowsOf(text: string, head: string): string[] {
  const [, table = ""] = new RegExp(`^\\| ${head} .*\\n\\|[-| ]+\\n((?:\\|.*\\n)+)`, "m")
    .exec(text) ?? [];
  return [...table.matchAll(/^\| `?([^ `]+)/gm)].map(([, cell = ""]) => cell);
}

/** Code of one language on all pages. */
function* codeIn(...languages: string[]): Generator<readonly [path: string, code: string]> {
  for (const [path, text] of pages) {
    for (const [, language = "", code = ""] of text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)) {
      if (languages.includes(language)) yield [path, code];
    }
  }
}

describe("the documentation", () => {
  it("has links that lead somewhere", async () => {
    const wrong: string[] = [];
    for (const [path, text] of pages) {
      for (const [, link = ""] of proseOf(text).matchAll(/\]\(([^)\s]*)\)/g)) {
        if (/^https:\/\/[a-z.-]+\.[a-z]+(\/\S*)?$/.test(link)) continue;
        const [file = "", heading] = link.split("#");
        const target = file === "" ? path : relative(ROOT, join(ROOT, dirname(path), file));
        const isThere = await Deno.stat(join(ROOT, target)).then(() => true, () => false);
        const isRight = heading === undefined || headingsOf(page(target)).includes(heading);
        if (!isThere || !isRight) wrong.push(`${path}: ${link}`);
      }
    }
    assertEquals(wrong, []);
  });

  it("leads from the README to every page", () => {
    assertEquals(names.filter((name) => !page("README.md").includes(`](${name})`)), []);
  });

  it("has a README that is read at one go", () => {
    assert(page("README.md").split("\n").length <= 140);
  });

  it("has every command, as its help is", async () => {
    assertEquals(rowsOf(page("README.md"), "command").sort(), Object.keys(COMMANDS).sort());
    const path = "docs/cli.md";
    const wanted = await withCommands(page(path));
    assertEquals(page(path), wanted, "run: sh scripts/deno run -A scripts/manual.ts");
  });

  it("has examples of every command, which there are", async () => {
    for (const [name, { examples }] of await loadCommands()) {
      assert(examples.length > 0, name);
      for (const { line } of examples) await checkLine(line, `the examples of ${name}`);
    }
  });

  it("has man pages that mandoc has nothing to say of", async () => {
    const man = await tempDir();
    for (const [name, text] of Object.entries(await manPages())) {
      await Deno.writeTextFile(man.join(name), text);
    }
    const files = Object.keys(await manPages());
    assert(files.includes("stowage-fetch.1"));
    // A page without a date is the same page each time.
    const said = await run("sh", ["-c", `mandoc -T lint -W warning ${files.join(" ")} || true`], {
      cwd: man.path,
    });
    assertEquals(said.split("\n").filter((line) => line && !line.includes("missing date")), []);
  });

  it("shows command lines that there are", async () => {
    for (const [path, code] of codeIn("sh", "yaml")) {
      for (const [, line = ""] of code.matchAll(/^(?:\s*- (?:run: )?)?stowage (.*)/gm)) {
        await checkLine(line, path);
      }
    }
  });

  it("has every error code with its exit code, every event and every notice", async () => {
    const codes = [...await literals("src/errors/base.ts", /type ErrorCode =([^;]*);/)];
    assertEquals(
      [...page("docs/errors.md").matchAll(/^### (\w+)$/gm)].map(([, code = ""]) => code).sort(),
      codes,
    );
    const library = page("docs/library.md");
    const events = await read("src/events.ts");
    const types = [...events.matchAll(/readonly type: "([a-z-]+)";/g)].map(([, type = ""]) => type);
    assertEquals(rowsOf(library, "type").sort(), types.sort());
    const notices = await literals(
      "src/events.ts",
      /interface NoticeEvent \{[\s\S]*?code:([^;]*);/,
    );
    assertEquals(rowsOf(library, "code").sort(), notices);
    const reasons = await literals("src/errors/source_errors.ts", /type AttemptReason =([^;]*);/);
    assertEquals(rowsOf(page("docs/errors.md"), "reason").sort(), reasons);
    const exits = rowsOf(page("docs/cli.md"), "exit code").map(Number);
    assertEquals(new Set(exits), new Set(Object.values(EXIT)));
  });

  it("has every key of a config", () => {
    const text = [...pages.values()].join("\n");
    const words = new Set([/[$\w]+/g, /\w+(?:-\w+)+/g].flatMap((word) => text.match(word)));
    const keys = new Set<string>();
    JSON.stringify(toJsonSchema(WholeConfigSchema, { errorMode: "ignore" }), (key, value) => {
      if (key === "properties") Object.keys(value).forEach((name) => keys.add(name));
      return value;
    });
    assert(keys.has("sources") && keys.has("deleteAfterLoad"));
    assertEquals(keys.difference(words), new Set());
  });

  it("has JSON configs that compile", () => {
    const configs = [...codeIn("json")];
    assert(configs.length > 0);
    for (const [, code] of configs) compile(JSON.parse(code));
  });
});

/** Refuses a command line, without the program's name, that stowage would refuse. */
async function checkLine(line: string, where: string): Promise<void> {
  const [, typed = ""] = /^([^#|>]*)/.exec(line) ?? [];
  const [name = "", ...args] = typed.trim().split(/\s+/);
  const command = await COMMANDS[name]?.load();
  assert(command, `${where}: there is no command "${name}"`);
  readFlags(args, [...command.flags, ...GLOBAL_FLAGS]);
}

/** The literals of a union type. */
async function literals(path: string, type: RegExp): Promise<string[]> {
  const [, union = ""] = type.exec(await read(path)) ?? [];
  const found = [...union.matchAll(/"([^"]+)"/g)].map(([, literal = ""]) => literal);
  assert(found.length > 0, `${path} has no such type`);
  return found.sort();
}

describe("the quick start", () => {
  it("runs as it is pasted, and so does the script", async () => {
    await pushImage(registry, "library/nginx:1.27", { layers: [await busyboxLayer()] });
    await Deno.mkdir(dir.join(".config/containers"), { recursive: true });
    await Deno.writeTextFile(
      dir.join(".config/containers/registries.conf"),
      `[[registry]]\nprefix = "docker.io"\nlocation = "${registry.host}"\ninsecure = true\n`,
    );
    await Deno.mkdir(dir.join("bin"));
    await Deno.symlink(STOWAGE, dir.join("bin/stowage"));
    const env = cleanEnv({
      HOME: dir.path,
      PATH: `${dir.join("bin")}:${Deno.env.get("PATH")}`,
    });
    const options = { env, clearEnv: true } as const;
    const [, code = ""] = /## Quick start\n[\s\S]*?```sh\n([\s\S]*?)```/.exec(page("README.md")) ??
      [];
    const pasted = ["400", "sh", "-eu", "-c", code];
    const said = await new Deno.Command("timeout", { ...options, args: pasted, cwd: dir.path })
      .output();
    assert(said.success, new TextDecoder().decode(said.stderr));
    const cwd = dir.join("my-images");
    const files = await Array.fromAsync(Deno.readDir(join(cwd, "dist/archives")));
    assertEquals(files.map(({ name }) => name), ["localhost.web:1.27.zst"]);

    const [, script = ""] = /```ts ignore\n([\s\S]*?)```/.exec(page("README.md")) ?? [];
    await Deno.writeTextFile(join(cwd, "build.ts"), script);
    const [deno, args] = denoProgram("build.ts");
    const { success, stdout, stderr } = await new Deno.Command(deno, { ...options, args, cwd })
      .output();
    assert(success, new TextDecoder().decode(stderr));
    assertMatch(new TextDecoder().decode(stdout), /^web sha256:[0-9a-f]{64} \/.*\/image\n$/);
  });
});
