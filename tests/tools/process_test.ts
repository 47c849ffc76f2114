import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { InterruptedError, ToolError, ToolMissingError, ToolStartError } from "@stowage/stowage";
import { delay } from "@std/async/delay";
import { find, joint, mustRun, runProcess } from "../../src/tools/process.ts";
import { programsWith } from "../sources/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";

const { dir } = await fixture();

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Waits until a program has made a file. */
async function appears(path: string): Promise<void> {
  const folder = path.replace(/\/[^/]*$/, "");
  using watcher = Deno.watchFs(folder);
  if (await Deno.stat(path).then(() => true, () => false)) return;
  for await (const { paths } of watcher) if (paths.includes(path)) return;
}

describe("runProcess()", () => {
  it("tells what a program said, and its exit code", async () => {
    const script = "echo out; echo err >&2; exit 3";
    const { code, stdout, stderr, isCut } = await runProcess("sh", ["-c", script]);
    assertEquals([code, text(stdout), stderr, isCut], [3, "out\n", "err", false]);
  });

  it("passes arguments on as they are, without a shell", async () => {
    const args = ["a b", "$HOME", "`id`", "*", "'\"", "", "ü", "a\nb", "--x=; rm"];
    const { stdout } = await runProcess("printf", ["%s\\0", ...args]);
    assertEquals(text(stdout).split("\0").slice(0, -1), args);
  });

  it("gives no input, and what environment it is told", async () => {
    const { stdout } = await runProcess("sh", ["-c", 'cat; echo "$STOWAGE_TEST"'], {
      env: { STOWAGE_TEST: "a b" },
    });
    assertEquals(text(stdout), "a b\n");
  });

  it("keeps the last of a long standard error", async () => {
    const script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done >&2; exit 1";
    const { stderr } = await runProcess("sh", ["-c", script]);
    assert(stderr.length <= 16 * 1024 && stderr.length > 15 * 1024, `${stderr.length}`);
    assert(stderr.endsWith("line 19998\nline 19999"));
  });

  it("ends a program that says too much, and keeps as much as it may", async () => {
    const { code, stdout, isCut } = await runProcess("cat", ["/dev/zero"], { maxOutput: 1000 });
    assert(isCut && code !== 0 && stdout.length >= 1000);
  });

  it("knows a program that is missing from one that ends with 127", async () => {
    await assertRejects(() => runProcess("stowage-none", []), ToolMissingError);
    assertEquals((await runProcess("sh", ["-c", "exit 127"])).code, 127);
    const error = await assertRejects(() => mustRun("stowage-none", []), ToolMissingError);
    assertEquals([error.code, error.tool], ["TOOL_MISSING", "stowage-none"]);
  });

  it("says why a program cannot be started", async () => {
    const long = "x".repeat(200_000);
    const stdin = () => new Blob(["x"]).stream();
    for (const options of [{}, { stdin: stdin() }]) {
      const error = await assertRejects(() => runProcess("echo", [long], options), ToolStartError);
      assertEquals([error.code, error.tool], ["TOOL_FAILED", "echo"]);
      assertEquals(error.message, 'Cannot start "echo": Argument list too long');
      assert(error.hint?.includes("put them into a file"));
    }
    await assertRejects(() => runProcess("echo", ["a\0b"]), ToolStartError, "nul byte");
    await assertRejects(() => runProcess("true", [], { cwd: "/none" }), ToolStartError, "/none");
  });

  it("ends a program when it is told, and waits for its end", async () => {
    const interrupt = new AbortController();
    const running = runProcess(
      "sh",
      ["-c", `: >"$0/begun"; exec tail -f "$0/begun"`, dir.path],
      { signal: interrupt.signal },
    );
    const over = assertRejects(() => running, InterruptedError);
    await appears(dir.join("begun"));
    assertEquals((await programsWith(dir.path)).length, 1);
    interrupt.abort("enough");
    assertEquals((await over).cause, "enough");
    assertEquals(await programsWith(dir.path), []);
  });

  it("ends by force what hears no signal, and all that it has started", async () => {
    const stubborn = "trap '' TERM; cat /dev/zero & cat";
    const scripts = {
      stubborn: `(${stubborn}) <"$0/pipe"`,
      stopped: 'kill -STOP $$; sleep 100 "$0/pipe"',
    };
    await run("mkfifo", [dir.join("pipe")]);
    const begin = performance.now();
    await Promise.all(
      Object.values(scripts).map(async (script) => {
        const signal = AbortSignal.timeout(300);
        await assertRejects(
          () => runProcess("sh", ["-c", script, dir.path], { signal }),
          InterruptedError,
        );
      }),
    );
    const took = performance.now() - begin;
    assert(took > 5_000 && took < 8_000, `it took ${took} ms`);
    assertEquals(await programsWith(dir.path), []);
  });

  it("ends what a program has started, when it is told and when that has ended", async () => {
    const child = 'tail -f "$0/begun" & : >"$0/begun"';
    assertEquals((await runProcess("sh", ["-c", child, dir.path])).code, 0);
    assertEquals(await programsWith(dir.path), []);
    await Deno.remove(dir.join("begun"));
    const interrupt = new AbortController();
    const running = runProcess("sh", ["-c", `${child}; wait`, dir.path], {
      signal: interrupt.signal,
    });
    const over = assertRejects(() => running, InterruptedError);
    await appears(dir.join("begun"));
    interrupt.abort();
    await over;
    assertEquals(await programsWith(dir.path), []);
  });

  it("does not wait for who has left its group and keeps its pipes", async () => {
    const begin = performance.now();
    for (const other of ["sleep 3", "yes >&2"]) {
      const script = `setsid ${other} & sleep 0.1; echo said`;
      const { code, stdout } = await runProcess("sh", ["-c", script]);
      assertEquals([code, text(stdout)], [0, "said\n"]);
    }
    assert(performance.now() - begin < 2_500);
  });

  it("waits for who takes what a program said, however long that takes", async () => {
    let size = 0;
    const stdout = new WritableStream<Uint8Array>({
      write: async (chunk) => {
        if (size === 0) await delay(400);
        size += chunk.length;
      },
    });
    await runProcess("head", ["-c", "200000", "/dev/zero"], { stdout });
    assertEquals(size, 200_000);
  });

  it("takes no more of a program's words than are taken from it", async () => {
    const { rss } = Deno.memoryUsage();
    let size = 0;
    const stdout = new WritableStream<Uint8Array>({
      write: async (chunk) => {
        size += chunk.length;
        if (size % 2 ** 20 < chunk.length) await delay(1);
      },
    });
    await runProcess("head", ["-c", String(2 ** 28), "/dev/zero"], { stdout });
    assertEquals(size, 2 ** 28);
    const grown = Deno.memoryUsage().rss - rss;
    assert(grown < 2 ** 26, `it takes ${grown} bytes more`);
  });

  it("does not begin when it is told before", async () => {
    const signal = AbortSignal.abort();
    const touch = ["-c", ': >"$0/begun"', dir.path];
    await assertRejects(() => runProcess("sh", touch, { signal }), InterruptedError);
    assertEquals(await Array.fromAsync(Deno.readDir(dir.path)), []);
  });

  it("does not listen to its signal any more when it has ended", async () => {
    const interrupt = new AbortController();
    assertEquals((await runProcess("true", [], { signal: interrupt.signal })).code, 0);
    interrupt.abort();
  });
});

describe("mustRun()", () => {
  it("fails with what the program said", async () => {
    const args = ["-c", "echo why >&2; exit 5"];
    const error = await assertRejects(() => mustRun("sh", args), ToolError);
    assertEquals([error.tool, error.exitCode, error.stderr], ["sh", 5, "why"]);
    assertEquals(error.message, 'Cannot run "sh": sh exited with 5: why');
    const silent = await assertRejects(() => mustRun("false", []), ToolError);
    assertEquals(silent.message, 'Cannot run "false": false exited with 1: it said nothing');
  });
});

describe("find()", () => {
  it("finds programs on the PATH only", async () => {
    assert((await find("sh"))?.endsWith("/sh"));
    assertEquals(await find("stowage-none"), undefined);
  });
});

describe("joint()", () => {
  const open = () => {
    const { readable, writable } = joint();
    return { reader: readable.getReader(), writer: writable.getWriter() };
  };

  it("lets who reads leave once all was taken, before who writes has ended", async () => {
    const { reader, writer } = open();
    const written = writer.write(new Uint8Array(1));
    await reader.read();
    const next = reader.read();
    await written;
    await reader.cancel(new Error("it has ended"));
    await writer.close();
    assertEquals((await next).done, true);
  });

  it("fails who writes what nobody takes any more", async () => {
    const { reader, writer } = open();
    writer.closed.catch(() => {});
    await reader.cancel(new Error("it has ended"));
    await assertRejects(() => writer.write(new Uint8Array(1)), Error, "it has ended");
  });
});
