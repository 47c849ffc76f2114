import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";
import { cleanEnv, STOWAGE, stowage } from "./cli.ts";

const source = { type: "docker", reference: "web" };
const { dir } = await fixture({
  files: {
    "images.config.json": JSON.stringify({
      sources: { web: source, wide: source },
      stages: { writer: { type: "exec", command: ["true"] } },
    }),
    "other.json": JSON.stringify({ sources: { elsewhere: source } }),
    "broken.json": "{",
  },
});

describe("completion", () => {
  const offers = async (...words: string[]) => {
    const { code, stdout } = await stowage(["completion", "bash", "--", ...words], {
      cwd: dir.path,
    });
    assertEquals(code, 0);
    return stdout.trimEnd().split("\n").map((line) => line.split("\t")[0]);
  };

  it("offers commands, flags, and the names of the config", async () => {
    assertEquals(await offers("ver"), ["verify", "version"]);
    assertEquals(await offers("gc", "--keep"), ["--keep-config", "--keep-lock"]);
    assertEquals(await offers("--st"), ["--store"]);
    assertEquals(await offers("--jobs", "2", "fetch", "w"), ["web", "wide"]);
    assertEquals(await offers("build", "web", "w"), ["web", "wide", "writer"]);
    assertEquals(await offers("fetch", "-c", "other.json", ""), ["elsewhere"]);
    assertEquals(await offers("graph", "-f", "m"), ["mermaid"]);
    assertEquals(await offers("help", "out"), ["outdated"]);
    assertEquals(await offers("check", "--config", ""), [":files"]);
    assertEquals(await offers("check", "--store", "x"), [":folders"]);
  });

  it("offers nothing, and says nothing, where there is nothing to offer", async () => {
    assertEquals(await offers("fetch", "-c", "broken.json", ""), [""]);
    assertEquals(await offers("nothing", ""), [""]);
    assertEquals(await offers("doctor", ""), [""]);
  });

  const inShell = async (shell: string, args: string[], code: string) => {
    const { stdout } = await stowage(["completion", shell], { cwd: dir.path });
    await Deno.writeTextFile(dir.join("script"), stdout);
    await Deno.mkdir(dir.join("bin"));
    await Deno.symlink(STOWAGE, dir.join("bin/stowage"));
    const PATH = `${dir.join("bin")}:${Deno.env.get("PATH")}`;
    const env = cleanEnv({ PATH, HOME: dir.path });
    return await run(shell, [...args, "-c", code], { cwd: dir.path, env });
  };

  it("works in bash", async () => {
    const ask = (line: string) =>
      `COMP_LINE="${line}" COMP_POINT=${line.length}; _stowage stowage; echo "\${COMPREPLY[*]}";`;
    assertEquals(
      await inShell(
        "bash",
        ["--norc"],
        "source ./script;" + ask("stowage gra") + ask("stowage fetch "),
      ),
      "graph\nweb wide\n",
    );
  });

  it("works in zsh", async () => {
    // What only a zsh that somebody types in has.
    const stubs = "compdef() { :; }; _describe() { print -l ${(@P)2}; }; _files() { print f $@; };";
    const ask = (...words: string[]) =>
      `words=(${words.map((word) => `"${word}"`).join(" ")}) CURRENT=${words.length}; _stowage;`;
    const code = ask("stowage", "fetch", "we") + ask("stowage", "fetch", "--store", "");
    assertEquals(
      await inShell("zsh", ["-f"], `${stubs} source ./script; ${code}`),
      "web:source\nf -/\n",
    );
  });

  it("works in fish", async () => {
    const code = `source ./script; complete -C "stowage gra"; complete -C "stowage fetch we"`;
    assertEquals(
      await inShell("fish", ["--no-config"], code),
      "graph\tdraws the config: sources, inputs and stages\nweb\tsource\n",
    );
  });

  it("is for shells that there are", async () => {
    const { code, stderr } = await stowage(["completion", "tcsh"], { cwd: dir.path });
    assertEquals(code, 2);
    assertStringIncludes(stderr, "→ shells: bash, zsh, fish");
  });
});
