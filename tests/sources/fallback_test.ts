import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs/exists";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { containersStorage, docker, FetchError, type ImageResult } from "@stowage/stowage";
import { join } from "@std/path";
import { fixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  type ContainerStorage,
  containerStorage,
  copyTo,
  digestOf,
  nginxLikeLayer,
  type PushedImage,
  pushImage,
  pushIndex,
  startRegistry,
} from "../support/mod.ts";
import { assertNothingLeft, eventsOf, mustFail, mustFetch, typesOf } from "./fixture.ts";

const http = { tlsVerify: false };
/** A registry that is down. */
const AWAY = "127.0.0.1:1";
const once = { attempts: 1 };

const { dir, store, registry } = await fixture({ registry: true });
const layers = [await busyboxLayer(), await nginxLikeLayer()];
const app = await pushImage(registry, "app", { layers });
const arm = await pushImage(registry, "app", { layers, platform: "linux/arm/v7" });
const index = await pushIndex(registry, "app:1", [app, arm]);

/** A storage gives layers uncompressed: their hashes are those that the config names. */
async function assertPlain(image: ImageResult, pushed: PushedImage) {
  assertEquals(image.id, pushed.id);
  for (const digest of [pushed.id, ...pushed.layers.map(({ diffId }) => diffId)]) {
    const blob = await Deno.readFile(join(image.path, digest.replace("sha256:", "")));
    assertEquals(await digestOf(blob), digest);
  }
  await assertNothingLeft(store, 1);
}

function locationOf({ driver, root, runRoot }: ContainerStorage): string {
  return `[${driver}@${root}+${runRoot}]`;
}

for (const driver of ["overlay", "vfs"] as const) {
  describe(`a storage of ${driver}`, () => {
    let storage: ContainerStorage;

    beforeEach(async () => {
      storage = await containerStorage(driver);
    });

    afterEach(async () => await storage[Symbol.asyncDispose]());

    it("serves a tag while the registry is down", async () => {
      await copyTo(registry, app, storage.reference(`${AWAY}/app:1`));
      const location = locationOf(storage);
      const source = docker(`${AWAY}/app:1`, {
        ...{ ...http, fallback: [containersStorage({ location })] },
      });
      const { image, events } = await mustFetch(source, { store, ...once });
      assertEquals(image.from, `containers-storage:${location}${AWAY}/app:1`);
      assertEquals(typesOf(events), ["start", "absent", "resolved", "image"]);
      assertEquals(eventsOf(events, "absent")[0]?.reason, "unreachable");
      await assertPlain(image, app);
    });

    it("serves another name that the fallback gives", async () => {
      await copyTo(registry, app, storage.reference("localhost/spare/app:2"));
      const fallback = [containersStorage("localhost/spare/app:2", {
        location: locationOf(storage),
      })];
      const source = docker(`${AWAY}/app:1`, { ...http, fallback });
      await assertPlain((await mustFetch(source, { store, ...once })).image, app);
    });

    it("serves a digest, of an image and of an index", async () => {
      const location = locationOf(storage);
      await copyTo(registry, index, storage.reference(`${AWAY}/app:1`));
      for (const digest of [index.digest, app.digest]) {
        const source = docker(`${AWAY}/app:1`, {
          ...{ digest, ...http, fallback: [containersStorage({ location })] },
        });
        const { image } = await mustFetch(source, { store: dir.join(digest), ...once });
        assertEquals([image.status, image.id, image.digest], ["fetched", app.id, app.digest]);
        // What is pinned is found again, though the manifest in the store is the storage's own.
        const again = await mustFetch(source, { store: dir.join(digest), offline: true });
        assertEquals([again.image.status, again.image.digest], ["cached", app.digest]);
      }
    });

    it("serves an id, whatever the image is called there", async () => {
      await copyTo(registry, app, storage.reference("localhost/whatever:7"));
      const source = docker(`${AWAY}/app:1`, {
        ...{ id: app.id, digest: index.digest, ...http },
        fallback: [containersStorage({ location: locationOf(storage) })],
      });
      const { image, events } = await mustFetch(source, { store, ...once });
      const byId = `containers-storage:${locationOf(storage)}@${app.id.replace("sha256:", "")}`;
      assertEquals(image.from, byId);
      assertEquals(eventsOf(events, "absent").map(({ reason }) => reason), [
        "unreachable",
        "unknown",
      ]);
      await assertPlain(image, app);
    });

    it("serves an id that the registry told before it lost a layer", async () => {
      await using away = await startRegistry();
      const { layers } = app;
      const own = await pushImage(away, "app:1", {
        layers: [await busyboxLayer(), await nginxLikeLayer()],
      });
      assertEquals(own.id, app.id);
      await Deno.remove(away.blobPath(layers[0]!.digest));
      await copyTo(registry, app, storage.reference("localhost/whatever:7"));
      const source = docker(own.reference, {
        ...http,
        fallback: [containersStorage({ location: locationOf(storage) })],
      });
      const { image, events } = await mustFetch(source, { store });
      const types = ["start", "resolved", "absent", "absent", "resolved", "image"];
      assertEquals(typesOf(events), types);
      await assertPlain(image, app);
    });

    it("is found by its folder, relative to the root, with and without its driver", async () => {
      await copyTo(registry, app, storage.reference(`${AWAY}/app:1`));
      const location = storage.root.replace(/^.*\//, "");
      for (const options of [{ location }, { location, driver }]) {
        const source = containersStorage(`${AWAY}/app:1`, options);
        const root = join(storage.root, "..");
        const { image } = await mustFetch(source, { store, root, ...once });
        await assertPlain(image, app);
      }
    });

    it("is found in a project whose path skopeo would take apart", async () => {
      const project = dir.join("a:b+c @d [e]");
      await Deno.mkdir(join(project, "storage"), { recursive: true });
      await Deno.symlink(project, dir.join("link"));
      const copy = `containers-storage:[${driver}@${dir.join("link/storage")}+${dir.join("run")}]`;
      await copyTo(registry, app, `${copy}${AWAY}/app:1`);
      for (const location of ["storage", `[${driver}@storage+new/run]`]) {
        const options = { store: dir.join(location), root: project, ...once };
        const { image } = await mustFetch(
          containersStorage(`${AWAY}/app:1`, { location }),
          options,
        );
        const run = location === "storage" ? "" : `+${project}/new/run`;
        const storage = `containers-storage:[${driver}@${project}/storage${run}]`;
        assertEquals([image.id, image.from], [app.id, `${storage}${AWAY}/app:1`]);
        const id = `sha256:${"0".repeat(64)}`;
        const other = containersStorage("localhost/other", { location, id });
        const { error } = await mustFail(FetchError, other, options);
        for (const { reference, message } of error.attempts) {
          assert(reference.startsWith(storage), reference);
          assertEquals(/[0-9a-f]{8}-[0-9a-f]{4}-/.test(message), false, message);
        }
      }
    });

    it("does not serve what it does not have, and says what it was asked for", async () => {
      await copyTo(registry, app, storage.reference(`${AWAY}/app:1`));
      const source = docker(`${AWAY}/app:1`, {
        ...{ id: arm.id, digest: arm.digest, ...http },
        fallback: [containersStorage({ location: locationOf(storage) })],
      });
      const { error } = await mustFail(FetchError, source, { store, ...once });
      const [, byDigest, byId] = error.attempts;
      assertStringIncludes(byDigest?.reference ?? "", `${AWAY}/app@${arm.digest}`);
      assertStringIncludes(byId?.reference ?? "", `@${arm.id.replace("sha256:", "")}`);
      assertEquals([byDigest?.reason, byId?.reason], ["unknown", "unknown"]);
    });
  });
}

describe("a storage", () => {
  it("that is not there is not made", async () => {
    const root = dir.join("none");
    for (const location of [root, `[overlay@${root}+${root}-run]`]) {
      const source = containersStorage("localhost/app:1", { location });
      const { error } = await mustFail(FetchError, source, { store });
      assertEquals(error.attempts.map(({ reason }) => reason), ["unknown"]);
      assertStringIncludes(error.attempts[0]?.reference ?? "", root);
      assertEquals(await exists(root), false);
    }
  });

  it("is a source, offline too", async () => {
    await using storage = await containerStorage();
    await copyTo(registry, app, storage.reference("localhost/app:1"));
    const source = containersStorage("localhost/app:1", { location: locationOf(storage) });
    await assertPlain((await mustFetch(source, { store, offline: true })).image, app);
  });

  it("serves what podman has pulled, for a platform that the index told", async () => {
    await using storage = await containerStorage();
    const pull = ["pull", "--quiet", "--tls-verify=false", "--platform=linux/arm/v7"];
    await storage.podman(...pull, index.reference);
    const source = containersStorage(index.reference, {
      ...{ location: locationOf(storage), platform: "armhf", digest: arm.digest },
    });
    const { image } = await mustFetch(source, { store });
    assertEquals(image.platform, "linux/arm/v7");
    await assertPlain(image, arm);
  });
});

describe("fallbacks", () => {
  it("are tried in order, while the image is absent", async () => {
    await using second = await startRegistry();
    const layers = [await busyboxLayer(), await nginxLikeLayer()];
    const there = await pushImage(second, "mirror/app:1", { layers });
    const fallback = [
      docker(`${registry.host}/app:none`, http),
      docker(there.reference, http),
      docker(index.reference, http),
    ];
    const source = docker(`${AWAY}/app:1`, { ...http, fallback });
    const { image, events } = await mustFetch(source, { store, ...once });
    assertEquals(image.from, `docker://${there.reference}`);
    assertEquals(eventsOf(events, "absent").map(({ from }) => from), [
      `docker://${AWAY}/app:1`,
      `docker://${registry.host}/app:none`,
    ]);
    const origin = JSON.parse(await Deno.readTextFile(join(image.path, "../origin.json")));
    const [{ reference, transport }] = origin.origins;
    assertEquals([reference, transport], [`docker://${AWAY}/app:1`, "docker"]);
  });

  it("are not tried while the first place has the image", async () => {
    const fallback = [docker(`${AWAY}/app:1`, http)];
    const source = docker(index.reference, { ...http, fallback });
    const { events } = await mustFetch(source, { store });
    assertEquals(typesOf(events), ["start", "resolved", "image"]);
    assert(eventsOf(events, "resolved")[0]?.from.includes(registry.host));
  });
});
