import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  ContentError,
  FetchError,
  type Lock,
  LockError,
  type SourceOptions,
  stowage,
} from "@stowage/stowage";
import { eventsOf } from "../sources/fixture.ts";
import { errorOf, lockFixture, mustLock, of } from "./fixture.ts";

const AMD64 = "linux/amd64";
const ARM64 = "linux/arm64";
const BOTH = [AMD64, ARM64];
const OTHER = `sha256:${"0".repeat(64)}`;

const bench = await lockFixture();

const both = (name: string, options: SourceOptions = {}) => {
  const { platform: _, ...source } = bench.app(name, { ...options, platforms: BOTH });
  return source;
};
/** The lock with another value of one image. */
const change = (lock: Lock, name: string, to: { digest?: string; id?: string }): Lock => {
  const entry = lock.sources[name];
  const image = entry?.platforms[AMD64];
  assert(image);
  const platforms = { ...entry.platforms, [AMD64]: { ...image, ...to } };
  return { ...lock, sources: { ...lock.sources, [name]: { ...entry, platforms } } };
};
const notices = ({ events }: { events: Parameters<typeof eventsOf>[0] }) =>
  eventsOf(events, "notice").filter(({ code }) => code !== "DEFAULT_POLICY");

describe("a fetch with a lock", () => {
  it("gets what is locked wherever the tag is, by its digest only", async () => {
    const web = await bench.push("web:1", "old");
    const { images: [amd64, arm64] } = await bench.pushMany("many:1", "old", BOTH);
    const config = of({ web: bench.app("web:1"), many: both("many:1") });
    const lock = await mustLock(bench, config);
    await bench.push("web:1", "new");
    await bench.pushMany("many:1", "new", BOTH);
    const asked = bench.proxy.requests.length;
    const run = await bench.fetch(config, { lock, frozen: true });
    assertEquals([run.failures, notices(run)], [{}, []]);
    assertEquals(run.result.images.map(({ name, id, digest }) => [name, id, digest]), [
      ["web", web.id, web.digest],
      [`many@${AMD64}`, amd64?.id, amd64?.digest],
      [`many@${ARM64}`, arm64?.id, arm64?.digest],
    ]);
    const manifests = bench.proxy.requests.slice(asked)
      .flatMap(({ path }) => /\/manifests\/(.*)/.exec(path)?.slice(1) ?? []);
    assertEquals(new Set(manifests), new Set([web, amd64, arm64].map((image) => image?.digest)));
  });

  it("asks nobody and runs nothing where the store has it all", async () => {
    await bench.push("web:1", "web");
    await bench.pushMany("many:1", "many", BOTH);
    const config: Config = {
      ...of({ web: bench.app("web:1"), many: both("many:1", { index: true }) }),
      digests: "require",
    };
    const lock = await mustLock(bench, config);
    assertEquals((await bench.fetch(config, { lock })).failures, {});
    const asked = bench.proxy.requests.length;
    const path = Deno.env.get("PATH") ?? "";
    Deno.env.set("PATH", bench.dir.path);
    try {
      const run = await bench.fetch(config, { lock, frozen: true });
      assertEquals(run.result.images.map(({ status }) => status), ["cached", "cached", "cached"]);
      assertEquals(run.events.map(({ type }) => type), ["start", "image", "image", "image"]);
      const all = { lock, frozen: true, store: bench.store };
      const { images } = await stowage(config, all).build();
      assertEquals(images.length, 3);
      const { sources } = await stowage(config, all).plan();
      assertEquals(new Set(sources.map(({ status }) => status)), new Set(["cached"]));
    } finally {
      Deno.env.set("PATH", path);
    }
    assertEquals(bench.proxy.requests.length, asked);
  });

  it("keeps the index that is locked, also where the store has an older one", async () => {
    const old = await bench.pushMany("web:1", "web", [AMD64]);
    const config = of({ web: bench.app("web:1", { index: true }) });
    const before = await bench.fetch(config, { lock: await mustLock(bench, config) });
    assertEquals(before.result.images[0]?.index?.digest, old.digest);
    const now = await bench.pushMany("web:1", "web", BOTH);
    const lock = await mustLock(bench, config);
    for (const status of ["cached", "cached"] as const) {
      const { result: { images: [image] } } = await bench.fetch(config, { lock });
      assertEquals([image?.status, image?.index?.digest], [status, now.digest]);
    }
  });

  it("takes for a platform what its index gave for it", async () => {
    const { images: [v6] } = await bench.pushMany("web:1", "web", ["linux/arm/v6"]);
    const config = of({ web: bench.app("web:1", { platform: "armhf" }) });
    const lock = await mustLock(bench, config);
    for (const status of ["fetched", "cached"]) {
      const { result: { images: [image] }, failures } = await bench.fetch(config, { lock });
      assertEquals([failures, image?.id, image?.status], [{}, v6?.id, status]);
    }
    const offline = await bench.fetch(config, { lock, offline: true });
    assertEquals(offline.failures, {});
  });

  it("takes no image of its index for a platform that it is not for", async () => {
    const { images: [amd64, arm64] } = await bench.pushMany("many:1", "many", BOTH);
    assert(amd64 && arm64);
    const config = of({ many: both("many:1") });
    const lock = await mustLock(bench, config);
    const swapped = change(lock, "many", { digest: arm64.digest, id: arm64.id });
    for (const _ of ["into an empty store", "where the store has both"]) {
      const error = errorOf(
        ContentError,
        await bench.fetch(config, { lock: swapped }),
        `many@${AMD64}`,
      );
      assertEquals([error.expected, error.actual], [arm64.id, amd64.id]);
      assertStringIncludes(error.hint ?? "", "stowage lock --update many");
      assertEquals((await bench.fetch(config, { lock })).failures, {});
    }
  });

  it("does not accept what differs from it", async () => {
    const web = await bench.push("web:1", "web");
    const other = await bench.push("other:1", "other");
    await bench.push("web:other", "other");
    const config = of({ web: bench.app("web:1") });
    const lock = await mustLock(bench, config);
    const wrong = await bench.fetch(config, { lock: change(lock, "web", { id: OTHER }) });
    const id = errorOf(ContentError, wrong, "web");
    assertEquals([id.expected, id.actual], [OTHER, web.id]);
    assertStringIncludes(id.hint ?? "", "stowage lock --update web");
    const swapped = change(lock, "web", { digest: other.digest });
    const digest = errorOf(ContentError, await bench.fetch(config, { lock: swapped }), "web");
    assertEquals([digest.expected, digest.actual], [web.id, other.id]);
    const none = await bench.fetch(config, { lock: change(lock, "web", { digest: OTHER }) });
    assertStringIncludes(errorOf(FetchError, none, "web").message, `web@${OTHER}: unknown`);
  });

  it("leaves out a stale entry, and says why", async () => {
    const old = await bench.push("web:1", "old");
    const lock = await mustLock(bench, of({ web: bench.app("web:1") }));
    const now = await bench.push("web:2", "new");
    const config = of({ web: bench.app("web:2") });
    const run = await bench.fetch(config, { lock });
    assertEquals(run.result.images[0]?.id, now.id);
    const [notice] = notices(run);
    assertStringIncludes(
      notice?.message ?? "",
      `"web" is not pinned (the config has docker://${bench.proxy.host}/web:2, and the lock docker://${bench.proxy.host}/web:1)`,
    );
    const pinned = of({ web: bench.app("web:2", { digest: now.digest }) });
    assertEquals(notices(await bench.fetch(pinned, { lock })), []);
    assert(old.id !== now.id);
  });

  it("is refused if it is frozen and the lock lacks something", async () => {
    await bench.push("web:1", "web");
    const config = of({ web: bench.app("web:1"), db: bench.app("db:1") });
    const { result: { lock } } = await bench.lock(config);
    const asked = bench.proxy.requests.length;
    const refusal = async (config: Config, lock?: Lock) => {
      const options = { store: bench.store, frozen: true, ...(lock && { lock }) };
      for (const run of ["plan", "fetch", "build"] as const) {
        const error = await assertRejects(() => stowage(config, options)[run](), LockError);
        assertEquals([error.code, bench.proxy.requests.length], ["LOCK_MISSING", asked]);
        if (run === "build") return error.problems.map(({ name, reason }) => `${name}: ${reason}`);
      }
    };
    assertEquals(await refusal(config, lock), ["db: it is not in the lock"]);
    assertEquals(await refusal(config), ["web: there is no lock", "db: there is no lock"]);
    const stale = of({ web: bench.app("web:1", { digest: OTHER }) });
    assertStringIncludes(
      String(await refusal(stale, lock)),
      `web: the config has digest ${OTHER}, and the lock sha256:`,
    );
    // What is not asked for, or pinned where there is no lock, does not matter.
    const { images } = await stowage(config, { store: bench.store, frozen: true, lock })
      .fetch({ names: ["web"] });
    const { id = "", digest = "" } = images[0] ?? {};
    const pinned = of({ web: bench.app("web:1", { id, digest }) });
    assertEquals((await bench.fetch(pinned, { frozen: true })).failures, {});
    const other: Lock = { schema: 1, sources: {} };
    assertEquals((await bench.fetch(pinned, { frozen: true, lock: other })).failures, {});
  });
});

describe("the digest policy", () => {
  it("warns once, with the number of sources, unless told", async () => {
    const web = await bench.push("web:1", "web");
    const many = await bench.pushMany("many:1", "many", BOTH);
    const config = of({ web: bench.app("web:1"), many: both("many:1") });
    const warned = await bench.fetch(config);
    assertEquals(notices(warned), [{
      type: "notice",
      code: "UNPINNED",
      message: "2 sources are not pinned: run `stowage lock`",
      keys: ["source/web", ...BOTH.map((platform) => `source/many@${platform}`)],
    }]);
    assertEquals(notices(await bench.fetch({ ...config, digests: "warn" })).length, 1);
    assertEquals(notices(await bench.fetch({ ...config, digests: "ignore" })), []);
    const pinned = of({
      web: bench.app("web:1", { digest: web.digest }),
      id: bench.app("web:1", { id: web.id }),
      many: both("many:1", { digest: many.digest }),
    });
    const run = await bench.fetch({ ...pinned, digests: "require" });
    assertEquals([run.failures, notices(run)], [{}, []]);
  });

  it("refuses what nothing pins if it requires digests, also offline", async () => {
    const web = await bench.push("web:1", "web");
    const config = of({ web: bench.app("web:1") });
    await bench.fetch(config);
    for (const offline of [false, true]) {
      const run = await bench.fetch({ ...config, digests: "require" }, { offline });
      const error = errorOf(LockError, run, "web");
      assertEquals([error.code, run.result.images], ["LOCK_MISSING", []]);
      assertEquals(error.message, 'Cannot accept "web": it is not pinned');
      assertEquals(
        error.hint,
        `add digest: "${web.digest}" to sources.web, or run \`stowage lock\``,
      );
    }
    const lock = await mustLock(bench, { ...config, digests: "require" });
    assertEquals((await bench.fetch({ ...config, digests: "require" }, { lock })).failures, {});
  });
});

describe("a tag beside a digest", () => {
  it("has to stand for it, or for an index that has it", async () => {
    const old = await bench.pushMany("web:1", "old", BOTH);
    const [image] = old.images;
    assert(image);
    for (const digest of [old.digest, image.digest]) {
      const run = await bench.fetch(of({ web: bench.app("web:1", { digest }) }));
      assertEquals([run.failures, run.result.images[0]?.id], [{}, image.id]);
    }
    const now = await bench.pushMany("web:1", "new", BOTH);
    const config = of({ web: both("web:1", { digest: old.digest }) });
    await Deno.remove(bench.store, { recursive: true });
    for (const run of [await bench.fetch(config), await bench.lock(config)]) {
      const error = errorOf(ContentError, run, `web@${AMD64}`);
      assertEquals([error.expected, error.actual], [old.digest, now.digest]);
      assertStringIncludes(
        error.message,
        `/web:1 is ${now.digest} now, and the config pins ${old.digest}`,
      );
      assertStringIncludes(error.hint ?? "", `set digest: "${now.digest}"`);
      assertStringIncludes(error.hint ?? "", "leave the tag out of sources.web");
    }
    const inReference = of({ web: both(`web:1@${old.digest}`) });
    const { hint = "" } = errorOf(ContentError, await bench.fetch(inReference), `web@${AMD64}`);
    assertStringIncludes(hint, `replace the digest in its reference by "${now.digest}"`);
    const without = of({ web: both("web", { digest: old.digest }) });
    assertEquals((await bench.fetch(without)).failures, {});
  });
});
