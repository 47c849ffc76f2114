import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { removeTree } from "../../src/lib/fs/remove_tree.ts";
import { workspaceName } from "../../src/store/workspace.ts";
import { list } from "../sources/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { denoProgram, run } from "../support/mod.ts";

const SOURCES = new URL("../../src/", import.meta.url).href;

const { dir } = await fixture({ files: { "tree/file": "", "tree/deep/file": "" } });
const tree = dir.join("tree");

/** Makes a folder that its owner may not write, and runs code without root's leave to do so anyway. */
async function runUnprivileged(code: string): Promise<void> {
  const script = `mkdir -p tree/a/b/c && touch tree/a/b/file && ln tree/a/b/file kept
    chmod 400 kept && chmod 555 tree/a/b && chmod 0 tree/a/b/c tree/a`;
  await run("sh", ["-euc", script], { cwd: dir.path });
  await Deno.writeTextFile(dir.join("remove.ts"), code);
  const [deno, args] = denoProgram(dir.join("remove.ts"));
  await run("setpriv", ["--bounding-set", "-all", "--inh-caps", "-all", "--", deno, ...args]);
}

describe("removeTree()", () => {
  it("removes a tree, a file, or nothing", async () => {
    await removeTree(tree);
    await removeTree(tree);
    await Deno.writeTextFile(tree, "");
    await removeTree(tree);
    assertEquals(await Array.fromAsync(Deno.readDir(dir.path)), []);
  });

  it("opens closed folders of a user, and leaves files as they are", async () => {
    await runUnprivileged(`import { removeTree } from "${SOURCES}lib/fs/remove_tree.ts";
      await removeTree(${JSON.stringify(tree)});`);
    await assertRejects(() => Deno.lstat(tree), Deno.errors.NotFound);
    assertEquals(((await Deno.stat(dir.join("kept"))).mode ?? 0) & 0o777, 0o400);
  });
});

describe("a workspace with closed folders", () => {
  it("goes with the next sweep, when its process was killed", async () => {
    const dead = dir.join("tmp", workspaceName());
    await runUnprivileged(`import { sweepWorkspaces } from "${SOURCES}store/workspace.ts";
      await Deno.mkdir(${JSON.stringify(dir.join("tmp"))});
      await Deno.rename(${JSON.stringify(tree)}, ${JSON.stringify(dead)});
      await sweepWorkspaces(${JSON.stringify(dir.join("tmp"))});`);
    assertEquals(await list(dir.join("tmp")), []);
  });

  it("goes when it is disposed of", async () => {
    await Deno.mkdir(dir.join("tmp"));
    await runUnprivileged(`import { openWorkspace } from "${SOURCES}store/workspace.ts";
      await using workspace = await openWorkspace(${JSON.stringify(dir.join("tmp"))});
      await Deno.rename(${JSON.stringify(tree)}, workspace.path + "/tree");`);
    assertEquals(await list(dir.join("tmp")), []);
  });
});
