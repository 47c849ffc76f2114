import { assert, assertEquals } from "@std/assert";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { openWorkspace, sweepWorkspaces, workspaceName } from "../../src/store/workspace.ts";
import { list } from "../sources/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";

const { dir: tmp } = await fixture();

describe("openWorkspace()", () => {
  it("makes a folder of its own that goes with all that is in it", async () => {
    const first = await openWorkspace(tmp.path);
    await using second = await openWorkspace(tmp.path);
    assert(first.path !== second.path);
    assertEquals(((await Deno.stat(first.path)).mode ?? 0) & 0o777, 0o700);
    await Deno.mkdir(join(first.path, "a/b"), { recursive: true });
    await first[Symbol.asyncDispose]();
    assertEquals(await list(tmp.path), [second.path.replace(/^.*\//, "")]);
  });

  it("does not mind if its folder is gone already", async () => {
    const workspace = await openWorkspace(tmp.path);
    await Deno.remove(workspace.path);
    await workspace[Symbol.asyncDispose]();
  });

  it("is not disturbed by sweeps at the same time", async () => {
    const sweeps = new AbortController();
    const sweeping = (async () => {
      while (!sweeps.signal.aborted) await sweepWorkspaces(tmp.path);
    })();
    for (let count = 0; count < 200; count++) {
      await using workspace = await openWorkspace(tmp.path);
      await Deno.writeTextFile(join(workspace.path, "file"), "");
    }
    sweeps.abort();
    await sweeping;
    assertEquals(await list(tmp.path), []);
  });
});

describe("sweepWorkspaces()", () => {
  it("removes what nobody holds, and only that", async () => {
    await using living = await openWorkspace(tmp.path);
    await Deno.writeTextFile(join(living.path, "file"), "");
    await Deno.mkdir(tmp.join(workspaceName(), "below"), { recursive: true });
    await Deno.writeTextFile(tmp.join(workspaceName()), "");
    assertEquals(await sweepWorkspaces(tmp.path), 2);
    assertEquals(await list(tmp.path), [living.path.replace(/^.*\//, "")]);
    assert(await exists(join(living.path, "file")));
  });

  it("leaves what it has not made, such as osbuild's own", async () => {
    await Deno.mkdir(tmp.join("tmpk2x_9aq/tree"), { recursive: true });
    await Deno.writeTextFile(tmp.join("notes"), "");
    assertEquals(await sweepWorkspaces(tmp.path), 0);
    assertEquals(await list(tmp.path), ["notes", "tmpk2x_9aq"]);
  });

  it("is content where there is nothing", async () => {
    assertEquals(await sweepWorkspaces(tmp.join("none")), 0);
  });

  it("leaves what is still in use for another time", async () => {
    const busy = workspaceName();
    await Deno.mkdir(tmp.join(busy, "below"), { recursive: true });
    await Deno.mkdir(tmp.join(workspaceName()));
    await run("mount", ["-t", "tmpfs", "none", tmp.join(busy, "below")]);
    await sweepWorkspaces(tmp.path);
    assertEquals(await list(tmp.path), [busy]);
    await run("umount", [tmp.join(busy, "below")]);
    await sweepWorkspaces(tmp.path);
    assertEquals(await list(tmp.path), []);
  });

  it("shares the work with others that sweep", async () => {
    for (let count = 0; count < 50; count++) {
      await Deno.mkdir(tmp.join(workspaceName(), "a/b/c"), { recursive: true });
    }
    const removed = await Promise.all([1, 2, 3].map(() => sweepWorkspaces(tmp.path)));
    assert(removed.reduce((sum, count) => sum + count) >= 50);
    assertEquals(await list(tmp.path), []);
  });
});
