import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { list } from "../sources/fixture.ts";
import { pushImage, randomLayer, run } from "../support/mod.ts";
import { stowage } from "@stowage/stowage";
import { forThisFile } from "../support/fixture.ts";
import type { Random } from "./random.ts";
import { rounds } from "./rounds.ts";
import { copyStore, mustRun, openScene, recover } from "./scene.ts";
import { startWorld } from "./world.ts";

const world = await forThisFile(startWorld());
const full = await forThisFile(openScene(world));
const reference = await recover(full, world);

/** Sets times of files: all the same, or each its own; a tree's belong to what the tree is. */
async function setTimes(store: string, random: Random): Promise<void> {
  const not = ["(", "-name", "tree", "-o", "-name", "archive", ")", "-prune", "-o"];
  const found = await run("find", [store, ...not, "-print0"]);
  const same = random.pick([0, 1, Math.floor(Date.now() / 1000), LATE]);
  const isSame = random.chance(0.5);
  for (const path of found.split("\0").filter(Boolean).sort().reverse()) {
    const time = isSame ? same : random.int(0, LATE);
    await Deno.utime(path, time, time);
  }
}

/** In the year 2096, in s since 1970. */
const LATE = 4_000_000_000;

/** Only with npm's there is a lock; without one, Deno takes no package that is newer than the clock. */
const SIGNS = Deno.env.get("STOWAGE_DEPS") === "npm" ? ["+", "-"] as const : ["+"] as const;

/** Another time than it is: years ago, or years to come. */
function shifted(random: Random): string[] {
  return ["faketime", "-f", `${random.pick(SIGNS)}${random.int(1, 9_000)}d`];
}

describe("a clock that jumps, and files of any time", () => {
  it("change nothing", async () => {
    await rounds(3, async (random) => {
      await using scene = await openScene(world);
      const { store } = scene.at;
      if (random.chance(0.6)) await copyStore(full.at.store, store);
      else await Deno.mkdir(store); // `verify` tells where there is none
      for (let times = random.int(1, 3); times > 0; times--) {
        if (random.chance(0.5)) await setTimes(store, random);
        const args = random.pick([["fetch"], ["build"], ["ls"], ["gc", "--older-than", "1d"]]);
        await mustRun(scene, args, shifted(random));
      }
      await mustRun(scene, ["verify"], shifted(random));
      await recover(scene, world, reference);
      assertEquals(await list(join(store, "quarantine")), []);
    });
  });

  it("leave the last of what a tag stood for the last", async () => {
    await using world = await startWorld();
    await using scene = await openScene(world);
    await mustRun(scene, ["fetch", "tool"], ["faketime", "-f", "+4000d"]);
    const layers = [await randomLayer({ size: 1000, seed: 3 })];
    const { id } = await pushImage(world.registry, "apps/tool:1", { layers });
    await mustRun(scene, ["fetch", "tool"]);
    await mustRun(scene, ["gc"]);
    const { images } = await stowage(scene.config, { ...scene.at, offline: true })
      .fetch({ names: ["tool"] });
    assertEquals(images.map((image) => image.id), [id]);
  });
});
