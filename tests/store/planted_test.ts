import { assert, assertEquals, assertRejects } from "@std/assert";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { deadline } from "@std/async/deadline";
import { dirname, join } from "@std/path";
import { docker, StoreError, stowage } from "@stowage/stowage";
import { readDirImage } from "../../src/store/image.ts";
import { Store } from "../../src/store/store.ts";
import { workspaceName } from "../../src/store/workspace.ts";
import { fixture } from "../support/fixture.ts";
import { copyTo, digestOf, fileLayer, pushImage, run } from "../support/mod.ts";
import { assertStored, eventsOf, mustFail, mustFetch } from "../sources/fixture.ts";

const { dir, store: path, registry } = await fixture({
  files: { outside: "outside" },
  registry: true,
});
const app = await pushImage(registry, "app:1", { layers: [await fileLayer({ a: "b" })] });
const image = join(path, "sources/org.osbuild.containers", app.id, "image");

/** Longer than anything takes here; what waits at a pipe waits for ever. */
const LONG = 20_000;

beforeEach(async () => {
  await Deno.mkdir(dirname(image), { recursive: true });
  await copyTo(registry, app, `dir:${image}`);
});

/** What somebody puts in the place of a file. */
const PLANTS: Record<string, (path: string) => Promise<unknown>> = {
  "a pipe": (path) => run("mkfifo", [path]),
  "a link": (path) => Deno.symlink(dir.join("outside"), path),
  "a link to nothing": (path) => Deno.symlink(dir.join("nothing"), path),
  "a link to a device": (path) => Deno.symlink("/dev/zero", path),
  "a folder": (path) => Deno.mkdir(path),
  "a device": (path) => run("mknod", [path, "c", "1", "5"]),
};

function placesOf(): Record<string, string> {
  const layer = app.layers[0]?.digest ?? "";
  return {
    "the manifest": join(image, "manifest.json"),
    "the config": join(image, app.id.slice(7)),
    "a signature": join(image, "signature-1"),
    "the image": image,
    "the origins": join(dirname(image), "origin.json"),
    "a workspace": join(path, "tmp", workspaceName()),
    "a layer": join(path, "blobs/sha256", layer.slice(7)),
    "a layer that is fetched": join(path, "blobs/partial", layer.slice(7)),
    "a layer's other digest": join(path, "blobs/diff-ids", layer.slice(7)),
  };
}

for (const [what, plant] of Object.entries(PLANTS)) {
  describe(`${what} that somebody has put into the store`, () => {
    const names = [
      ...["the manifest", "the config", "a signature", "the image", "the origins", "a workspace"],
      ...["a layer", "a layer that is fetched", "a layer's other digest"],
    ];
    for (const name of names) {
      it(`in the place of ${name} is neither read nor followed`, async () => {
        const place = placesOf()[name];
        assert(place !== undefined);
        if (name.startsWith("a layer")) await Deno.remove(image, { recursive: true });
        await Deno.mkdir(dirname(place), { recursive: true });
        await Deno.remove(place, { recursive: true }).catch(() => {});
        await plant(place);
        const source = docker(app.reference, { tlsVerify: false, id: app.id });
        if (what === "a folder" && /^a layer(?:'s other digest)?$/.test(name)) {
          // Nothing is removed that may have something in it.
          const { error } = await deadline(mustFail(StoreError, source, { store: path }), LONG);
          assert(error.message.includes(`Is a directory: rename`), error.message);
          return assert(error.message.includes(place), error.message);
        }
        const fetched = await deadline(mustFetch(source, { store: path }), LONG);
        await assertStored(path, fetched.image, app);
        assert((await Deno.lstat(image)).isDirectory);
        const read = await readDirImage(image);
        assert(!("missing" in read), "the image is not whole");
        assertEquals(await Deno.readTextFile(dir.join("outside")), "outside");
        // skopeo would wait for ever where it reads signatures.
        for (const folder of name.startsWith("a layer") ? [image, dirname(place)] : [image]) {
          const inside = await Array.fromAsync(Deno.readDir(folder));
          assert(inside.every(({ isFile }) => isFile), "it is still there");
        }
      });
    }
  });
}

describe("a link that somebody has put into the store", () => {
  const folders = [
    ...["sources", "sources/org.osbuild.containers", "sources/org.osbuild.files"],
    ...["blobs", "blobs/sha256", "blobs/diff-ids", "blobs/partial"],
    ...["archives", "trees", "quarantine", "tmp"],
  ];
  for (const folder of folders) {
    it(`in the place of ${folder} loses and brings nothing where it leads to`, async () => {
      const place = join(path, folder);
      const outside = dir.join("elsewhere");
      const names = [workspaceName(), "a".repeat(64), `sha256:${"a".repeat(64)}`, "precious"];
      for (const name of names) await Deno.mkdir(join(outside, name), { recursive: true });
      await Deno.mkdir(dirname(place), { recursive: true });
      await Deno.remove(place, { recursive: true }).catch(() => {});
      await Deno.symlink(outside, place);
      const sources = { app: docker(app.reference, { tlsVerify: false, id: app.id }) };
      const { fetch, build, gc, plan, list, verify } = stowage({ sources }, { store: path });
      for (const use of [fetch, build, plan, () => gc({ olderThan: 0 }), list]) {
        const error = await assertRejects(() => use(), StoreError);
        assert(error.message.includes(`"${place}" is a symbolic link`), error.message);
      }
      for (const repair of [false, true]) {
        const { findings: [first] } = await verify({ repair });
        assertEquals([first?.kind, first?.problem, first?.path], ["folder", "link", place]);
      }
      assertEquals((await Array.fromAsync(Deno.readDir(outside), ({ name }) => name)).sort(), [
        ...names.sort(),
      ]);
    });
  }

  it("in the place of an entry is put aside, and the image fetched", async () => {
    const entry = dirname(image);
    const outside = dir.join("elsewhere");
    await Deno.rename(entry, outside);
    await Deno.symlink(outside, entry);
    const source = docker(app.reference, { tlsVerify: false, id: app.id });
    const { image: fetched, events } = await mustFetch(source, { store: path });
    assertEquals(fetched.status, "fetched");
    await assertStored(path, fetched, app);
    assert((await Deno.lstat(entry)).isDirectory);
    assertEquals(eventsOf(events, "damaged").map((event) => event.path), [entry]);
    assertEquals((await Array.fromAsync(Deno.readDir(outside))).length, 1);
  });
});

describe("Store", () => {
  it("does not read what is larger than it writes", async () => {
    const store = new Store(path, () => {});
    const digest = await digestOf("x");
    const file = join(path, "sources/org.osbuild.files", digest);
    await Deno.mkdir(dirname(file), { recursive: true });
    for (const large of [file, join(image, "manifest.json")]) {
      await Deno.writeTextFile(large, "x");
      await Deno.truncate(large, 2 ** 40);
    }
    assertEquals(await store.findFile(digest), undefined);
    assertEquals(await store.find(app.id), undefined);
  });

  it("takes no link for an old archive", async () => {
    await Deno.symlink(dir.join("outside"), join(dirname(image), "container-image.tar"));
    assertEquals(await new Store(path, () => {}).legacyArchive(app.id), undefined);
  });
});
