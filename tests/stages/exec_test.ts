import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  exec,
  StageError,
  ToolMissingError,
  ToolStartError,
  tree,
} from "@stowage/stowage";
import { mustBuild, mustFail, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { list } from "../sources/fixture.ts";
import { startRegistry } from "../support/mod.ts";

const { dir, at } = await fixture();

const sh = (script: string, ...args: string[]) => ["sh", "-c", script, "sh", ...args];

/** Builds one stage; returns the text of a file that it has made. */
async function read(command: readonly string[], options: object = {}): Promise<string> {
  const stages = { os: exec({ command, ...options }) };
  const build = await mustBuild({ stages }, { ...at, epoch: 86_400 });
  return await Deno.readTextFile(join(treeOf(build, "os"), "file"));
}

describe("exec", () => {
  it("passes on arguments as they are, with the tree as its folder", async () => {
    assertEquals(
      await read(sh('printf "%s|" "$@" >file', "a b", "$HOME", "", "*")),
      "a b|$HOME||*|",
    );
  });

  it("gives an environment of its own, without secrets", async () => {
    Deno.env.set("STOWAGE_TEST_TOKEN", "hunter2");
    try {
      const env = await read(sh("env | sort >file"), { env: { LANG: "C", MINE: "yes\nno" } });
      const names = [...env.matchAll(/^(\w+)=/gm)].map(([, name]) => name);
      assertEquals(names, [
        ...["HOME", "LANG", "MINE", "PATH", "PWD", "SOURCE_DATE_EPOCH", "TMPDIR"],
      ]);
      assertStringIncludes(env, "LANG=C\nMINE=yes\n");
      assertStringIncludes(env, "SOURCE_DATE_EPOCH=86400\n");
      assertEquals(env.includes("hunter2"), false);
    } finally {
      Deno.env.delete("STOWAGE_TEST_TOKEN");
    }
  });

  it("gives room for what is not in the tree", async () => {
    const script = 'echo x >"$HOME/a" && mktemp >file && ls "$HOME" | wc -l >>file';
    const [temporary, count] = (await read(sh(script))).split("\n");
    assert(temporary?.startsWith(join(at.store, "tmp")));
    assertEquals(Number(count), 2);
  });

  it("has no network unless told", async () => {
    await using registry = await startRegistry();
    const [host, port] = registry.host.split(":");
    const script = `(exec 3<>/dev/tcp/${host}/${port}) 2>/dev/null; echo $? >file`;
    const reach = (network: boolean) => read(["bash", "-c", script], { network });
    assertEquals([await reach(false), await reach(true)], ["1\n", "0\n"]);
  });

  it("tells where inputs are", async () => {
    await Deno.mkdir(dir.join("my files"));
    await Deno.writeTextFile(dir.join("my files/motd"), "hello\n");
    const build = await mustBuild({
      inputs: { "my-files.2": tree("my files") },
      stages: {
        os: exec({ inputs: ["my-files.2"], command: sh('cp "$STOWAGE_INPUT_MY_FILES_2/motd" .') }),
      },
    }, at);
    assertEquals(await Deno.readTextFile(join(treeOf(build, "os"), "motd")), "hello\n");
  });

  it("logs what is printed, however much, and quotes the end of it", async () => {
    const script = "yes this | head -n 2000000; echo last; echo oops >&2; exit 4";
    const { error } = await mustFail(
      StageError,
      "stage/os",
      { stages: { os: exec({ command: sh(script) }) } },
      at,
    );
    assertStringIncludes(error.message, "sh exited with 4\n");
    assertStringIncludes(error.message, "  | this\n  | last\n  | oops");
    assert(error.message.length < 1_000 && error.log.length <= 16 * 2 ** 10);

    const build = await mustBuild({ stages: { os: exec({ command: sh("printf one") }) } }, at);
    const log = await Deno.readTextFile(join(treeOf(build, "os"), "../log"));
    assertEquals(log, "== os\n$ sh -c printf one sh\none\n");
  });

  it("says so where its arguments are longer than the system takes", async () => {
    const stages = { os: exec({ command: ["echo", "x".repeat(200_000)] }) };
    const { error } = await mustFail(ToolStartError, "stage/os", { stages }, at);
    assertEquals(error.message, 'Cannot start "echo": Argument list too long');
  });

  it("must leave its tree a folder, and not a way to another one", async () => {
    const elsewhere = dir.join("elsewhere");
    await Deno.mkdir(elsewhere);
    const ways = [`ln -s ${elsewhere} "$tree"`, 'touch "$tree"', ":"];
    for (const way of ways) {
      const stages = { os: exec({ command: sh(`tree=$PWD; rm -rf "$tree"; ${way}`) }) };
      const { error } = await mustFail(StageError, "stage/os", { stages }, at);
      assertStringIncludes(error.message, "something else in the place of its tree");
    }
    assertEquals(await list(join(at.store, "trees")), []);
  });

  it("says which program is missing", async () => {
    const stages = { os: exec({ command: ["no-such-tool", "x"] }) };
    const { error } = await mustFail(ToolMissingError, "stage/os", { stages }, at);
    assertEquals(error.tool, "no-such-tool");
  });

  it("runs a program of the tree", async () => {
    const script = "printf '#!/bin/sh\\necho mine >file\\n' >run && chmod +x run";
    const config: Config = {
      stages: {
        base: exec({ command: sh(script) }),
        os: exec({ command: ["./run"], on: "base" }),
      },
    };
    const build = await mustBuild(config, at);
    assertEquals(await Deno.readTextFile(join(treeOf(build, "os"), "file")), "mine\n");
  });

  it("runs again when its command or environment is another one", async () => {
    const ids = new Set<string>();
    for (const options of [{}, { env: { A: "1" } }, { env: { A: "2" } }, { network: true }]) {
      const stages = { os: exec({ command: ["true"], ...options }) };
      for (const { id } of (await mustBuild({ stages }, at)).stages) ids.add(id);
    }
    assertEquals(ids.size, 4);
  });
});
