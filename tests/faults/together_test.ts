import { describe, it } from "@std/testing/bdd";
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { list } from "../sources/fixture.ts";
import { forThisFile } from "../support/fixture.ts";
import type { Random } from "./random.ts";
import { rounds } from "./rounds.ts";
import { copyStore, mustRun, openScene, recover } from "./scene.ts";
import { SOURCES, startWorld } from "./world.ts";

const world = await forThisFile(startWorld());
const full = await forThisFile(openScene(world));
const reference = await recover(full, world);

const PROCESSES = 8;

function command(random: Random): string[] {
  return random.pick([
    () => ["fetch", ...random.some(SOURCES)],
    () => ["fetch", "--jobs", `${random.int(1, 4)}`],
    () => ["build", "--out", random.pick(["out", "out", "other"])],
    () => ["build"],
    () => ["verify"],
    () => ["gc", "--wait", "100"],
    () => ["ls"],
    () => ["plan"],
  ])();
}

describe(`${PROCESSES} processes on one store`, () => {
  it("do not hinder each other", async () => {
    await rounds(2, async (random) => {
      await using scene = await openScene(world);
      if (random.chance(0.3)) await copyStore(full.at.store, scene.at.store);
      else await Deno.mkdir(scene.at.store); // `verify` may come first
      const commands = Array.from({ length: PROCESSES }, () => command(random));
      const ended = await Promise.allSettled(commands.map((args) => mustRun(scene, args)));
      for (const each of ended) if (each.status === "rejected") throw each.reason;
      await recover(scene, world, reference);
      for (const name of ["tmp", "quarantine"]) {
        assertEquals(await list(join(scene.at.store, name)), []);
      }
    }, 1);
  });
});
