import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { UsageError } from "../../src/errors/mod.ts";
import {
  OddFile,
  readIfThere,
  readOutside,
  refuseOddOutput,
} from "../../src/lib/fs/outside_file.ts";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";

const { dir } = await fixture();

describe("readOutside()", () => {
  it("reads a file, also behind a link, and what the kernel makes up", async () => {
    await Deno.writeTextFile(dir.join("file"), "text");
    await Deno.symlink("file", dir.join("link"));
    assertEquals(new TextDecoder().decode(await readOutside(dir.join("link"))), "text");
    assert((await readOutside("/proc/self/status")).length > 0);
  });

  const odd = {
    "a pipe": (path: string) => run("mkfifo", [path]),
    "a link to a device that never ends": (path: string) => Deno.symlink("/dev/zero", path),
    "a folder": (path: string) => Deno.mkdir(path),
    "a socket": (path: string) => {
      Deno.listen({ transport: "unix", path }).close();
      return Promise.resolve();
    },
  };
  for (const [kind, make] of Object.entries(odd)) {
    it(`does not open what is none: ${kind}`, async () => {
      await make(dir.join("odd"));
      if (kind === "a socket" && !await Deno.lstat(dir.join("odd")).catch(() => undefined)) return;
      await assertRejects(() => readIfThere(dir.join("odd")), OddFile, "it is no regular file");
    });
  }

  it("does not read what is too large, whatever its size is said to be", async () => {
    await Deno.writeTextFile(dir.join("file"), "");
    await Deno.truncate(dir.join("file"), 2 ** 40);
    await assertRejects(() => readOutside(dir.join("file")), OddFile, "at most 4194304 are read");
    await assertRejects(() => readOutside("/proc/self/maps", 10), OddFile, "more than 10 bytes");
  });
});

describe("refuseOddOutput()", () => {
  it("lets a file be replaced, and nothing else", async () => {
    await Deno.writeTextFile(dir.join("file"), "text");
    await Deno.symlink("file", dir.join("link"));
    for (const name of ["file", "link", "nothing"]) await refuseOddOutput(dir.join(name));
    await Deno.mkdir(dir.join("folder"));
    await run("mkfifo", [dir.join("pipe")]);
    await Deno.symlink("/proc/self/status", dir.join("stdout"));
    for (
      const path of [...["folder", "pipe", "stdout"].map((name) => dir.join(name)), "/dev/null"]
    ) {
      await assertRejects(() => refuseOddOutput(path), UsageError, "is there");
    }
  });
});
