import { describe, it } from "@std/testing/bdd";
import { assert, assertEquals } from "@std/assert";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import type { Config } from "@stowage/stowage";
import { list } from "../sources/fixture.ts";
import { forThisFile } from "../support/fixture.ts";
import { audit } from "./audit.ts";
import { damage } from "./damage.ts";
import type { Random } from "./random.ts";
import { rounds } from "./rounds.ts";
import {
  assertNothingRuns,
  copyStore,
  endOf,
  mustRun,
  openScene,
  recover,
  type Scene,
  startGroup,
} from "./scene.ts";
import { SOURCES, startWorld } from "./world.ts";

const world = await forThisFile(startWorld());
/** A scene whose store has all. */
const full = await forThisFile(openScene(world));
const start = performance.now();
await mustRun(full, ["fetch"]);
/** How long it takes to fetch all, in ms. */
const pace = performance.now() - start;
const reference = await recover(full, world);

/** What is killed, and how long it takes, in units of {@linkcode pace}. */
type Command = readonly [args: readonly string[], takes: number];

function fetchSome(random: Random): Command {
  return [["fetch", ...random.some(SOURCES)], 1];
}

function buildAll(random: Random): Command {
  return [["build", ...random.chance(0.3) ? ["--out", "out"] : []], 2.5];
}

function verify(random: Random): Command {
  return random.chance(0.5) ? [["verify"], 0.7] : [["verify", "--repair"], 1];
}

/** Of all that the config has, it keeps what another one needs. */
const GC: Command = [["gc", "--config", "less.config.json"], 0.7];

/** Runs a command, ends it at some moment, and checks what is left. */
async function kill(scene: Scene, [args, takes]: Command, random: Random): Promise<void> {
  const signal = random.pick<Deno.Signal>(["SIGKILL", "SIGKILL", "SIGKILL", "SIGINT", "SIGTERM"]);
  const moment = random.next() ** 0.7 * takes * pace * 1.2;
  const tmp = join(scene.at.store, "tmp");
  const before = await list(tmp);
  const hasStore = await exists(scene.at.store);
  const child = startGroup(scene, args);
  // Ctrl-C goes to all of a group, a signal from elsewhere to one process.
  const target = random.chance(0.5) ? -child.pid : child.pid;
  let hasEnded = false;
  const timer = setTimeout(() => {
    try {
      if (!hasEnded) Deno.kill(target, signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended this moment
    }
  }, moment);
  const status = child.status.finally(() => hasEnded = true);
  const { code, stderr } = await endOf(child);
  clearTimeout(timer);
  const killed = (await status).signal;
  await assertNothingRuns(scene);
  if (killed !== null) return assert(killed === signal, `${killed} instead of ${signal}`);
  const isVerify = args[0] === "verify";
  // Without a store, there is nothing that it could verify: it says so.
  const codes = [0, 130, ...isVerify ? [hasStore ? 3 : 2] : []];
  assert(codes.includes(code), `${args} ended with ${code}: ${stderr}`);
  assertEquals((await list(tmp)).filter((name) => !before.includes(name)), []);
}

/** Writes a config that needs less. */
async function writeLess({ dir, config }: Scene, random: Random): Promise<void> {
  const names = random.some(SOURCES);
  const sources = Object.fromEntries(names.map((name) => [name, config.sources?.[name]]));
  const less = { ...config, sources, inputs: {}, stages: {} } as Config;
  await Deno.writeTextFile(dir.join("less.config.json"), JSON.stringify(less));
}

describe("what is ended at any moment", () => {
  it("is made up for by the next run", async () => {
    await rounds(5, async (random) => {
      await using scene = await openScene(world);
      await writeLess(scene, random);
      const { store } = scene.at;
      if (random.chance(0.3)) await copyStore(full.at.store, store);
      for (let times = random.int(1, 4); times > 0; times--) {
        const command = random.pick([fetchSome, buildAll, buildAll, verify, () => GC]);
        await kill(scene, command(random), random);
        await audit(store);
      }
      await recover(scene, world, reference);
      assertEquals(await list(join(store, "quarantine")), []);
    });
  });

  it("is made up for where the store was damaged before", async () => {
    await rounds(2, async (random) => {
      await using scene = await openScene(world);
      const { store } = scene.at;
      await copyStore(full.at.store, store);
      const damaged = await damage(store, random);
      for (let times = random.int(1, 3); times > 0; times--) {
        await kill(scene, verify(random), random);
      }
      const { code } = await endOf(startGroup(scene, [...verify(random)[0]]));
      assert([0, 3].includes(code), `verify ended with ${code}`);
      assert((await list(join(store, "quarantine"))).length > 0, `${damaged} was not found`);
      await recover(scene, world, reference, { isVerified: true });
    });
  });
});
