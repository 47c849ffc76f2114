import { assert, assertEquals } from "@std/assert";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { verifyBundle } from "@stowage/stowage";
import { writeConfig } from "../cli/cli.ts";
import { list } from "../sources/fixture.ts";
import { forThisFile } from "../support/fixture.ts";
import { tempDir } from "../support/mod.ts";
import { audit } from "./audit.ts";
import type { Random } from "./random.ts";
import { rounds } from "./rounds.ts";
import { assertNothingRuns, endOf, mustRun, openScene, type Scene, startGroup } from "./scene.ts";
import { startWorld, writeFiles } from "./world.ts";

const world = await forThisFile(startWorld());
/** A scene whose store has all. */
const here = await forThisFile(openScene(world));
await mustRun(here, ["fetch"]);
const site = here.dir.join("site.tar");
await mustRun(here, ["bundle", "create", "-o", site, "--chunk", "1MiB"]);

/** A site with the same config, a store of its own, and no registry. */
async function openSite(): Promise<Scene> {
  const dir = await tempDir();
  await writeFiles(dir);
  await writeConfig(dir, here.config);
  const at = { root: dir.path, store: dir.join(".stowage") };
  return { ...here, dir, at, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

const load = ["bundle", "load", `${site}.001`];
const start = performance.now();
{
  await using scene = await openSite();
  await mustRun(scene, load);
}
/** How long it takes to load all, in ms. */
const pace = performance.now() - start;

/** Runs a command, and ends it at some moment. */
async function kill(scene: Scene, args: readonly string[], random: Random): Promise<void> {
  const signal = random.pick<Deno.Signal>(["SIGKILL", "SIGKILL", "SIGKILL", "SIGTERM"]);
  const moment = random.next() * pace * 1.1;
  const child = startGroup(scene, args);
  let hasEnded = false;
  const timer = setTimeout(() => hasEnded || Deno.kill(-child.pid, signal), moment);
  const status = child.status.finally(() => hasEnded = true);
  const { code, stderr } = await endOf(child);
  clearTimeout(timer);
  const killed = (await status).signal;
  await assertNothingRuns(scene);
  if (killed === null) assert([0, 130].includes(code), `${args} ended with ${code}: ${stderr}`);
}

describe("a bundle, ended at any moment", () => {
  it("is loaded by the next run, and never half", async () => {
    await rounds(4, async (random) => {
      await using scene = await openSite();
      const { store } = scene.at;
      for (let times = random.int(1, 4); times > 0; times--) {
        await kill(scene, load, random);
        if (await exists(join(store, "sources"))) await audit(store);
      }
      await mustRun(scene, load);
      await audit(store, { isSettled: true });
      await mustRun(scene, ["fetch", "--offline"]);
      assertEquals(await list(join(store, "quarantine")), []);
    });
  });

  it("is made by the next run, and never half", async () => {
    await rounds(2, async (random) => {
      await using dir = await tempDir();
      const path = dir.join("next.tar");
      const create = ["bundle", "create", "-o", path, "--chunk", "1MiB"];
      for (let times = random.int(1, 4); times > 0; times--) {
        await kill(here, create, random);
        if (await exists(`${path}.sums.json`)) await verifyBundle(`${path}.001`);
      }
      await mustRun(here, create);
      await verifyBundle(`${path}.001`);
      const names = (await list(dir.path)).filter((name) => !name.startsWith("next.tar."));
      assertEquals(names, []);
    });
  });
});
