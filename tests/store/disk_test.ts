import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { docker, fromOciArchive, StoreError, stowage } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  copyTo,
  fileLayer,
  nginxLikeLayer,
  pushImage,
  randomLayer,
  smallFs,
  tempDir,
} from "../support/mod.ts";
import {
  assertNothingLeft,
  assertStored,
  eventsOf,
  fetchAll,
  list,
  mustFail,
  mustFetch,
} from "../sources/fixture.ts";

const http = { tlsVerify: false };

const { registry } = await fixture({ registry: true });
const app = await pushImage(registry, "app:1", { layers: [await nginxLikeLayer()] });
const other = await pushImage(registry, "other:1", { layers: [await fileLayer({ a: "b" })] });
const large = await pushImage(registry, "large:1", {
  layers: [await randomLayer({ size: 3_000_000 })],
});

describe("a store that cannot be written", () => {
  it("serves what it has, and says why it cannot fetch the rest", async () => {
    await using disk = await smallFs("16m");
    const store = `${disk.path}/store`;
    await mustFetch(docker(app.reference, http), { store });
    const before = await list(`${store}/sources/org.osbuild.containers/${app.id}`);
    await disk.remount("ro");
    const sources = {
      byTag: docker(app.reference, http),
      byId: docker(app.reference, { ...http, id: app.id }),
      byDigest: docker(`127.0.0.1:1/app@${app.digest}`, http),
      other: docker(other.reference, http),
    };
    const { images, failures } = await fetchAll(sources, { store });
    assertEquals(images.map(({ name, status }) => [name, status]), [
      ["byTag", "cached"],
      ["byId", "cached"],
      ["byDigest", "cached"],
    ]);
    for (const image of images) await assertStored(store, image, app);
    const { "source/other": error, ...rest } = failures;
    assertEquals(rest, {});
    assert(error instanceof StoreError);
    assertEquals(error.code, "STORE_READ_ONLY");
    assertStringIncludes(error.message, store);
    assertStringIncludes(error.hint ?? "", "--store");
    assertEquals(await list(`${store}/sources/org.osbuild.containers/${app.id}`), before);
  });

  it("is no store at all: each item says so", async () => {
    await using disk = await smallFs("1m", { readOnly: true });
    const store = `${disk.path}/store`;
    const { error } = await mustFail(StoreError, docker(app.reference, http), { store });
    assertEquals(error.code, "STORE_READ_ONLY");
    const plan = await stowage({ sources: { app: docker(app.reference, http) } }, { store }).plan();
    assertEquals(plan.sources.map(({ status }) => status), ["fetch"]);
  });

  it("is a file", async () => {
    await using dir = await tempDir();
    await Deno.writeTextFile(dir.join("store"), "");
    const run = stowage({ sources: { app: docker(app.reference, http) } }, {
      store: dir.join("store"),
    }).fetch();
    const error = await assertRejects(() => run, StoreError);
    assertEquals(error.code, "STORE_FAILED");
    assertStringIncludes(error.message, dir.join("store"));
  });
});

describe("a store that is full", () => {
  it("says so, keeps nothing of the image, and goes on with the others", async () => {
    await using disk = await smallFs("2m");
    const store = `${disk.path}/store`;
    const sources = { large: docker(large.reference, http), app: docker(app.reference, http) };
    const { images, failures, events } = await fetchAll(sources, { store, jobs: 1 });
    assertEquals(images.map(({ name }) => name), ["app"]);
    const { "source/large": error } = failures;
    assert(error instanceof StoreError);
    assertEquals(error.code, "STORE_FULL");
    assertMatch(error.message, /no space left on device/i);
    assertStringIncludes(error.hint ?? "", "free some room");
    assertEquals(eventsOf(events, "retry"), []);
    await assertNothingLeft(store, 1);
  });

  it("says so when an archive cannot be unpacked", async () => {
    await using dir = await tempDir();
    await using disk = await smallFs("1m");
    await copyTo(registry, large, `oci-archive:${dir.join("large.tar")}`);
    const store = `${disk.path}/store`;
    const source = fromOciArchive(dir.join("large.tar"));
    const { error } = await mustFail(StoreError, source, { store });
    assertEquals(error.code, "STORE_FULL");
    await assertNothingLeft(store, 0);
  });

  it("says so where not even a folder can be made", async () => {
    await using disk = await smallFs("64k");
    const store = `${disk.path}/store`;
    await Deno.mkdir(`${store}/sources/org.osbuild.containers`, { recursive: true });
    await assertRejects(
      () => Deno.writeFile(`${disk.path}/filler`, new Uint8Array(200_000)),
      Error,
      "No space left",
    );
    const { error } = await mustFail(StoreError, docker(app.reference, http), { store });
    assertEquals(error.code, "STORE_FULL");
    await assertNothingLeft(store, 0);
  });
});
