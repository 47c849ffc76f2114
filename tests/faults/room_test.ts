import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { RunError, StageError, StoreError, stowage, StowageError } from "@stowage/stowage";
import { list } from "../sources/fixture.ts";
import { type SmallFs, smallFs } from "../support/mod.ts";
import { forThisFile } from "../support/fixture.ts";
import { audit } from "./audit.ts";
import type { Random } from "./random.ts";
import { rounds } from "./rounds.ts";
import { assertNothingRuns, openScene, recover, type Scene } from "./scene.ts";
import { SOURCES, startWorld } from "./world.ts";

const world = await forThisFile(startWorld());
const full = await forThisFile(openScene(world));
const start = performance.now();
await stowage(full.config, full.at).build();
/** How long it takes to build all, in ms. */
const pace = performance.now() - start;
const reference = await recover(full, world);

/** Fetches or builds; whatever fails says why. */
async function attempt({ config, at }: Scene, random: Random, codes: readonly string[]) {
  const run = stowage(config, { ...at, jobs: random.int(1, 5), attempts: 2, retryDelay: 0 });
  try {
    if (random.chance(0.6)) await run.build();
    else await run.fetch({ names: random.some(SOURCES) });
  } catch (error) {
    const all = error instanceof RunError ? Object.values(error.failures) : [error];
    for (const each of all) assertExplained(each, codes);
  }
}

/** In the words of the system, of tar, and of skopeo, which loses the system's now and then. */
const REASONS = /no space left|read-only file system|wrote only \d+ of|blob size mismatch/i;

function assertExplained(error: unknown, codes: readonly string[]): void {
  if (!(error instanceof StowageError)) throw error;
  const said = error instanceof StageError ? `${error.message} ${error.log}` : error.message;
  const isRight = error instanceof StoreError ? codes.includes(error.code) : REASONS.test(said);
  assert(isRight, `${error.code}: ${said}\n${error.stack}`);
}

/** A scene whose store is on a file system of its own, of some size. */
async function openSmall(size: number): Promise<Scene & { readonly disk: SmallFs }> {
  await using resources = new AsyncDisposableStack();
  const disk = resources.use(await smallFs(`${size}k`));
  const scene = resources.use(await openScene(world, join(disk.path, "store")));
  const owned = resources.move();
  return { ...scene, disk, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe("a file system", () => {
  it("with too little room is no worse than that", async () => {
    await rounds(3, async (random) => {
      // Some way between one folder and all that a build takes.
      await using scene = await openSmall(Math.ceil(32 * 2 ** (9 * random.next())));
      for (let times = random.int(1, 2); times > 0; times--) {
        await attempt(scene, random, ["STORE_FULL"]);
        await assertNothingRuns(scene);
        await audit(scene.at.store);
        for (const name of ["tmp", "quarantine"]) {
          assertEquals(await list(join(scene.at.store, name)), []);
        }
      }
      await scene.disk.remount("size=256m");
      await recover(scene, world, reference);
    });
  });

  it("that becomes read-only in the middle keeps what it has", async () => {
    await rounds(2, async (random) => {
      await using scene = await openSmall(256 * 1024);
      const over = new AbortController();
      const run = attempt(scene, random, ["STORE_READ_ONLY"]).finally(() => over.abort());
      const timer = setTimeout(
        () => void turnReadOnly(scene.disk, over.signal),
        random.next() * pace,
      );
      await run.finally(() => clearTimeout(timer));
      await scene.disk.remount("rw");
      await assertNothingRuns(scene);
      await audit(scene.at.store);
      await recover(scene, world, reference);
      assertEquals(await list(join(scene.at.store, "quarantine")), []);
    });
  });
});

/** At the first moment at which no file is open to be written. */
async function turnReadOnly(disk: SmallFs, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    if (await disk.remount("ro").then(() => true, () => false)) return;
  }
}
