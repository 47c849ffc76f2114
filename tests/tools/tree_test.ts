import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { InterruptedError, ToolError } from "@stowage/stowage";
import { copyInto, fingerprint } from "../../src/tools/tree.ts";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";

const { dir } = await fixture();
const tree = dir.join("tree");

beforeEach(async () => {
  const script = `mkdir -p -- tree/deep "tree/-n" && echo hello >tree/file && ln tree/file tree/hard
    ln -s file tree/link && printf x >"tree/$(printf 'new\\nline \\377')" && chown 7:8 tree/deep`;
  await run("sh", ["-euc", script], { cwd: dir.path });
});

describe("fingerprint()", () => {
  const edits: Record<string, string> = {
    "text": "echo longer >tree/file",
    "a time": "touch -d @1 tree/file",
    "a mode": "chmod 600 tree/file",
    "an owner": "chown 9 tree/file",
    "a new file": "touch tree/deep/new",
    "a file that is gone": "rm tree/hard",
    "a name": "mv tree/file tree/other",
    "where a link leads": "ln -sfn hard tree/link && touch -h -r tree/file tree/link",
    "a type": "rm tree/link && cp -p tree/file tree/link",
    "the mode of the folder": "chmod 700 tree",
    "a strange name": "mv tree/new* tree/plain",
  };
  for (const [what, script] of Object.entries(edits)) {
    it(`tells ${what}`, async () => {
      const before = await fingerprint(tree);
      await run("sh", ["-euc", script], { cwd: dir.path });
      assertNotEquals(await fingerprint(tree), before);
    });
  }

  it("stays while a tree is moved, copied or read", async () => {
    const before = await fingerprint(tree);
    assertEquals(before.length, 64);
    await run("grep", ["-r", "hello", tree]);
    await Deno.mkdir(dir.join("copy"));
    await copyInto(tree, dir.join("copy"));
    await Deno.rename(tree, dir.join("moved"));
    for (const name of ["copy", "moved"]) {
      assertEquals(await fingerprint(dir.join(name)), before, name);
    }
  });

  it("fails for no folder, and when it is interrupted", async () => {
    await assertRejects(() => fingerprint(dir.join("gone")), ToolError, "No such file");
    const signal = AbortSignal.abort();
    await assertRejects(() => fingerprint(tree, { signal }), InterruptedError);
  });
});

describe("copyInto()", () => {
  it("leaves the copied alone, and says what is wrong", async () => {
    await Deno.mkdir(dir.join("copy"));
    await copyInto(tree, dir.join("copy"));
    await Deno.writeTextFile(dir.join("copy/file"), "other");
    assertEquals(await Deno.readTextFile(`${tree}/file`), "hello\n");
    assertEquals(await Deno.readTextFile(dir.join("copy/hard")), "other");
    const { uid, gid } = await Deno.stat(dir.join("copy/deep"));
    assertEquals([uid, gid], [7, 8]);
    await assertRejects(() => copyInto(dir.join("gone"), dir.join("copy")), ToolError);
  });
});
