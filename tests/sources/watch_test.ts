import { assertEquals } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { delay } from "@std/async/delay";
import { watchFolders } from "../../src/sources/watch.ts";
import { type TempDir, tempDir } from "../support/mod.ts";

let dir: TempDir;

beforeEach(async () => void (dir = await tempDir()));
afterEach(async () => await dir[Symbol.asyncDispose]());

/** Watches what is written every now and then; says what of it has stalled. */
async function watch(
  minRate: number,
  write: (time: number) => Promise<void>,
): Promise<string | undefined> {
  const run = new AbortController();
  const patience = { stallTimeout: 400, minRate };
  await using watch = watchFolders({ work: dir.path }, patience, run.signal, () => {});
  for (let time = 0; time < 30 && !watch.signal.aborted; time++) {
    await write(time);
    await delay(50);
  }
  return watch.stalled;
}

const add = () => Deno.writeTextFile(dir.join("file"), "x", { append: true });

describe("watchFolders()", () => {
  it("tells what comes too slowly from what does not come", async () => {
    assertEquals(await watch(1_000, add), "fewer than 1000 bytes a second");
    assertEquals(await watch(1_000, () => Promise.resolve()), "nothing");
  });

  it("takes what comes slowly where that is wanted, and files that come one by one", async () => {
    assertEquals(await watch(0, add), undefined);
    assertEquals(
      await watch(1_000, (time) => Deno.writeTextFile(dir.join(`${time}`), "x")),
      undefined,
    );
  });
});
