import { assertEquals, assertRejects } from "@std/assert";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { runThroughGate } from "../../src/tools/gate.ts";
import { Pipes } from "../../src/tools/pipes.ts";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";

const { dir } = await fixture();
let pipes: Pipes;

beforeEach(() => {
  pipes = new Pipes(() => Promise.resolve(dir.path));
});

describe("runThroughGate()", () => {
  it("does something while the program waits for the file", async () => {
    const path = dir.join("conf");
    const seen = await runThroughGate(
      { path, pipes, text: "text" },
      () => Deno.writeTextFile(dir.join("done"), "done "),
      () =>
        run("sh", [
          "-c",
          'text=$(cat "$1"); cat "$2"; printf %s "$text"',
          "-",
          path,
          dir.join("done"),
        ]),
    );
    assertEquals(seen, "done text");
  });

  it("gives the file as often as it is read", async () => {
    const path = dir.join("conf");
    let count = 0;
    const seen = await runThroughGate(
      { path, pipes, text: "text" },
      () => Promise.resolve(void count++),
      () => run("sh", ["-c", 'for n in 1 2 3; do cat "$1"; done', "-", path]),
    );
    assertEquals([seen, count], ["texttexttext", 1]);
  });

  it("does nothing where the file is not read", async () => {
    let count = 0;
    const run = () => Promise.resolve("ran");
    const open = () => Promise.resolve(void count++);
    assertEquals(
      await runThroughGate({ path: dir.join("conf"), pipes, text: "" }, open, run),
      "ran",
    );
    assertEquals(count, 0);
  });

  it("leaves it to a program that reads no further to say why", async () => {
    const path = dir.join("conf");
    const text = "x".repeat(10_000_000);
    const head = () => run("head", ["-c", "1", path]);
    assertEquals(await runThroughGate({ path, pipes, text }, () => Promise.resolve(), head), "x");
  });

  it("ends the program where something went wrong while it waited, before it reads a word", async () => {
    const path = dir.join("conf");
    const fail = () => Promise.reject(new Error("no room"));
    const read: number[] = [];
    const cat = async (signal: AbortSignal) => {
      const { stdout } = await new Deno.Command("cat", { args: [path], signal }).output();
      read.push(stdout.length);
    };
    await assertRejects(
      () => runThroughGate({ path, pipes, text: "text" }, fail, cat),
      Error,
      "no room",
    );
    assertEquals(read, [0]);
  });

  it("runs nothing where there can be no pipe", async () => {
    const file = { path: dir.join("none", "conf"), pipes, text: "" };
    assertEquals(
      await runThroughGate(file, () => Promise.resolve(), () => run("true", [])),
      undefined,
    );
  });

  it("leaves threads for other files, however many wait", async () => {
    const released = Promise.withResolvers<void>();
    const all = Array.from({ length: 64 }, (_, n) =>
      runThroughGate(
        { path: dir.join(`conf-${n}`), pipes, text: "" },
        () => Promise.resolve(),
        () => released.promise,
      ));
    assertEquals((await Deno.stat(dir.path)).isDirectory, true);
    released.resolve();
    await Promise.all(all);
  });
});
