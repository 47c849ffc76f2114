import {
  assert,
  assertEquals,
  assertObjectMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  ContentError,
  FetchError,
  fromOci,
  InterruptedError,
  type Lock,
  LockError,
  PlatformError,
  UsageError,
} from "@stowage/stowage";
import { skopeo } from "../support/mod.ts";
import { errorOf, indexAs, lockedAs, lockFixture, mustLock, of, wordsOf } from "./fixture.ts";

const AMD64 = "linux/amd64";
const ARM64 = "linux/arm64";
const BOTH = [AMD64, ARM64];
const OTHER = `sha256:${"0".repeat(64)}`;

const bench = await lockFixture();

/** The entries of a lock. */
const sourcesOf = ({ sources }: Lock) => sources;

describe("a lock", () => {
  it("says what tags stand for, and reads each manifest once", async () => {
    const web = await bench.push("web:1", "web");
    const many = await bench.pushMany("many:2", "many", BOTH);
    const [amd64, arm64] = many.images;
    assert(amd64 && arm64);
    const config = of({
      web: bench.app("web:1"),
      again: bench.app("web:1"),
      many: bench.app("many:2", { platform: ARM64 }),
      pinned: bench.app(`web@${web.digest}`),
    });
    const { platform: _, ...both } = bench.app("many:2", { platforms: BOTH });
    const { result, failures } = await bench.lock({ sources: { ...config.sources, both } });
    const at = (name: string) => `docker://${bench.proxy.host}/${name}`;
    const index = indexAs(many);
    const web1 = { reference: at("web:1"), tag: "1", platforms: { [AMD64]: lockedAs(web) } };
    assertEquals(failures, {});
    assertEquals(sourcesOf(result.lock), {
      web: web1,
      again: web1,
      many: { reference: at("many:2"), tag: "2", index, platforms: { [ARM64]: lockedAs(arm64) } },
      pinned: { reference: at(`web@${web.digest}`), platforms: { [AMD64]: lockedAs(web) } },
      both: {
        ...{ reference: at("many:2"), tag: "2", index },
        platforms: { [AMD64]: lockedAs(amd64), [ARM64]: lockedAs(arm64) },
      },
    });
    // web:1, web@…, many:2, and the two images of it.
    assertEquals([result.requests, bench.manifests()], [5, 5]);
    assertEquals(wordsOf(result), [
      ...["added web", "added again", "added many", "added pinned"],
      ...["added both@linux/amd64", "added both@linux/arm64"],
    ]);
  });

  it("is completed, and what is pinned stays", async () => {
    const [before] = [await bench.push("web:1", "old"), await bench.push("db:1", "db")];
    const lock = await mustLock(bench, of({ web: bench.app("web:1") }));
    await bench.push("web:1", "new");
    bench.manifests();
    const config = of({ db: bench.app("db:1"), web: bench.app("web:1") });
    const { result } = await bench.lock(config, { ...lock, $schema: "lock.schema.json" });
    assertEquals(result.lock.$schema, "lock.schema.json");
    assertEquals(sourcesOf(result.lock)["web"]?.platforms[AMD64], lockedAs(before));
    assertEquals([wordsOf(result), result.requests, bench.manifests()], [["added db"], 1, 1]);
    const again = await bench.lock(config, result.lock);
    assertObjectMatch(again.result, { lock: result.lock, changes: [], requests: 0 });
    assertEquals(bench.manifests(), 0);
  });

  it("is completed for the sources that are named", async () => {
    await bench.push("web:1", "web");
    const config = of({ web: bench.app("web:1"), db: bench.app("none:1") });
    const { result, failures } = await bench.lock(config, undefined, { names: ["web"] });
    assertEquals([failures, wordsOf(result)], [{}, ["added web"]]);
    await assertRejects(() => bench.lock(config, undefined, { names: ["wep"] }), UsageError);
  });

  it("takes a platform that is new from the index that is locked", async () => {
    const old = await bench.pushMany("web:1", "old", BOTH);
    const lock = await mustLock(bench, of({ web: bench.app("web:1") }));
    await bench.pushMany("web:1", "new", BOTH);
    const { platform: _, ...both } = bench.app("web:1", { platforms: BOTH });
    const { result } = await bench.lock(of({ web: both }), lock);
    const [amd64, arm64] = old.images;
    assert(amd64 && arm64);
    assertEquals(wordsOf(result), ["added web@linux/arm64"]);
    assertEquals(sourcesOf(result.lock)["web"]?.index, indexAs(old));
    assertEquals(sourcesOf(result.lock)["web"]?.platforms, {
      [AMD64]: lockedAs(amd64),
      [ARM64]: lockedAs(arm64),
    });
  });

  it("does not mix a new platform of a moved tag with an old image", async () => {
    await bench.push("web:1", "old");
    const lock = await mustLock(bench, of({ web: bench.app("web:1") }));
    const many = await bench.pushMany("web:1", "new", BOTH);
    const { platform: _, ...both } = bench.app("web:1", { platforms: BOTH });
    const run = await bench.lock(of({ web: both }), lock);
    const error = errorOf(LockError, run, "web@linux/arm64");
    assertStringIncludes(error.message, `it is ${many.digest} now`);
    assertEquals(error.code, "LOCK_STALE");
    assertStringIncludes(error.hint ?? "", "stowage lock --update web");
    assertEquals([run.result.lock, run.result.changes], [lock, []]);
    const updated = await bench.lock(of({ web: both }), lock, { update: true });
    assertEquals(wordsOf(updated.result), ["moved web@linux/amd64", "added web@linux/arm64"]);
  });

  it("forgets what the config has no more, and keeps what another machine has locked", async () => {
    await bench.pushMany("web:1", "web", BOTH);
    const { platform: _, ...both } = bench.app("web:1", { platforms: BOTH });
    const { platform: __, ...open } = bench.app("web:1");
    const lock = await mustLock(bench, of({ web: both, gone: both, open }), undefined);
    const config = of({ web: bench.app("web:1"), open });
    const { result } = await bench.lock(config, lock, { platform: ARM64 });
    assertEquals(wordsOf(result).sort(), [
      "added open",
      "removed gone@linux/amd64",
      "removed gone@linux/arm64",
      "removed web@linux/arm64",
    ]);
    assertEquals(Object.keys(sourcesOf(result.lock)), ["web", "open"]);
    assertEquals(Object.keys(sourcesOf(result.lock)["open"]?.platforms ?? {}).length, 2);
  });

  it("is moved where it is told to, and says from what to what", async () => {
    const old = await bench.push("web:1", "old");
    await bench.push("db:1", "db");
    const config = of({ web: bench.app("web:1"), db: bench.app("db:1") });
    const lock = await mustLock(bench, config);
    const web = await bench.push("web:1", "new");
    const db = await bench.push("db:1", "new-db");
    const named = await bench.lock(config, lock, { update: true, names: ["web"] });
    assertEquals(named.result.changes, [
      { name: "web", change: "moved", from: lockedAs(old), to: lockedAs(web) },
    ]);
    const all = await bench.lock(config, named.result.lock, { update: true });
    assertEquals(wordsOf(all.result), ["moved db"]);
    assertEquals(sourcesOf(all.result.lock)["db"]?.platforms[AMD64], lockedAs(db));
    assertEquals((await bench.lock(config, all.result.lock, { update: true })).result.changes, []);
  });

  it("is mended where a hand has spoiled it, if it is told to", async () => {
    const web = await bench.push("web:1", "web");
    const config = of({ web: bench.app("web:1") });
    const lock = await mustLock(bench, config);
    const entry = lock.sources["web"];
    assert(entry);
    const platforms = { [AMD64]: { ...lockedAs(web), id: OTHER } };
    const spoiled = { ...lock, sources: { web: { ...entry, platforms } } };
    const { result } = await bench.lock(config, spoiled, { update: true });
    assertEquals([wordsOf(result), result.lock], [["moved web"], lock]);
  });

  it("moves all platforms of a source together, also where one is named", async () => {
    await bench.pushMany("web:1", "old", BOTH);
    const { platform: _, ...both } = bench.app("web:1", { platforms: BOTH });
    const lock = await mustLock(bench, of({ web: both }));
    const now = await bench.pushMany("web:1", "new", BOTH);
    const { result } = await bench.lock(of({ web: both }), lock, {
      update: true,
      names: ["web@linux/arm64"],
    });
    assertEquals(wordsOf(result), ["moved web@linux/amd64", "moved web@linux/arm64"]);
    assertEquals(sourcesOf(result.lock)["web"]?.index, indexAs(now));
  });

  it("stays of one index where that has one of the platforms no more", async () => {
    const old = await bench.pushMany("web:1", "old", BOTH);
    const { platform: _, ...both } = bench.app("web:1", { platforms: BOTH });
    const lock = await mustLock(bench, of({ web: both }));
    await bench.pushMany("web:1", "new", [AMD64]);
    const run = await bench.lock(of({ web: both }), lock, { update: true });
    assertEquals(errorOf(PlatformError, run, "web@linux/arm64").offered, [AMD64]);
    assertEquals([run.result.lock, run.result.changes], [lock, []]);
    assertEquals(sourcesOf(run.result.lock)["web"]?.index, indexAs(old));
  });

  it("moves with an index whose image for the platform is the same", async () => {
    const old = await bench.pushMany("web:1", "web", [AMD64]);
    const config = of({ web: bench.app("web:1") });
    const lock = await mustLock(bench, config);
    const now = await bench.pushMany("web:1", "web", BOTH);
    const { outdated } = (await bench.outdated(config, lock)).result;
    assertEquals(outdated.map(({ pinned, current }) => [pinned, current]), [[
      old.digest,
      now.digest,
    ]]);
    const { result } = await bench.lock(config, lock, { update: true });
    assertEquals(result.changes[0]?.index, { from: old.digest, to: now.digest });
    assertEquals((await bench.outdated(config, result.lock)).result.outdated, []);
  });

  it("has every platform of an index that is wanted whole", async () => {
    await bench.pushMany("web:1", "web", BOTH);
    const { platform: _, ...all } = bench.app("web:1", { index: true });
    const lock = await mustLock(bench, of({ all }));
    assertEquals(Object.keys(sourcesOf(lock)["all"]?.platforms ?? {}).sort(), [...BOTH].sort());
    const again = await bench.lock(of({ all }), lock);
    assertEquals([again.result.changes, again.result.requests], [[], 0]);
  });

  it("keeps what could be locked, and what was, where a source fails", async () => {
    await bench.push("web:1", "web");
    const old = await bench.push("old:1", "old");
    const lock = await mustLock(bench, of({ old: bench.app("old:1") }));
    const config = of({
      old: bench.app("gone:1"),
      web: bench.app("web:1"),
      none: bench.app("none:1"),
    });
    const run = await bench.lock(config, lock);
    assertEquals(Object.keys(run.failures), ["source/old", "source/none"]);
    assertEquals(errorOf(FetchError, run, "none").attempts[0]?.reason, "unknown");
    assertEquals(wordsOf(run.result), ["added web"]);
    assertEquals(sourcesOf(run.result.lock)["old"]?.platforms[AMD64], lockedAs(old));
    assertEquals(run.events.filter(({ type }) => type === "failed").length, 2);
  });

  it("stays as it is while the registry is down, and when it is interrupted", async () => {
    await bench.push("web:1", "web");
    const config = of({ web: bench.app("web:1") });
    const lock = await mustLock(bench, config);
    await bench.registry.stop();
    const run = await bench.lock(config, lock, { update: true });
    assertEquals([Object.keys(run.failures), run.result.lock], [["source/web"], lock]);
    await bench.registry.start();
    const signal = AbortSignal.abort();
    await assertRejects(() => bench.lock(config, lock, { update: true, signal }), InterruptedError);
  });

  it("asks again for what the config has changed", async () => {
    const one = await bench.push("web:1", "one");
    const two = await bench.push("web:2", "two");
    const lock = await mustLock(bench, of({ web: bench.app("web:1") }));
    for (
      const source of [
        bench.app("web:2"),
        bench.app("web:2", { id: two.id }),
        bench.app("web", { digest: two.digest }),
      ]
    ) {
      const { result, failures } = await bench.lock(of({ web: source }), lock);
      assertEquals(failures, {});
      assertEquals(sourcesOf(result.lock)["web"]?.platforms[AMD64], lockedAs(two));
      assertEquals(result.changes[0]?.from, lockedAs(one));
    }
    const id = await bench.lock(of({ web: bench.app("web:1", { id: OTHER }) }), lock);
    assertEquals(errorOf(ContentError, id, "web").expected, OTHER);
    const index = await bench.lock(of({ web: bench.app("web:1", { index: true }) }), lock);
    assertStringIncludes(errorOf(ContentError, index, "web").hint ?? "", "remove index: true");
  });

  it("is of digests of indexes and of images, as the config pins them", async () => {
    const { digest, images } = await bench.pushMany("web:1", "web", BOTH);
    const { platform: _, ...both } = bench.app("web", { platforms: BOTH, digest });
    const [amd64] = images;
    assert(amd64);
    const config = of({ both, one: bench.app("web", { digest: amd64.digest }) });
    const lock = await mustLock(bench, config);
    assertEquals(sourcesOf(lock)["both"]?.index?.digest, digest);
    assertEquals(Object.keys(sourcesOf(lock)["both"]?.platforms ?? {}), BOTH);
    assertEquals(sourcesOf(lock)["one"], {
      reference: `docker://${bench.proxy.host}/web:latest`,
      platforms: { [AMD64]: lockedAs(amd64) },
    });
    assertEquals((await bench.lock(config, lock)).result.requests, 0);
  });

  it("is of local layouts with one image; one with several tells too late what it has", async () => {
    const web = await bench.push("web:1", "web");
    await bench.pushMany("many:1", "many", BOTH);
    const copy = (name: string) => {
      const from = `docker://${bench.registry.host}/${name}:1`;
      const flags = ["--all", ...bench.registry.flags("src")];
      return skopeo("copy", ...flags, from, `oci:${bench.dir.join(name)}:1`);
    };
    await copy("web");
    await copy("many");
    const config = of({ web: fromOci("web"), many: fromOci("many") });
    const run = await bench.lock(config);
    assertEquals(sourcesOf(run.result.lock)["web"]?.platforms[AMD64]?.id, web.id);
    assertEquals(errorOf(LockError, run, "many").code, "LOCK_MISSING");
    assertEquals(run.result.requests, 0);
  });
});
