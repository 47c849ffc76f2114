import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import {
  copyTree,
  docker,
  fromDir,
  fromOci,
  InterruptedError,
  reject,
  stowage,
  tree,
} from "@stowage/stowage";
import { assertNothingLeft, eventsOf, list } from "../sources/fixture.ts";
import { copyTo, makeLegacyEntry, run, smallFs } from "../support/mod.ts";
import { blobsSent, configOf, depotFixture, entryOf, inodeOf, repair } from "./repair_fixture.ts";
import { blobOf, flip, folderOf, poolPath, verify } from "./verify_fixture.ts";

const depot = await depotFixture();
const { dir, proxy, store } = depot;
/** How many requests had come when the store was full. */
let before: number;

beforeEach(() => void (before = proxy.requests.length));

const originOf = async (at: number) =>
  JSON.parse(await Deno.readTextFile(join(entryOf(store, depot.images[at]!), "origin.json")));
const quarantined = () => list(join(store, "quarantine"));

/** All is sound, and whole. */
async function assertSound() {
  assertEquals((await verify(store)).findings, []);
  const { images } = await stowage(configOf(proxy), { store, offline: true }).fetch();
  assertEquals(images.map(({ status }) => status), ["cached", "cached", "cached"]);
  await assertNothingLeft(store, 3);
  assertEquals(await list(join(store, "blobs/partial")), []);
}

describe("verify with repair", () => {
  it("does nothing where nothing is wrong", async () => {
    const { repaired, left } = await repair(configOf(proxy), { store });
    assertEquals([repaired, left, proxy.requests.length], [[], [], before]);
  });

  it("fetches a layer of three images once, and nothing else that is large", async () => {
    const { base, images } = depot;
    await Deno.writeTextFile(join(folderOf(store, images[0]), "signature-1"), "kept");
    await flip(poolPath(store, base.digest), 500);
    const { repaired, left } = await repair(configOf(proxy), { store });
    assertEquals(left, []);
    assertEquals(repaired.map(({ kind, digest, entries }) => [kind, digest, entries.length]), [
      ["layer", base.digest, 3],
    ]);
    assertStringIncludes(repaired[0]?.from ?? "", `docker://${proxy.host}/`);
    const { [base.digest]: layer, ...others } = blobsSent(proxy, before);
    assertEquals(layer, base.size);
    const configs = images.map(({ id, layers, size }) =>
      [id, size - layers.reduce((sum, { size }) => sum + size, 0)] as const
    );
    assertEquals(others, Object.fromEntries(configs));
    const places = images.map((image) => blobOf(store, image, base.digest));
    const inodes = await Promise.all([poolPath(store, base.digest), ...places].map(inodeOf));
    assertEquals(new Set(inodes).size, 1);
    assertEquals((await quarantined()).length, 1);
    assertEquals((await list(folderOf(store, images[0]))).includes("signature-1"), true);
    await assertSound();
  });

  it("leaves what a disk fails to give until it is to be repaired, and fails again", async () => {
    const { id } = depot.images[1];
    const config = blobOf(store, depot.images[1], id);
    const lost = await inodeOf(config);
    const open = Deno.open;
    let fails = 2;
    using _disk = { [Symbol.dispose]: () => void (Deno.open = open) };
    Deno.open = async (path, options) => {
      const file = await open(path, options);
      if ((await file.stat()).ino !== lost || fails-- <= 0) return file;
      file.close();
      throw Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" });
    };
    const { only } = await verify(store);
    assertEquals([only.kind, only.problem, only.quarantine], ["config", "unreadable", undefined]);
    const once = await repair(configOf(proxy), { store }); // it fails when it is looked at only
    assertEquals([once.repaired.length, once.left.length], [0, 1]);
    assertStringIncludes(once.left[0]?.reason ?? "", "run `stowage verify` again");
    assertEquals([await inodeOf(config), proxy.requests.length], [lost, before]);
    fails = Infinity;
    const { repaired, left } = await repair(configOf(proxy), { store });
    assertEquals([repaired.map(({ kind }) => kind), left], [["config"], []]);
    assertEquals((await quarantined()).length, 1);
    await assertSound();
  });

  const spoils: Record<string, () => Promise<unknown>> = {
    "a bit of a config": () => flip(blobOf(store, depot.images[1], depot.images[1].id)),
    "a bit of a manifest": () => flip(join(folderOf(store, depot.images[1]), "manifest.json"), -40),
    "no manifest": () => Deno.remove(join(folderOf(store, depot.images[1]), "manifest.json")),
    "no config": () => Deno.remove(blobOf(store, depot.images[1], depot.images[1].id)),
    "no layer": () => Deno.remove(blobOf(store, depot.images[1], depot.base.digest)),
    "no image": () => Deno.remove(folderOf(store, depot.images[1]), { recursive: true }),
    "an image that is a link": async () => {
      await Deno.rename(folderOf(store, depot.images[1]), dir.join("b"));
      await Deno.symlink(dir.join("b"), folderOf(store, depot.images[1]));
    },
    "a bit of an index": () =>
      flip(join(store, "sources/org.osbuild.files", depot.index.digest), 50),
    "a bit of what a layer unpacks to": () =>
      flip(join(store, "blobs/diff-ids", depot.base.digest.slice(7))),
    "a layer that has grown": async () => {
      using file = await Deno.open(poolPath(store, depot.base.digest), { append: true });
      await file.write(new Uint8Array(9));
    },
    "a bit of a blob that only the pool has": async () => {
      const [image] = depot.images;
      for (const place of [image, depot.images[1], depot.images[2]]) {
        await run("sed", ["-i", "", blobOf(store, place, depot.base.digest)]);
      }
      await flip(poolPath(store, depot.base.digest), 70);
    },
  };
  for (const [what, spoil] of Object.entries(spoils)) {
    it(`repairs ${what}`, async () => {
      const origins = await Promise.all([0, 1, 2].map(originOf));
      await spoil();
      const { repaired, left, findings } = await repair(configOf(proxy), { store });
      assertEquals([repaired.length, left], [1, []]);
      const layers = depot.images.flatMap(({ layers }) => layers.map(({ digest }) => digest));
      const sent = Object.keys(blobsSent(proxy, before));
      const isLayer = what === "a layer that has grown";
      assertEquals(sent.filter((digest) => layers.includes(digest)).length, isLayer ? 1 : 0);
      // Nothing is put aside but what was found.
      const aside = findings.filter(({ quarantine }) => quarantine !== undefined);
      assertEquals((await quarantined()).length, aside.length);
      await assertSound();
      for (const at of [0, 1, 2]) {
        const [{ origins: [then] }, { origins: [now], manifest }] = [
          origins[at],
          await originOf(at),
        ];
        // It was asked for by its digest.
        const served = { fetched: "", from: "" };
        assertEquals({ ...now, ...served }, { ...then, ...served });
        assertEquals(manifest, depot.images[at]?.digest);
      }
      assertEquals(
        await list(join(store, "sources/org.osbuild.files")),
        [depot.index.digest],
      );
    });
  }

  it("takes layers that the store has elsewhere without asking anybody", async () => {
    const [image] = depot.images;
    const place = blobOf(store, image, depot.base.digest);
    await run("sed", ["-i", "", place]); // a file of its own
    await flip(place, 90);
    const { repaired, left } = await repair({}, { store, offline: true });
    assertEquals([repaired.length, repaired[0]?.from, left], [1, undefined, []]);
    assertEquals(proxy.requests.length, before);
    assertEquals(await inodeOf(place), await inodeOf(poolPath(store, depot.base.digest)));
    await assertSound();
  });

  it("repairs what an earlier verification has put aside", async () => {
    await flip(poolPath(store, depot.base.digest), 500);
    await flip(join(store, "sources/org.osbuild.files", depot.index.digest), 50);
    assertEquals((await verify(store)).findings.length, 2);
    const { repaired, left } = await repair(configOf(proxy), { store });
    assertEquals(repaired.map(({ kind, problem }) => `${problem} ${kind}`).sort(), [
      ...["missing index", "missing layer", "missing layer", "missing layer"],
    ]);
    assertEquals(left, []);
    assertEquals(blobsSent(proxy, before)[depot.base.digest], depot.base.size);
    await assertSound();
  });

  it("repairs those that are named, with all that share what was wrong", async () => {
    await flip(poolPath(store, depot.base.digest), 500);
    await flip(blobOf(store, depot.images[2], depot.images[2].id));
    const { repaired, left } = await repair(configOf(proxy), { store }, ["a"]);
    // The config of "c" was not hashed, and is right again, as "c" was fetched for the layer.
    assertEquals(repaired.map(({ kind, entries }) => [kind, entries.length]), [["layer", 3]]);
    assertEquals(left, []);
    await assertSound();
  });

  it("needs no config, for a registry without TLS either", async () => {
    await flip(poolPath(store, depot.base.digest), 500);
    const { repaired, left } = await repair({}, { store });
    assertEquals([repaired.map(({ kind }) => kind), left], [["layer"], []]);
    await assertSound();
  });

  it("reaches what the first version has recorded as the config does", async () => {
    const path = join(entryOf(store, depot.images[1]), "origin.json");
    const { origins: [{ place, access, platform, ...first }] } = await originOf(1);
    const origins = [{ ...first, platform }];
    await Deno.writeTextFile(path, JSON.stringify({ schema: 1, origins }));
    await flip(blobOf(store, depot.images[1], depot.images[1].id));
    const { left } = await repair({}, { store });
    assertStringIncludes(left[0]?.reason ?? "", `Cannot fetch "docker://${proxy.host}/b:1"`);
    // Another tag of the repository.
    const moved = docker(`${proxy.host}/b:2`, { tlsVerify: false });
    const { repaired } = await repair({ sources: { moved } }, { store });
    assertEquals(repaired.map(({ problem }) => problem), ["missing"]);
    const { schema, origins: [now] } = await originOf(1);
    assertEquals([schema, now.place, now.access], [2, place, access]);
    await assertSound();
  });

  it("asks the fallbacks of the config, and folders that it came from", async () => {
    await copyTo(depot.registry, depot.images[2], `oci:${dir.join("layout")}:c:1`);
    const [layer] = depot.images[2].layers.slice(1);
    proxy.rules.push({ match: /./, fault: "refuse" });
    const config = configOf(proxy);
    const fallback = [fromOci(dir.join("layout"), { image: "c:1" })];
    const sources = { c: { ...config.sources.c, fallback } };
    await flip(poolPath(store, layer!.digest));
    const { repaired, left } = await repair({ ...config, sources }, { store });
    assertEquals([repaired[0]?.from, left], [`oci:${dir.join("layout")}:c:1`, []]);
    await assertSound();

    const other = dir.join("other");
    const app = { app: fromOci(dir.join("layout"), { image: "c:1" }) };
    await stowage({ digests: "ignore", sources: app }, { store: other }).fetch();
    await flip(poolPath(other, layer!.digest));
    const again = await repair({}, { store: other });
    assertEquals([again.repaired.length, again.left], [1, []]);
    assertEquals((await verify(other)).findings, []);
  });

  it("tells each image that cannot be had, and why, and repairs the others", async () => {
    proxy.rules.push({ match: /\/b\//, fault: { status: 404 } });
    for (const image of depot.images.slice(1)) await flip(blobOf(store, image, image.id));
    const { repaired, left } = await repair(configOf(proxy), { store });
    assertEquals(repaired.map(({ entries }) => entries), [[depot.images[2].id]]);
    assertEquals(left.map(({ entries }) => entries), [[depot.images[1].id]]);
    assertStringIncludes(left[0]?.reason ?? "", 'Cannot fetch "b": no place served it');
    const offline = await repair(configOf(proxy), { store, offline: true });
    assertStringIncludes(offline.left[0]?.reason ?? "", "it was not asked");
    await Deno.remove(join(entryOf(store, depot.images[1]), "origin.json"));
    const unknown = await repair({}, { store });
    assertStringIncludes(unknown.left[0]?.reason ?? "", "nothing records where it came from");
    proxy.rules.length = 0;
    const pinned = docker(`${proxy.host}/b:1`, { tlsVerify: false, id: depot.images[1].id });
    assertEquals((await repair({ sources: { pinned } }, { store })).left, []);
    await assertSound();
  });

  it("leaves what it cannot make, and says who does", async () => {
    const [image] = depot.images;
    await makeLegacyEntry(store, depot.registry, image);
    await flip(join(entryOf(store, image), "container-image.tar"), 600);
    const inputs = { files: tree("files") };
    const stages = { files: copyTree({ inputs: ["files"] }) };
    await Deno.mkdir(dir.join("files"));
    await Deno.writeTextFile(dir.join("files/motd"), "hello\n");
    await stowage({ inputs, stages }, { store, root: dir.path }).build();
    const [id = ""] = await list(join(store, "trees"));
    await flip(join(store, "trees", id, "tree/motd"), 2);
    const { repaired, left } = await repair(configOf(proxy), { store });
    assertEquals(repaired, []);
    assertEquals(
      new Map(left.map(({ kind, reason }) => [kind, reason.slice(0, 40)])),
      new Map([
        ["docker-archive", "what an old osbuild left is not repaired"],
        ["tree", "the next `stowage build` that needs it m"],
      ]),
    );
    assertEquals(proxy.requests.length, before);
  });

  it("replaces an image that its place has under another manifest, and keeps nothing twice", async () => {
    const [, image] = depot.images;
    const manifest = JSON.parse(image.manifest);
    manifest.annotations = { again: "yes" };
    const body = new TextEncoder().encode(JSON.stringify(manifest));
    const layout = dir.join("dir");
    await copyTo(depot.registry, image, `dir:${layout}`);
    await Deno.writeFile(join(layout, "manifest.json"), body);
    proxy.rules.push({ match: /./, fault: "refuse" });
    await flip(blobOf(store, image, image.id));
    const config = configOf(proxy);
    const sources = { b: { ...config.sources.b, fallback: [fromDir(layout)] } };
    const { left, events } = await repair({ ...config, sources }, { store });
    assertEquals(left, []);
    assertEquals(eventsOf(events, "damaged").map(({ kind }) => kind), ["config", "image"]);
    assertEquals((await list(folderOf(store, image))).length, 5);
    assertEquals((await verify(store)).findings, []);
  });

  it("does not take wrong bytes", async () => {
    const { base } = depot;
    await flip(poolPath(store, base.digest), 500);
    const body = new Uint8Array(base.size);
    proxy.rules.push({ match: new RegExp(base.digest), fault: { status: 200, body } });
    const { repaired, left } = await repair(configOf(proxy), { store });
    assertEquals([repaired, left.length], [[], 1]);
    assertStringIncludes(left[0]?.reason ?? "", `the layer ${base.digest} is sha256:`);
    assertEquals(await list(join(store, "blobs/partial")), []);
    assert(!(await list(join(store, "blobs/sha256"))).includes(base.digest.slice(7)));
  });

  it("asks the policy, as a fetch does", async () => {
    await flip(poolPath(store, depot.images[1].layers[1]!.digest));
    const config = { ...configOf(proxy), policy: { default: reject() } };
    const { left } = await repair(config, { store });
    assertEquals(left.length, 1);
    assertStringIncludes(left[0]?.reason ?? "", "policy");
    assertEquals(blobsSent(proxy, before), {});
    assertEquals((await repair(configOf(proxy), { store })).left, []);
    await assertSound();
  });

  it("only tells of a read-only store", async () => {
    await using fs = await smallFs("32m");
    await run("cp", ["-a", store, fs.path]);
    const copy = join(fs.path, "store");
    await flip(poolPath(copy, depot.base.digest), 100);
    await fs.remount("ro");
    const { repaired, left } = await repair(configOf(proxy), { store: copy });
    assertEquals([repaired, left.length, proxy.requests.length], [[], 1, before]);
    assertStringIncludes(left[0]?.reason ?? "", "Read-only file system");
    await fs.remount("rw");
    assertEquals((await repair(configOf(proxy), { store: copy })).left, []);
  });

  it("goes on after it was interrupted", async () => {
    await flip(poolPath(store, depot.base.digest), 500);
    proxy.rules.push({ match: new RegExp(depot.base.digest), times: 1, fault: { slow: 40_000 } });
    const stop = new AbortController();
    const running = stowage(configOf(proxy), { store }).verify({
      ...{ repair: true, signal: stop.signal },
      onEvent: (event) => {
        if (event.type === "progress" && event.fetched > 0) stop.abort();
      },
    });
    await assertRejects(() => running, InterruptedError);
    proxy.rules.length = 0;
    assertEquals((await repair(configOf(proxy), { store })).left, []);
    await assertSound();
  });
});
