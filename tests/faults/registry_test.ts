import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { RunError, stowage, StowageError } from "@stowage/stowage";
import type { Fault, FaultProxy, ProxyRequest } from "../support/mod.ts";
import { list } from "../sources/fixture.ts";
import { forThisFile } from "../support/fixture.ts";
import { audit } from "./audit.ts";
import type { Random } from "./random.ts";
import { rounds } from "./rounds.ts";
import { assertNothingRuns, openScene, recover, type Scene } from "./scene.ts";
import { SOURCES, startWorld, type World } from "./world.ts";

const world = await forThisFile(startWorld());
const full = await forThisFile(openScene(world));
const reference = await recover(full, world);

/** Long enough for a machine that is busy, short enough to wait for, in ms. */
const STALL = 700;
/** Far more than a run takes that waits for all that it may wait for, in ms. */
const TOO_LONG = 60_000;

function chooseFault(random: Random, { layers, images }: World): Fault {
  const { size } = random.pick([layers[0]!, ...layers]);
  const headers = { "retry-after": random.pick(["0", "0", "1"]) };
  return random.pick<Fault>([
    ...["refuse", "reset", "hang"] as const,
    { status: 429, headers },
    { status: 500 },
    { status: random.pick([401, 403, 404, 416, 502, 503]) },
    { cutAfter: random.int(0, size) },
    { cutAfter: random.int(0, 1000) },
    { flipBit: random.int(0, size) },
    { flipBit: random.int(0, 300) },
    { wrongLength: random.int(-100, 100) },
    { slow: random.int(200_000, 2_000_000) },
    { body: images[random.int(0, images.length - 1)]?.manifest ?? "" },
    { body: "x".repeat(random.int(0, 3000)) },
  ]);
}

/** A tag is no promise: whoever answers with another image's manifest has moved it. */
function isOther(fault: Fault, { images }: World): boolean {
  return typeof fault === "object" && "body" in fault &&
    images.some(({ manifest }) => manifest === fault.body);
}

const isBySkopeo = ({ headers }: ProxyRequest) =>
  headers["user-agent"]?.startsWith("skopeo") ?? false;

function addRule(random: Random, world: World, { rules }: FaultProxy): void {
  const digests = [...world.layers, ...world.images].map(({ digest }) => digest);
  const ids = world.images.map(({ id }) => id);
  const part = random.pick([
    ...["/v2/", "/manifests/", "/blobs/", "/apps/", "/other/"] as const,
    ...random.some(["", ...digests]).slice(0, 2),
    ...random.some(["", ...ids]).slice(0, 2),
  ]);
  const who = random.pick(["all", "skopeo", "stowage"]);
  const skipped = random.int(0, 3);
  let seen = 0;
  rules.push({
    match: (request) =>
      request.path.includes(part) &&
      (who === "all" || (who === "skopeo") === isBySkopeo(request)) &&
      seen++ >= skipped,
    times: random.pick([1, 1, 2, 3, 6, Infinity]),
    fault: chooseFault(random, world),
  });
}

/** Fetches, or builds; it may fail, as it should. */
async function attempt({ config, at }: Scene, random: Random): Promise<void> {
  const options = {
    ...at,
    jobs: random.int(1, 5),
    perRegistry: random.int(1, 6),
    attempts: random.int(1, 3),
    retryDelay: 0,
    stallTimeout: STALL,
  };
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new Error("it takes too long")), TOO_LONG);
  try {
    const run = stowage(config, options);
    const { signal } = abort;
    if (random.chance(0.3)) await run.build({ signal });
    else await run.fetch({ signal, names: random.some(SOURCES) });
  } catch (error) {
    if (abort.signal.aborted || !(error instanceof RunError)) throw error;
    for (const failure of Object.values(error.failures)) {
      assert(
        failure instanceof StowageError && failure.code !== "STORE_FAILED",
        `${failure.stack}`,
      );
    }
  } finally {
    clearTimeout(timer);
  }
}

describe("a registry that fails in any way", () => {
  it("spoils nothing, and costs nothing twice once it is well", async () => {
    await rounds(4, async (random) => {
      await using scene = await openScene(world);
      let hadOthers = false;
      for (let times = random.int(1, 3); times > 0; times--) {
        scene.proxy.rules.length = 0;
        for (let count = random.int(1, 6); count > 0; count--) addRule(random, world, scene.proxy);
        hadOthers ||= scene.proxy.rules.some(({ fault }) => isOther(fault, world));
        const runs = Array.from({ length: random.pick([1, 1, 2]) }, () => attempt(scene, random));
        const ended = await Promise.allSettled(runs);
        for (const each of ended) if (each.status === "rejected") throw each.reason;
        await assertNothingRuns(scene);
        await audit(scene.at.store);
        for (const name of ["tmp", "quarantine"]) {
          assertEquals(await list(join(scene.at.store, name)), []);
        }
      }
      await recover(scene, world, reference, { hadOthers });
    });
  });
});
