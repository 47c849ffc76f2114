import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { InterruptedError, ToolMissingError } from "@stowage/stowage";
import { runInSandbox, type SandboxOptions } from "../../src/tools/sandbox.ts";
import { fixture } from "../support/fixture.ts";
import { run, startRegistry } from "../support/mod.ts";

const { dir } = await fixture();

async function say(script: string, options: SandboxOptions = {}): Promise<[number, string]> {
  const { code, stdout, stderr } = await runInSandbox("sh", ["-c", script], options);
  return [code, new TextDecoder().decode(stdout).trim() + stderr];
}

/** The command lines of all processes that have a text in them. */
async function processesWith(text: string): Promise<string[]> {
  const lines = (await run("ps", ["-ww", "-eo", "stat=,args="])).split("\n");
  return lines.filter((line) => line.includes(text) && !line.startsWith("Z"));
}

describe("runInSandbox()", () => {
  it("passes on arguments, standard input, exit codes, and what was said", async () => {
    const { code, stdout, stderr } = await runInSandbox(
      "sh",
      ["-c", 'cat; printf "%s|" "$@"; echo no >&2; exit 7', "sh", "a b", "", "--", "$x"],
      { stdin: ReadableStream.from([new TextEncoder().encode("in ")]) },
    );
    assertEquals([code, new TextDecoder().decode(stdout), stderr], [7, "in a b||--|$x|", "no"]);
  });

  it("says so where there is no such program", async () => {
    const error = await assertRejects(() => runInSandbox("no-such-tool", []), ToolMissingError);
    assertEquals(error.tool, "no-such-tool");
    assertEquals((await say("exit 127"))[0], 127);
    assertEquals((await runInSandbox("./no-such-file", [], { cwd: dir.path })).code, 127);
  });

  it("passes on nothing of the environment but PATH", async () => {
    Deno.env.set("STOWAGE_TEST_SECRET", "hunter2");
    try {
      const [, said] = await say("env", { env: { GIVEN: "yes" } });
      const names = said.split("\n").map((line) => line.replace(/=.*/, "")).sort();
      assertEquals(names, ["GIVEN", "PATH", "PWD"]);
    } finally {
      Deno.env.delete("STOWAGE_TEST_SECRET");
    }
  });

  it("gives no network unless told", async () => {
    await using registry = await startRegistry();
    const [host, port] = registry.host.split(":");
    const connect = `exec 3<>/dev/tcp/${host}/${port}`;
    const reach = async (network: boolean) =>
      (await runInSandbox("bash", ["-c", connect], { network })).code === 0;
    assertEquals([await reach(false), await reach(true)], [false, true]);
  });

  it("mounts folders read-only, for the program alone", async () => {
    const [source, target] = [dir.join("a b"), dir.join("-- c")];
    for (const folder of [source, target]) await Deno.mkdir(folder);
    await Deno.writeTextFile(`${source}/file`, "kept");
    const mounts = [{ source, target }, { source, target: source }];
    const script = `cat '${target}/file'; for d in '${source}' '${target}'; do
      echo x >"$d/file" || rm "$d/file" || touch "$d/new" && exit 9; done 2>&1`;
    const [code, said] = await say(script, { mounts });
    assertEquals([code, said.split("Read-only file system").length - 1], [1, 6], said);
    assert(said.startsWith("kept"), said);
    assertEquals(await Deno.readTextFile(`${source}/file`), "kept");
    assertEquals((await Deno.readTextFile("/proc/self/mountinfo")).includes(dir.path), false);
  });

  it("says why something cannot be mounted", async () => {
    const mounts = [{ source: dir.join("gone"), target: dir.path }];
    const [code, said] = await say("true", { mounts });
    assertEquals([code, said.includes("gone")], [125, true]);
  });

  it("ends what the program has left running", async () => {
    const mark = dir.join("mark");
    const [code] = await say(`sh -c ': "$0"; sleep 1000' '${mark}' >/dev/null 2>&1 & exit 0`);
    assertEquals([code, await processesWith(mark)], [0, []]);
  });

  for (const trap of ["", "trap '' TERM;"]) {
    it(`ends all at once when it is aborted${trap && ", whatever they do about it"}`, async () => {
      const [mark, ready] = [dir.join("mark"), dir.join("ready")];
      const child = `sh -c '${trap.replaceAll("'", `'"'"'`)} mkfifo "$0"; cat "$0"' '${mark}'`;
      await run("mkfifo", [ready]);
      const controller = new AbortController();
      const running = say(`${trap} ${child} & ${child}2 & echo >'${ready}'; wait`, {
        signal: controller.signal,
      });
      await Deno.readTextFile(ready);
      const start = performance.now();
      controller.abort();
      await assertRejects(() => running, InterruptedError);
      assert(performance.now() - start < 1_000);
      assertEquals(await processesWith(mark), []);
    });
  }
});
