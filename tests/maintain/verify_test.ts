import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { type FindingKind, InterruptedError, stowage, UsageError } from "@stowage/stowage";
import { list } from "../sources/fixture.ts";
import { run } from "../support/mod.ts";
import {
  blobOf,
  configOf,
  flip,
  folderOf,
  legacyOf,
  poolPath,
  shopFixture,
  verify,
} from "./verify_fixture.ts";

const shop = await shopFixture();
const { dir, store } = shop;

const quarantined = () => list(join(store, "quarantine"));

/** The only folder in one of the store's. */
async function onlyIn(folder: string): Promise<string> {
  const [name = "", ...others] = await list(join(store, folder));
  assertEquals(others, []);
  return join(store, folder, name);
}

describe("verify", () => {
  it("finds nothing in a sound store, and hashes what is linked once", async () => {
    const result = await verify(store);
    assertEquals(result.findings, []);
    // web has 2 layers and tool 3, of which they share one; guest has 1, old 1 archive; an index.
    assertEquals([result.images, result.files, result.trees], [4, 2 + 3 - 1 + 1 + 1 + 1 + 1, 2]);
    assertEquals(await quarantined(), []);
    const progress = result.events.filter((event) => event.type === "verifying").at(-1);
    assert(progress?.type === "verifying");
    assertEquals([progress.bytes, progress.total], [result.bytes, result.bytes]);
  });

  it("leaves alone what is not its own, and the folders of a download under way", async () => {
    const others = [
      ...["sources/org.osbuild.curl/sha256:00", "sources/org.osbuild.files/md5:00", "README"],
      ...["sources/org.osbuild.containers/tmp-download-x", "blobs/partial/00", "trees/note"],
      ...["archives/.keep", "blobs/sha256/.keep"],
    ];
    for (const path of others) {
      await Deno.mkdir(join(store, path, ".."), { recursive: true });
      await Deno.writeTextFile(join(store, path), "junk");
    }
    await Deno.writeTextFile(join(folderOf(store, shop.web), "NOTES"), "junk");
    await Deno.mkdir(join(store, "sources/org.osbuild.containers", `sha256:${"0".repeat(64)}`));
    assertEquals((await verify(store)).findings, []);
  });

  it("does not say that all is well where there is no store", async () => {
    await assertRejects(() => verify(dir.join("none")), UsageError, "Cannot find a store at");
    assertEquals(await list(dir.join("none")), []);
  });

  const layer = (at: number) => shop.tool.layers[at]!.digest;
  const tool = () => [shop.tool.id];
  /** One bit of each: what it is, where it is told, of which images, and what it is called then. */
  const bits: Record<string, {
    readonly kind: FindingKind;
    readonly path: () => string | Promise<string>;
    readonly at?: number;
    readonly told?: () => string | Promise<string>;
    readonly entries: () => readonly string[];
    readonly name: () => string | RegExp;
  }> = {
    "a manifest": {
      kind: "manifest",
      path: () => join(folderOf(store, shop.tool), "manifest.json"),
      at: -40, // within the digest of its last layer
      entries: tool,
      name: () => shop.tool.digest,
    },
    "a config": {
      kind: "config",
      path: () => blobOf(store, shop.tool, shop.tool.id),
      entries: tool,
      name: () => shop.tool.id,
    },
    "a layer that is not compressed": {
      kind: "layer",
      path: () => blobOf(store, shop.tool, layer(1)),
      entries: tool,
      name: () => layer(1),
    },
    "a layer that zstd has compressed": {
      kind: "layer",
      path: () => blobOf(store, shop.tool, layer(2)),
      entries: tool,
      name: () => layer(2),
    },
    "a layer of osbuild's": {
      kind: "layer",
      path: () => blobOf(store, shop.guest, shop.guest.layers[0]!.digest),
      entries: () => [shop.guest.id],
      name: () => shop.guest.layers[0]!.digest,
    },
    "an index": {
      kind: "index",
      path: () => join(store, "sources/org.osbuild.files", shop.index.digest),
      entries: () => [],
      name: () => shop.index.digest,
    },
    "what an old osbuild left, in its layers": {
      kind: "docker-archive",
      path: () => legacyOf(store, shop.old),
      at: 600,
      entries: () => [shop.old.id],
      name: () => shop.old.id,
    },
    "an archive of a stage": {
      kind: "archive",
      path: async () => {
        const path = join(await onlyIn("archives"), "archive");
        await run("sed", ["-i", "", path]); // the stage's tree has the same file, which stays
        return path;
      },
      told: () => onlyIn("archives"),
      entries: () => [],
      name: () => /^[0-9a-f]{64}-archive-/,
    },
    "a record of what a layer unpacks to": {
      kind: "diff-id",
      path: () => join(store, "blobs/diff-ids", layer(0).slice(7)),
      entries: () => [],
      name: () => layer(0),
    },
  };
  for (const [what, { kind, path, at, told = path, entries, name }] of Object.entries(bits)) {
    it(`finds one bit of ${what}, and puts it aside`, async () => {
      const [spoilt, where] = [await path(), await told()];
      await flip(spoilt, at);
      const { only } = await verify(store);
      assertEquals([only.kind, only.problem, only.path], [kind, "content", where]);
      assertEquals(only.entries, [...entries()]);
      const [aside = "", ...others] = await quarantined();
      assertEquals(others, []);
      assertEquals(only.quarantine, join(store, "quarantine", aside));
      const called = name();
      assert(typeof called === "string" ? aside.startsWith(called) : called.test(aside), aside);
      const record = JSON.parse(
        await Deno.readTextFile(join(store, "quarantine", aside, "quarantine.json")),
      );
      assertEquals([record.path, record.message], [where, only.message]);
      assert(Date.now() - Date.parse(record.quarantined) < 60_000);
      assertEquals((await list(join(store, "quarantine", aside))).length, 2);
      await assertRejects(() => Deno.lstat(where), Deno.errors.NotFound);
      const again = await verify(store);
      assert(again.findings.every(({ problem }) => problem === "missing"));
    });
  }

  it("finds a changed file of a tree, whose size and time are as they were", async () => {
    const trees = (await list(join(store, "trees"))).map((name) => join(store, "trees", name));
    const file = async (tree: string) => await list(join(tree, "tree/etc"));
    const found = await Promise.all(trees.map(async (path) => [path, await file(path)] as const));
    const [path = ""] = found.find(([, files]) => files.includes("motd")) ?? [];
    await flip(join(path, "tree/etc/motd"), 2);
    const { only } = await verify(store);
    assertEquals([only.kind, only.problem, only.path], ["tree", "content", path]);
    assertEquals(await list(join(only.quarantine ?? "", only.id ?? "", "tree/etc")), ["motd"]);
    assertEquals((await list(join(store, "trees"))).length, 1);
  });

  it("takes a layer from all images that have it, and from the pool", async () => {
    const { digest } = shop.web.layers[0]!;
    await flip(poolPath(store, digest), 100);
    const { only } = await verify(store);
    const places = [blobOf(store, shop.web, digest), blobOf(store, shop.tool, digest)];
    assertEquals([only.kind, only.digest], ["layer", digest]);
    assertEquals(
      new Set([only.path, ...only.links]),
      new Set([...places, poolPath(store, digest)]),
    );
    assertEquals(new Set(only.entries), new Set([shop.web.id, shop.tool.id]));
    for (const path of [only.path, ...only.links]) {
      await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
    }
    assert((await list(folderOf(store, shop.web))).includes("manifest.json"));
    const missing = await verify(store);
    assertEquals(missing.findings.map(({ problem, entries }) => [problem, ...entries]).sort(), [
      ...[["missing", shop.tool.id], ["missing", shop.web.id]].sort(),
    ]);
    assertEquals((await quarantined()).length, 1);
    const { images } = await stowage(configOf(shop), { store }).fetch();
    assertEquals(images.map(({ status }) => status), ["fetched", "fetched"]);
    assertEquals((await verify(store)).findings, []);
  });

  it("tells sizes that differ without hashing, in the pool too", async () => {
    const { digest } = shop.web.layers[1]!;
    await Deno.truncate(poolPath(store, digest), 10);
    const { only } = await verify(store);
    assertEquals([only.kind, only.problem], ["layer", "size"]);
    assertEquals([only.path, ...only.links], [
      blobOf(store, shop.web, digest),
      poolPath(store, digest),
    ]);
  });

  it("finds blobs that changed places", async () => {
    const [a, b] = [layer(1), layer(2)].map((digest) => blobOf(store, shop.tool, digest));
    await Deno.rename(a!, dir.join("swap"));
    await Deno.rename(b!, a!);
    await Deno.rename(dir.join("swap"), b!);
    const { findings } = await verify(store);
    assertEquals(findings.map(({ path }) => path).sort(), [a, b].sort());
    // The pool has them in their right places.
    assertEquals(findings.flatMap(({ links }) => links), []);
    assertEquals((await list(join(store, "blobs/sha256"))).length, 4);
  });

  it("finds an image whose manifest has the layers of another, by osbuild's hand too", async () => {
    const path = join(folderOf(store, shop.guest), "manifest.json");
    const manifest = JSON.parse(await Deno.readTextFile(path));
    const [other] = shop.web.layers;
    await Deno.copyFile(
      blobOf(store, shop.web, other!.digest),
      blobOf(store, shop.guest, other!.digest),
    );
    Object.assign(manifest.layers[0], { digest: other!.digest, size: other!.size });
    await Deno.writeTextFile(path, JSON.stringify(manifest));
    const { only } = await verify(store);
    assertEquals([only.kind, only.problem], ["image", "content"]);
    assertEquals([only.path, only.entries], [folderOf(store, shop.guest), [shop.guest.id]]);
  });

  it("finds what an old osbuild left of another image, cut, or no archive at all", async () => {
    const path = legacyOf(store, shop.old);
    const whole = await Deno.readFile(path);
    const spoilt = [whole.slice(0, -2_000), whole.slice(0, 700), new TextEncoder().encode("junk")];
    for (const bytes of spoilt) {
      await Deno.writeFile(path, bytes);
      const { only } = await verify(store);
      assertEquals([only.kind, only.digest], ["docker-archive", shop.old.id]);
    }
    const other = join(store, "sources/org.osbuild.containers", `sha256:${"1".repeat(64)}`);
    await Deno.mkdir(other);
    await Deno.writeFile(join(other, "container-image.tar"), whole);
    assertEquals((await verify(store)).only.kind, "docker-archive");
  });

  const links: Record<string, () => string | Promise<string>> = {
    "a layer": () => blobOf(store, shop.tool, layer(1)),
    "a config": () => blobOf(store, shop.tool, shop.tool.id),
    "a manifest": () => join(folderOf(store, shop.tool), "manifest.json"),
    "the folder of an image": () => folderOf(store, shop.tool),
    "an entry": () => join(folderOf(store, shop.tool), ".."),
    "a signature": () => join(folderOf(store, shop.tool), "signature-1"),
    "an old archive": () => legacyOf(store, shop.old),
    "a blob of the pool": () => poolPath(store, layer(1)),
    "an index": () => join(store, "sources/org.osbuild.files", shop.index.digest),
    "an archive": () => onlyIn("archives"),
  };
  for (const [what, pathOf] of Object.entries(links)) {
    it(`follows no symbolic link in place of ${what}, and leaves what it leads to`, async () => {
      const path = await pathOf();
      const outside = dir.join("outside");
      await Deno.rename(path, outside).catch(() => Deno.writeTextFile(outside, "secret"));
      await Deno.symlink(outside, path);
      const { only } = await verify(store);
      assertEquals([only.problem, only.path], ["link", join(path)]);
      await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
      assert(await Deno.lstat(outside));
    });
  }

  for (const what of ["pipe", "folder"] as const) {
    it(`puts a ${what} aside that keeps an image from being whole`, async () => {
      const path = join(folderOf(store, shop.tool), "signature-1");
      await (what === "pipe" ? run("mkfifo", [path]) : Deno.mkdir(path));
      const { only } = await verify(store);
      assertEquals([only.kind, only.problem, only.path], ["image", "format", path]);
      const images = await stowage(configOf(shop), { store }).list();
      assertEquals(images.find(({ id }) => id === shop.tool.id)?.complete, true);
    });
  }

  it("finds a record of origins that says nothing, and gc removes no image for that", async () => {
    const entry = join(folderOf(store, shop.tool), "..");
    const { gc } = stowage(configOf(shop), { store });
    const { garbage } = await gc({ dryRun: true });
    await Deno.writeTextFile(join(entry, "origin.json"), "\0".repeat(300));
    assertEquals((await gc({ dryRun: true })).garbage.map(({ name }) => name), [
      ...garbage.map(({ name }) => name),
    ]);
    const { only } = await verify(store);
    assertEquals([only.kind, only.problem, only.entries], ["origin", "format", [shop.tool.id]]);
    assert(only.quarantine);
  });

  it("does not follow a link in place of a folder of its own, and leaves it", async () => {
    for (const folder of ["sources", "blobs", "archives", "trees"]) {
      await Deno.rename(join(store, folder), dir.join(folder));
      await Deno.symlink(dir.join(folder), join(store, folder));
    }
    const { findings, files } = await verify(store);
    assertEquals(findings.map(({ kind, problem }) => `${kind} ${problem}`), [
      ...Array(4).fill("folder link"),
    ]);
    assertEquals([files, await quarantined()], [0, []]);
  });

  it("takes names of sources and beginnings of ids, and what these images share", async () => {
    const { digest } = shop.web.layers[0]!;
    await flip(blobOf(store, shop.web, digest), 100);
    await flip(blobOf(store, shop.guest, shop.guest.layers[0]!.digest));
    const { only, images } = await verify(store, [shop.tool.id.slice(7, 17)]);
    assertEquals([only.digest, images], [digest, 1]);
    assertEquals(new Set(only.entries), new Set([shop.tool.id, shop.web.id]));
    const keeper = stowage(configOf(shop), { store });
    assertEquals((await keeper.verify({ names: ["web"] })).findings[0]?.problem, "missing");
    assertEquals((await keeper.verify({ names: [shop.old.id] })).findings, []);
    for (const name of ["wbe", "0g", "sha256:"]) {
      await assertRejects(() => keeper.verify({ names: [name] }), UsageError, "Cannot find");
    }
  });

  it("stops at the signal, and moves nothing", async () => {
    await flip(poolPath(store, layer(1)), 100);
    const signal = AbortSignal.abort();
    await assertRejects(() => stowage({}, { store }).verify({ signal }), InterruptedError);
    assertEquals(await quarantined(), []);
  });
});
