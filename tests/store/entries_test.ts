import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { docker, fromDir, stowage } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  copyTo,
  makeOsbuildEntry,
  nginxLikeLayer,
  osbuildExists,
  pushImage,
  pushIndex,
  startFaultProxy,
} from "../support/mod.ts";
import { assertNothingLeft, assertStored, eventsOf, list, mustFetch } from "../sources/fixture.ts";

const http = { tlsVerify: false };

const { dir, store, registry } = await fixture({ registry: true });
const layers = [await busyboxLayer(), await nginxLikeLayer()];
const app = await pushImage(registry, "app", { layers });
const arm = await pushImage(registry, "app", { layers, platform: "linux/arm64" });
const index = await pushIndex(registry, "app:1", [app, arm]);

const entryOf = (id: string) => join(store, "sources/org.osbuild.containers", id);

async function originsOf(id: string): Promise<Record<string, unknown>[]> {
  const file = JSON.parse(await Deno.readTextFile(join(entryOf(id), "origin.json")));
  assertEquals(file.schema, 2);
  return file.origins;
}

describe("an entry", () => {
  it("is where osbuild looks for it, readable for everybody", async () => {
    const { image } = await mustFetch(docker(index.reference, http), { store });
    assert(await osbuildExists(store, app.id));
    assertEquals(await list(store), ["blobs", "last-run.json", "sources", "tmp"]);
    assertEquals(await list(join(store, "sources")), ["org.osbuild.containers"]);
    assertEquals(await list(entryOf(app.id)), ["image", "origin.json"]);
    const blobs = [app.id, ...app.layers.map(({ digest }) => digest)].map((each) => each.slice(7));
    assertEquals(await list(image.path), [...blobs, "manifest.json", "version"].sort());
    for (const name of ["", "image", "origin.json", ...blobs.map((blob) => `image/${blob}`)]) {
      const { mode, isDirectory } = await Deno.stat(join(entryOf(app.id), name));
      assertEquals((mode ?? 0) & 0o777, isDirectory ? 0o755 : 0o644, name);
    }
  });

  it("tells where the image came from", async () => {
    const begin = new Date();
    await mustFetch(docker(index.reference, { ...http, platform: "arm64" }), { store });
    const [origin, ...others] = await originsOf(arm.id);
    assertEquals(others, []);
    const { fetched: date, ...rest } = origin ?? {};
    const fetched = String(date);
    assertEquals(rest, {
      ...{ reference: `docker://${index.reference}`, transport: "docker" },
      from: `docker://${index.reference}`,
      place: {
        transport: "docker",
        reference: { domain: registry.host, path: "app", tag: "1" },
      },
      access: { tlsVerify: false },
      ...{ digest: arm.digest, index: index.digest, platform: "linux/arm64" },
      chosenFor: "linux/arm64",
    });
    assertMatch(fetched, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert(new Date(fetched) >= begin && new Date(fetched) <= new Date());
  });

  it("tells every reference that the image was fetched by, once, the last one last", async () => {
    const byDigest = docker(`${app.name}@${app.digest}`, http);
    await mustFetch(docker(index.reference, http), { store });
    await mustFetch(byDigest, { store });
    await copyTo(registry, app, `dir:${dir.join("app")}`);
    await mustFetch(fromDir(dir.join("app")), { store });
    await mustFetch(docker(index.reference, http), { store });
    const references = (await originsOf(app.id)).map(({ reference }) => reference);
    assertEquals(references, [
      `dir:${dir.join("app")}`,
      `docker://${index.reference}`,
    ]);
    await assertNothingLeft(store, 1);
  });

  it("carries over what the first version has written of its origins", async () => {
    await mustFetch(docker(index.reference, http), { store });
    const path = join(entryOf(app.id), "origin.json");
    const [{ place, ...first } = {}] = await originsOf(app.id);
    const old = {
      reference: `docker://${index.reference}`,
      ...{ digest: app.digest, index: index.digest, transport: "docker" },
      ...{ platform: "linux/amd64", fetched: "2025-01-01T00:00:00.000Z" },
    };
    const other = { ...old, reference: "oci:layout:app" };
    await Deno.writeTextFile(path, JSON.stringify({ schema: 1, origins: [old, other] }));
    const pinned = docker(index.reference, { ...http, id: app.id });
    assertEquals((await mustFetch(pinned, { store })).image.status, "cached");
    assertEquals(JSON.parse(await Deno.readTextFile(path)).schema, 1); // nothing was to record
    await mustFetch(docker(index.reference, http), { store });
    const { platform, ...rest } = other;
    const [kept, ...now] = await originsOf(app.id);
    assertEquals<unknown>(kept, { ...rest, chosenFor: platform });
    assertEquals<unknown>(now.map((origin) => ({ ...origin, fetched: "" })), [
      { place, ...first, fetched: "" },
    ]);
  });

  it("does not grow with each folder that a config is run in", async () => {
    const folders = Array.from({ length: 25 }, (_, at) => dir.join(`run-${at}`));
    await Deno.mkdir(dir.join("site"));
    await copyTo(registry, app, `dir:${dir.join("site/image")}`);
    for (const root of folders) {
      await Deno.symlink("site", root);
      const config = { digests: "ignore", sources: { app: fromDir("image") } } as const;
      await stowage(config, { store, root }).fetch();
    }
    const places = (await originsOf(app.id)).map(({ place }) => place);
    assertEquals<unknown>(
      places,
      folders.slice(-20).map((root) => ({
        ...{ transport: "dir", path: join(root, "image") },
      })),
    );
  });

  it("keeps what a later version has written of its origins", async () => {
    const { image } = await mustFetch(docker(index.reference, http), { store });
    const path = join(entryOf(app.id), "origin.json");
    const text = '{"schema":3,"from":[]}';
    await Deno.writeTextFile(path, text);
    const again = await mustFetch(docker(index.reference, http), { store });
    assertEquals([again.image.status, again.image.id], ["cached", image.id]);
    assertEquals(await Deno.readTextFile(path), text);
  });

  it("puts aside what says nothing of its origins, and records them again", async () => {
    const { image } = await mustFetch(docker(index.reference, http), { store });
    const path = join(entryOf(app.id), "origin.json");
    const before = await originsOf(app.id);
    for (const text of ["", "junk", "{}", '{"schema":2,"origins":[{}]}', "\0".repeat(500)]) {
      await Deno.writeTextFile(path, text);
      const { image: again, events } = await mustFetch(docker(index.reference, http), { store });
      assertEquals([again.status, again.id], ["cached", image.id]);
      const [damaged] = eventsOf(events, "damaged");
      assertEquals([damaged?.kind, damaged?.path], ["origin", path]);
      assertEquals(await Deno.readTextFile(join(damaged?.quarantine ?? "", "origin.json")), text);
      const after = await originsOf(app.id);
      assertEquals(after, [{ ...before[0], fetched: after[0]?.fetched ?? "" }]);
    }
  });
});

describe("a store that osbuild has made", () => {
  beforeEach(async () => {
    await makeOsbuildEntry(store, registry, app);
  });

  it("is used as it is, without any network", async () => {
    await using proxy = await startFaultProxy(registry);
    const pins = [{ id: app.id }, { digest: app.digest }, { id: app.id, digest: index.digest }];
    for (const pin of pins) {
      const source = docker(`${proxy.host}/app:1`, { ...pin, ...http });
      const { image } = await mustFetch(source, { store });
      assertEquals([image.status, image.id, image.digest], ["cached", app.id, app.digest]);
      await assertStored(store, image, app);
    }
    assertEquals(proxy.requests.length, 0);
    assertEquals(await list(entryOf(app.id)), ["image"]);
  });

  it("has what a tag stands for, and no layer is fetched", async () => {
    await using proxy = await startFaultProxy(registry);
    const { image } = await mustFetch(docker(`${proxy.host}/app:1`, http), { store });
    assertEquals([image.status, image.id], ["cached", app.id]);
    assertEquals(proxy.requests.filter(({ path }) => path.includes("/blobs/")), []);
    assertEquals((await originsOf(app.id)).map(({ transport }) => transport), ["docker"]);
  });

  it("gets entries that osbuild finds", async () => {
    const source = docker(index.reference, { ...http, platform: "arm64" });
    await mustFetch(source, { store });
    assert(await osbuildExists(store, arm.id));
    await assertNothingLeft(store, 2);
  });
});

describe("an entry that is not whole", () => {
  const layer = (path: string) => join(path, app.layers[0]!.digest.slice(7));
  const damage: Record<string, (path: string) => Promise<void>> = {
    "a layer is cut": (path) => Deno.truncate(layer(path), 100),
    "a layer has grown": (path) => Deno.writeFile(layer(path), new Uint8Array(9), { append: true }),
    "a layer is missing": (path) => Deno.remove(layer(path)),
    "a layer is a folder": async (path) => {
      await Deno.remove(layer(path));
      await Deno.mkdir(layer(path));
    },
    "the config is missing": (path) => Deno.remove(join(path, app.id.slice(7))),
    "the manifest is missing": (path) => Deno.remove(join(path, "manifest.json")),
    "the manifest is cut": (path) => Deno.truncate(join(path, "manifest.json"), 30),
    "the manifest is a folder": async (path) => {
      await Deno.remove(join(path, "manifest.json"));
      await Deno.mkdir(join(path, "manifest.json"));
    },
    "the manifest is an index": (path) =>
      Deno.writeTextFile(join(path, "manifest.json"), index.manifest),
    "the manifest is of another image": (path) =>
      Deno.writeTextFile(join(path, "manifest.json"), arm.manifest),
    "it is a file": async (path) => {
      await Deno.remove(path, { recursive: true });
      await Deno.writeTextFile(path, "junk");
    },
    "it is a link to nowhere": async (path) => {
      await Deno.remove(path, { recursive: true });
      await Deno.symlink("nowhere", path);
    },
  };
  for (const [what, spoil] of Object.entries(damage)) {
    it(`is not believed, put aside, and made whole again: ${what}`, async () => {
      const source = docker(index.reference, { ...http, digest: index.digest, id: app.id });
      const first = await mustFetch(source, { store });
      await spoil(first.image.path);
      const again = await mustFetch(source, { store });
      assertEquals(again.image.status, "fetched");
      await assertStored(store, again.image, app);
      const aside = await list(join(store, "quarantine"));
      // The pool has the same file of a layer, which it is told by its digest.
      const isShared = ["a layer is cut", "a layer has grown"].includes(what);
      const kinds = aside.map((name) => name.replace(/-[0-9a-f]{8}-[-0-9a-f]+$/, ""));
      const blob = `${app.layers[0]?.digest}-blob`;
      // What only lacks something keeps all else.
      const isFilledIn = what.endsWith("is missing");
      const image = isFilledIn ? [] : [`${app.id}-image`];
      assertEquals(kinds, [...(isShared ? [blob] : []), ...image].sort());
      assertEquals(
        eventsOf(again.events, "damaged").map(({ kind, entries }) => [kind, ...entries]),
        [...(isShared ? [["blob"]] : []), ...(isFilledIn ? [] : [["image", app.id]])],
      );
      assertEquals((await mustFetch(source, { store })).image.status, "cached");
      assertEquals((await list(join(store, "quarantine"))).length, aside.length);
      await assertNothingLeft(store, 1);
    });
  }

  it("is replaced where it is an empty folder", async () => {
    await Deno.mkdir(join(entryOf(app.id), "image"), { recursive: true });
    const { image } = await mustFetch(docker(index.reference, http), { store });
    await assertStored(store, image, app);
    assertEquals(await list(join(store, "quarantine")), []);
  });

  it("is not found by a digest or a reference either", async () => {
    const source = docker(index.reference, http);
    const { image } = await mustFetch(source, { store });
    await Deno.truncate(layer(image.path), 1);
    const { digest } = index;
    const pinned = docker(index.reference, { ...http, digest });
    assertEquals((await mustFetch(pinned, { store })).image.status, "fetched");
  });

  it("does not keep others from being found", async () => {
    await Deno.mkdir(join(store, "sources/org.osbuild.containers/tmp-download-x"), {
      recursive: true,
    });
    await Deno.mkdir(entryOf(`sha256:${"0".repeat(64)}`));
    const pinned = docker(index.reference, { ...http, digest: index.digest });
    await mustFetch(pinned, { store });
    assertEquals((await mustFetch(pinned, { store })).image.status, "cached");
  });
});
