import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  FetchError,
  type Lock,
  LockError,
  RunError,
  stowage,
  type StowageOptions,
} from "@stowage/stowage";
import { lockFixture, mustLock, of } from "./fixture.ts";

const BOTH = ["linux/amd64", "linux/arm64"];
const OTHER = `sha256:${"0".repeat(64)}`;

const bench = await lockFixture();

/** Checks a lock. */
function check(config: Config, lock?: Lock, options: StowageOptions = {}, names: string[] = []) {
  const all = { store: bench.store, attempts: 1, retryDelay: 0, ...options };
  return stowage(config, { ...all, ...(lock && { lock }) }).checkLock({ names });
}

/** What a lock that is not right is told to be. */
async function problemsOf(
  config: Config,
  lock?: Lock,
  options?: StowageOptions,
): Promise<[code: string, problems: string[]]> {
  const error = await assertRejects(() => check(config, lock, options), LockError);
  assertStringIncludes(error.hint ?? "", "stowage lock");
  return [error.code, error.problems.map(({ name, reason }) => `${name}: ${reason}`)];
}

describe("checkLock()", () => {
  it("takes a lock of the config and of the registry, a manifest a tag", async () => {
    await bench.pushMany("many:1", "many", BOTH);
    const web = await bench.push("web:1", "web");
    const { platform: _, ...both } = bench.app("many:1", { platforms: BOTH });
    const config = of({
      both,
      web: bench.app("web:1"),
      digest: bench.app("web", { digest: web.digest }),
    });
    const lock = await mustLock(bench, config);
    bench.manifests();
    assertEquals(await check(config, lock), { requests: 2 });
    assertEquals(bench.manifests(), 2);
    assertEquals(await check(config, lock, { offline: true }), { requests: 0 });
    assertEquals(bench.manifests(), 0);
  });

  it("takes it where the registry knows no HEAD", async () => {
    await bench.push("web:1", "web");
    const config = of({ web: bench.app("web:1") });
    const lock = await mustLock(bench, config);
    for (const status of [501, 500, 405]) {
      bench.proxy.rules.splice(0, 1, { match: /^HEAD/, fault: { status } });
      assertEquals(await check(config, lock, { attempts: 3, retryDelay: 60_000 }), { requests: 2 });
    }
  });

  it("tells what the config has changed", async () => {
    await bench.pushMany("web:1", "web", BOTH);
    const config = of({ web: bench.app("web:1") });
    const lock = await mustLock(bench, config);
    bench.manifests();
    const { digest, id } = lock.sources["web"]?.platforms["linux/amd64"] ?? {};
    const { platform: _, ...both } = bench.app("web:1", { platforms: BOTH });
    const cases: readonly [config: Config, problem: string][] = [
      [
        of({ web: bench.app("web:2") }),
        `web: the lock has it at docker://${bench.proxy.host}/web:1`,
      ],
      [
        of({ web: bench.app("web:1", { platform: "linux/386" }) }),
        "web: the lock does not have it for linux/386",
      ],
      [of({ web: both }), "web@linux/arm64: the lock does not have it for linux/arm64"],
      [
        of({ web: bench.app("web:1", { digest: OTHER }) }),
        `web: the lock has it with digest ${digest}`,
      ],
      [of({ web: bench.app("web:1", { id: OTHER }) }), `web: the lock has it with id ${id}`],
      [of({ web: bench.app("web:1"), new: bench.app("web:1") }), "new: it is not in the lock"],
      [of({}), "web: it is in the lock, and not in the config"],
    ];
    for (const [changed, problem] of cases) {
      for (const offline of [false, true]) {
        const [code, [first]] = await problemsOf(changed, lock, { offline });
        assertEquals([code, first], ["LOCK_STALE", problem]);
      }
    }
    assertEquals(await problemsOf(config), ["LOCK_MISSING", ["web: there is no lock"]]);
    assertEquals(
      await check(of({ web: bench.app("web:1", { digest: OTHER }) }), undefined, {
        offline: true,
      }),
      { requests: 0 },
    );
    assertEquals(bench.manifests(), 0);

    const wide = await mustLock(bench, of({ web: both }));
    assertEquals((await problemsOf(config, wide))[1], [
      "web: it is in the lock for linux/arm64, and not in the config",
    ]);
    const { platforms: _platforms, ...open } = both;
    assertEquals(await check(of({ web: open }), wide, { offline: true }), { requests: 0 });
  });

  it("takes a tag of an index for what stands for its images as well", async () => {
    const many = await bench.pushMany("many:1", "many", BOTH);
    const [{ digest = "", id = "" } = {}] = many.images;
    const config = of({
      image: bench.app("many:1", { digest }),
      both: bench.app("many:1", { digest, id }),
    });
    const lock = await mustLock(bench, config);
    // Of an index, all that is known without reading it is that it is another manifest.
    assertEquals(await check(config, lock), { requests: 2 });
    const other: Lock = { schema: 1, sources: {} };
    assertEquals((await bench.outdated(config, other)).result.outdated, []);
    const now = await bench.pushMany("many:1", "new", BOTH);
    const [, problems] = await problemsOf(config, lock);
    assertEquals(problems, [
      `image: it is ${now.digest} now, and locked as ${digest}`,
      `both: it is ${now.digest} now, and locked as ${digest}`,
    ]);
  });

  it("tells what the registry has moved", async () => {
    const old = await bench.push("web:1", "old");
    await bench.push("db:1", "db");
    const config = of({ web: bench.app("web:1"), db: bench.app("db:1") });
    const lock = await mustLock(bench, config);
    const now = await bench.push("web:1", "new");
    assertEquals(await problemsOf(config, lock), ["LOCK_STALE", [
      `web: it is ${now.digest} now, and locked as ${old.digest}`,
    ]]);
    assertEquals(await check(config, lock, {}, ["db"]), { requests: 1 });
    assertEquals(await check(config, lock, { offline: true }), { requests: 0 });
  });

  it("tells what could not be asked beside what has moved", async () => {
    await bench.push("web:1", "old");
    await bench.push("db:1", "db");
    const config = of({ web: bench.app("web:1"), db: bench.app("db:1") });
    const lock = await mustLock(bench, config);
    await bench.push("web:1", "new");
    bench.proxy.rules.push({ match: /\/v2\/db\/manifests/, fault: { status: 404 } });
    const { failures } = await assertRejects(() => check(config, lock), RunError);
    assert(
      failures["source/web"] instanceof LockError && failures["source/db"] instanceof FetchError,
    );
  });
});

describe("outdated()", () => {
  it("tells which tags moved, a manifest a tag, and changes nothing", async () => {
    const old = await bench.pushMany("web:1", "old", BOTH);
    const db = await bench.push("db:1", "db");
    const { platform: _, ...both } = bench.app("web:1", { platforms: BOTH });
    const config = of({
      both,
      db: bench.app("db:1"),
      pinned: bench.app("db:1", { digest: db.digest }),
      digest: bench.app("db", { digest: db.digest }),
      open: bench.app("open:1"),
    });
    const { result: { lock } } = await bench.lock(config);
    bench.manifests();
    assertEquals((await bench.outdated(config, lock)).result, {
      ...{ outdated: [], unpinned: ["open"], requests: 2 },
    });
    const [web, next] = [await bench.pushMany("web:1", "new", BOTH), await bench.push("db:1", "x")];
    bench.manifests();
    const at = (name: string) => `docker://${bench.proxy.host}/${name}`;
    const { result, failures } = await bench.outdated(config, lock);
    assertEquals(failures, {});
    assertEquals(result, {
      outdated: [
        { name: "both", reference: at("web:1"), pinned: old.digest, current: web.digest },
        { name: "db", reference: at("db:1"), pinned: db.digest, current: next.digest },
        { name: "pinned", reference: at("db:1"), pinned: db.digest, current: next.digest },
      ],
      unpinned: ["open"],
      requests: 2,
    });
    assertEquals(bench.manifests(), 2);
    const without = await bench.outdated(config);
    assertEquals(without.result.outdated.map(({ name }) => name), ["pinned"]);
  });

  it("tells of those that could be asked where one could not", async () => {
    await bench.push("web:1", "old");
    const config = of({ web: bench.app("web:1"), db: bench.app("db:1", { digest: OTHER }) });
    const { result: { lock } } = await bench.lock(config);
    await bench.push("web:1", "new");
    const { result, failures } = await bench.outdated(config, lock);
    assertEquals([result.outdated.length, Object.keys(failures)], [1, ["source/db"]]);
  });
});
