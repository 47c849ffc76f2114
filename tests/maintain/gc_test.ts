import { assert, assertEquals, assertRejects } from "@std/assert";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { InterruptedError, stowage, UsageError } from "@stowage/stowage";
import { workspaceName } from "../../src/store/workspace.ts";
import { list } from "../sources/fixture.ts";
import { makeLegacyEntry, type PushedImage, run, smallFs } from "../support/mod.ts";
import { collect, entriesIn, useDaysAgo } from "./gc_fixture.ts";
import { lockFixture, mustLock, of } from "../lockfile/fixture.ts";

const bench = await lockFixture();
const { store } = bench;

const entry = ({ id }: PushedImage) => join(store, "sources/org.osbuild.containers", id);
const hexOf = (digest = "") => digest.slice("sha256:".length);

/** Puts images into the store, each from a tag of its own: `app-0`, `app-1`, … */
async function fill(count: number): Promise<PushedImage[]> {
  const images: PushedImage[] = [];
  for (let n = 0; n < count; n++) images.push(await bench.push(`app-${n}:1`, `${n}`));
  const sources = images.map((_, n) => [`app-${n}`, bench.app(`app-${n}:1`)] as const);
  await bench.fetch(of(Object.fromEntries(sources)));
  return images;
}

describe("garbage collection", () => {
  it("keeps what a tag was fetched as last, and all that a lock says", async () => {
    const config = of({ app: bench.app("app:1") });
    const pushed: PushedImage[] = [];
    const locks = [];
    for (const text of ["one", "two", "three"]) {
      pushed.push(await bench.push("app:1", text));
      await bench.fetch(config);
      locks.push(await mustLock(bench, config));
    }
    const [one, two, three] = pushed;
    const [first, second] = locks;
    assert(one && two && three && first && second);
    const other = of({ other: bench.app("other:1") });
    const all = await collect(config, { store, lock: first, keepLocks: [second] });
    assertEquals(all.went, [`image ${three.id}`]);
    const kept = await collect(other, { store, keep: [{ config, lock: second }] });
    assertEquals(kept.went, [`image ${one.id}`]);
    assertEquals((await collect(config, { store })).went, []);
    assertEquals(await entriesIn(store), [two.id]);
    // Its registry is not there any more.
    const { result } = await bench.fetch(config, { lock: second, offline: true });
    assertEquals(result.images.map(({ status }) => status), ["cached"]);
  });

  it("means the image that a listing and an offline run mean", async () => {
    const config = of({ app: bench.app("app:1") });
    const old = await bench.push("app:1", "old");
    await bench.fetch(config);
    const now = await bench.push("app:1", "now");
    await bench.fetch(config);
    await bench.push("other:1", "old");
    await bench.fetch(of({ other: bench.app("other:1") })); // the old image is used once more

    const { images: [offline] } = (await bench.fetch(config, { offline: true })).result;
    const keeper = stowage(config, { store });
    const named = (await keeper.list({ names: ["app"] })).map(({ id }) => id);
    assertEquals([offline?.id, named], [now.id, [now.id]]);
    assertEquals((await collect(config, { store })).went, [`image ${old.id}`]);
  });

  it("keeps the images of all platforms of an index that is wanted whole", async () => {
    await bench.pushMany("many:1", "many", ["linux/amd64", "linux/arm64"]);
    const { platform: _, ...all } = bench.app("many:1", { index: true });
    const config = of({ all });
    await bench.fetch(config);
    // Two images, and the attestation of each.
    assertEquals((await entriesIn(store)).length, 4);
    assertEquals((await collect(config, { store })).went, []);
  });

  it("keeps what an id, a digest or an index asks for, for its platform", async () => {
    const many = await bench.pushMany("many:1", "many", ["linux/amd64", "linux/arm64"]);
    const [amd, arm] = many.images;
    assert(amd && arm);
    const by = (options = {}) => of({ app: bench.app("many:1", options) });
    const both = { platform: "linux/arm64" };
    await bench.fetch(of({ ...by().sources, arm: bench.app("many:1", both) }));
    assertEquals((await collect(by({ id: arm.id }), { store })).went, [`image ${amd.id}`]);
    await bench.fetch(by());
    assertEquals((await collect(by({ digest: amd.digest }), { store })).went, [`image ${arm.id}`]);
    await bench.fetch(by(both));
    const arm64 = by({ ...both, digest: many.digest });
    assertEquals((await collect(arm64, { store })).went, [`image ${amd.id}`]);
  });

  it("removes blobs with the last image that has them, and what was left of broken runs", async () => {
    const [zero, one] = await fill(2);
    assert(zero && one);
    const orphan = "a".repeat(64);
    await Deno.writeTextFile(join(store, "blobs/sha256", orphan), "x".repeat(100_000));
    await Deno.writeTextFile(join(store, "blobs/diff-ids", "b".repeat(64)), "sha256:…");
    const { went } = await collect(of({ app: bench.app("app-0:1") }), { store });
    assertEquals(went, [`blob ${orphan}`, `blob ${"b".repeat(64)}`, `image ${one.id}`]);
    const left = zero.layers.map(({ digest }) => hexOf(digest)).sort();
    assertEquals(await list(join(store, "blobs/sha256")), left);
    assertEquals(await list(join(store, "blobs/diff-ids")), left);
    await bench.fetch(of({ app: bench.app("app-1:1") }));
    assertEquals(await entriesIn(store), [zero.id, one.id].sort());
  });

  it("keeps the blobs of an image that has to be repaired", async () => {
    const [zero] = await fill(1);
    assert(zero);
    const blobs = await list(join(store, "blobs/sha256"));
    await Deno.remove(join(entry(zero), "image", hexOf(zero.layers[1]?.digest)));
    assertEquals((await collect(of({ app: bench.app("app-0:1") }), { store })).went, []);
    await Deno.remove(join(entry(zero), "image/manifest.json"));
    await collect(of({ app: bench.app("app-0:1") }), { store });
    const gone = hexOf(zero.layers[1]?.digest); // nothing says any more that it is one of them
    assertEquals(await list(join(store, "blobs/sha256")), blobs.filter((blob) => blob !== gone));
  });

  it("removes only what was used long enough ago; what was used in the future was used now", async () => {
    const images = await fill(4);
    const days = [0.5, 29, 31, -400];
    for (const [n, image] of images.entries()) await useDaysAgo(entry(image), days[n] ?? 0);
    const none = of({ app: bench.app("none:1") });
    const olderThan = 30 * 86_400_000;
    assertEquals((await collect(none, { store, olderThan })).went, [`image ${images[2]?.id}`]);
    assertEquals((await collect(none, { store, olderThan: 86_400_000 })).garbage.length, 1);
    assertEquals((await collect(none, { store, olderThan: 60_000 })).garbage.length, 1);
    assertEquals(await entriesIn(store), [images[3]?.id]);
    const { garbage } = await stowage(none, { store }).gc();
    assert(Date.parse(garbage[0]?.used ?? "") <= Date.now());
  });

  it("removes the oldest use first, until the store is small enough, and never what is needed", async () => {
    const images = await fill(4);
    const days = [40, 10, 30, 20];
    for (const [n, image] of images.entries()) await useDaysAgo(entry(image), days[n] ?? 0);
    const config = of({ app: bench.app("app-0:1") }); // the oldest of all
    const { size, garbage, over } = await collect(config, { store, maxSize: 2 ** 40 });
    assertEquals([garbage, over], [[], undefined]);
    const next = await collect(config, { store, maxSize: size - 1 });
    assertEquals(next.went, [`image ${images[2]?.id}`]);
    const last = await collect(config, { store, maxSize: 1 });
    assertEquals(last.garbage.map(({ name }) => name), [images[3]?.id, images[1]?.id]);
    assertEquals(last.over, last.size - last.bytes - 1);
    assertEquals(await entriesIn(store), [images[0]?.id]);
  });

  it("counts what a store has that a link leads to", async () => {
    const [image] = await fill(2);
    const config = of({ app: bench.app("app-0:1") });
    const root = bench.dir.path;
    const { size } = await stowage(config, { root, store }).gc({ dryRun: true });
    const link = join(root, "link");
    await Deno.symlink(store, link);
    const found = await stowage(config, { root, store: link }).gc({ maxSize: size - 1 });
    assertEquals([found.size, found.garbage.length], [size, 1]);
    assertEquals(await entriesIn(store), [image?.id]);
  });

  it("removes an index with the last image that came from it, and no file of osbuild's", async () => {
    const many = await bench.pushMany("many:1", "many", ["linux/amd64", "linux/arm64"]);
    const of2 = (platform: string) => of({ app: bench.app("many:1", { platform, index: true }) });
    await bench.fetch(of2("linux/amd64"));
    await bench.fetch(of2("linux/arm64"));
    const files = join(store, "sources/org.osbuild.files");
    const foreign = `sha256:${"f".repeat(64)}`;
    await Deno.writeTextFile(join(files, foreign), "osbuild's");
    await collect(of2("linux/amd64"), { store });
    assertEquals(await list(files), [many.digest, foreign].sort());
    const { went } = await collect(of({ app: bench.app("none:1") }), { store });
    assertEquals([went, await list(files)], [[`image ${many.images[0]?.id}`], [foreign]]);
  });

  it("keeps a legacy archive with an image that is needed", async () => {
    const [zero] = await fill(1);
    assert(zero);
    const legacy = await makeLegacyEntry(store, bench.registry, zero);
    assertEquals((await collect(of({ app: bench.app("app-0:1") }), { store })).went, []);
    assertEquals(await list(entry(zero)), ["container-image.tar", "image", "origin.json"]);
    const other = await bench.push("old:1", "old");
    await makeLegacyEntry(store, bench.registry, other);
    const byId = of({ app: bench.app("old:1", { id: other.id }) });
    assertEquals((await collect(byId, { store })).went, [`image ${zero.id}`]);
    assertEquals([await entriesIn(store), await list(legacy)], [[other.id], []]);
  });

  it("removes downloads that were broken off, quarantine, and workspaces of the dead", async () => {
    await fill(1);
    const config = of({ app: bench.app("app-0:1") });
    const partial = (name: string) => join(store, "blobs/partial", name);
    const dead = workspaceName();
    const foreign = ["quarantine/mail", "blobs/partial/mine"];
    for (const path of ["quarantine/broken/image", `tmp/${dead}/work`, ...foreign]) {
      await Deno.mkdir(join(store, path), { recursive: true });
    }
    await Deno.writeTextFile(join(store, "quarantine/broken/quarantine.json"), "{}");
    const [fresh, old, taken] = ["1", "2", "3"].map((digit) => digit.repeat(64));
    assert(fresh && old && taken);
    for (const name of [fresh, old, taken]) await Deno.writeTextFile(partial(name), name);
    for (const name of [old, taken]) await useDaysAgo(partial(name), 2);
    await useDaysAgo(join(store, "quarantine/broken"), 100);
    using held = await Deno.open(partial(taken));
    await held.lock(true);
    // skopeo has fetched the layer since, as the registry served nobody else.
    const [pooled = ""] = await list(join(store, "blobs/sha256"));
    await Deno.writeTextFile(partial(pooled), "half");
    // It was put there just now.
    const recent = await collect(config, { store, olderThan: 60_000 });
    assertEquals(recent.went, [`partial ${old}`, `workspace ${dead}`]);
    assertEquals((await collect(config, { store })).went.toSorted(), [
      `partial ${pooled}`,
      "quarantine broken",
    ]);
    assertEquals(await list(join(store, "blobs/partial")), [fresh, taken, "mine"]);
    for (const path of foreign) assert(await exists(join(store, path)), path);
  });

  it("needs no room on a disk that has none", async () => {
    const [zero, one] = await fill(2);
    await using disk = await smallFs("32m");
    await run("cp", ["-a", store, disk.path]);
    await disk.remount("nr_inodes=400");
    const fillDisk = async () => {
      for (let count = 0;; count++) await Deno.mkdir(join(disk.path, `${count}`));
    };
    await assertRejects(fillDisk, Error, "No space left");
    const full = join(disk.path, "store");
    const { went } = await collect(of({ app: bench.app("app-1:1") }), { store: full });
    assertEquals(went, [`image ${zero?.id}`]);
    assertEquals([await entriesIn(full), await list(join(full, "tmp"))], [[one?.id], []]);
  });

  it("refuses to empty a store, unless it is told to", async () => {
    const [zero] = await fill(1);
    const error = await assertRejects(() => stowage({}, { store }).gc(), UsageError);
    assert(error.hint?.includes("--all"));
    const empty = { schema: 1, sources: {} } as const;
    await assertRejects(() => stowage({}, { store }).gc({ keepLocks: [empty] }), UsageError);
    assertEquals((await collect({}, { store, all: true })).went, [`image ${zero?.id}`]);
    const none = await stowage({}, { store: bench.dir.join("none") }).gc({ all: true });
    assertEquals([none.garbage, none.size], [[], 0]);
  });

  it("may be interrupted; what is left is whole", async () => {
    await fill(3);
    const config = of({ app: bench.app("none:1") });
    const controller = new AbortController();
    const { signal } = controller;
    const options = {
      signal,
      onEvent: ({ type }: { type: string }) => type === "removed" && controller.abort("enough"),
    };
    const ready = stowage(config, { store });
    await assertRejects(
      () => ready.gc({ ...options, signal: AbortSignal.abort() }),
      InterruptedError,
    );
    assertEquals((await entriesIn(store)).length, 3);
    await assertRejects(() => ready.gc({ ...options, onEvent: options.onEvent }), InterruptedError);
    assertEquals([await entriesIn(store), await list(join(store, "tmp"))], [[], []]);
  });
});
