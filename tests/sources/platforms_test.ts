import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import { ContentError, docker, PlatformError, stowage } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  fileLayer,
  pushImage,
  pushIndex,
  putManifest,
  startFaultProxy,
} from "../support/mod.ts";
import { eventsOf, fetchAll, mustFail, mustFetch } from "./fixture.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";

/** Image ids by tag and platform. */
const ids = new Map<string, string>();

/** What is offered, by tag. */
const OFFERS: Readonly<Record<string, readonly string[]>> = {
  common: ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386"],
  variants: ["linux/amd64", "linux/amd64/v2", "linux/arm/v5", "linux/arm/v6", "linux/arm64/v8"],
  newest: ["linux/amd64/v3", "linux/arm/v8", "linux/arm64/v9"],
};

const { dir, registry } = await fixture({ registry: true });
const base = await busyboxLayer();
for (const [tag, platforms] of Object.entries(OFFERS)) {
  const images = await Array.fromAsync(platforms, async (platform) => {
    const layers = [base, await fileLayer({ platform: tag + platform })];
    const image = await pushImage(registry, "app", { layers, platform });
    ids.set(`${tag} ${platform}`, image.id);
    return image;
  });
  await pushIndex(registry, `app:${tag}`, images, { attestation: true });
}

const app = (tag: string, options: Parameters<typeof docker>[1]) =>
  docker(`${registry.host}/app:${tag}`, { tlsVerify: false, ...options });

describe("a platform", () => {
  const cases: readonly [tag: string, asked: string, got: string][] = [
    ["common", "linux/amd64", "linux/amd64"],
    ["common", "linux/amd64/v3", "linux/amd64"],
    ["common", "linux/arm64", "linux/arm64"],
    ["common", "linux/arm64/v9", "linux/arm64"],
    ["common", "linux/arm/v8", "linux/arm/v7"],
    ["common", "armhf", "linux/arm/v7"],
    ["variants", "linux/amd64/v4", "linux/amd64/v2"],
    ["variants", "linux/amd64/v2", "linux/amd64/v2"],
    ["variants", "linux/amd64", "linux/amd64"],
    ["variants", "linux/arm/v7", "linux/arm/v6"],
    ["variants", "linux/arm", "linux/arm/v6"],
    ["variants", "linux/arm/v5", "linux/arm/v5"],
    ["variants", "linux/arm64", "linux/arm64/v8"],
  ];
  for (const [tag, asked, got] of cases) {
    it(`${asked} of ${OFFERS[tag]} is ${got}`, async () => {
      const { image } = await mustFetch(app(tag, { platform: asked }), { store: dir.path });
      assertEquals(image.id, ids.get(`${tag} ${got}`));
    });
  }

  const refused: readonly [tag: string, asked: string][] = [
    ["common", "linux/arm/v6"],
    ["common", "linux/s390x"],
    ["common", "windows/amd64"],
    ["common", "unknown/unknown"],
    ["newest", "linux/amd64"],
    ["newest", "linux/amd64/v2"],
    ["newest", "linux/arm/v7"],
    ["newest", "linux/arm64"],
  ];
  for (const [tag, asked] of refused) {
    it(`${asked} is not one of ${OFFERS[tag]}`, async () => {
      const source = app(tag, { platform: asked });
      const { error } = await mustFail(PlatformError, source, { store: dir.path });
      assertEquals([error.platform, error.offered], [asked, OFFERS[tag]]);
      assertStringIncludes(error.message, `it is offered for ${OFFERS[tag]?.join(", ")}`);
      assertEquals(error.hint, "set platform of sources.app to one of them");
    });
  }
});

describe("an index that does not say what its images are for", () => {
  const index = async (tag: string, listed: readonly unknown[]) => {
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: listed });
    const { digest, mediaType } = await putManifest(registry, `app:${tag}`, manifest, INDEX);
    return { mediaType, digest, size: manifest.length };
  };
  const unlisted = async (platform: string, words = platform) => {
    const layers = [await fileLayer({ words })];
    const { id, ...image } = await pushImage(registry, "app", { layers, platform });
    const { digest, mediaType, manifest } = image;
    return { id, entry: { mediaType, digest, size: manifest.length } };
  };

  it("is searched for the first that fits, one index deep", async () => {
    const [arm, first, second] = [
      await unlisted("linux/arm64"),
      await unlisted("linux/amd64"),
      await unlisted("linux/amd64", "second"),
    ];
    const inner = await index("inner", [arm.entry, first.entry]);
    await index("nested", [inner, second.entry]);
    await index("outer", [await index("middle", [inner]), second.entry]);
    const get = async (tag: string, options: Parameters<typeof docker>[1] = {}) =>
      (await mustFetch(app(tag, options), { store: dir.join(crypto.randomUUID()) })).image;
    assertEquals((await get("inner")).id, first.id);
    assertEquals((await get("nested")).id, first.id);
    assertEquals((await get("outer")).id, second.id);
    const asked = await get("nested", { platform: "linux/arm64" });
    assertEquals([asked.id, asked.platform], [arm.id, "linux/arm64"]);
    const none = app("inner", { platform: "linux/s390x" });
    const { error } = await mustFail(PlatformError, none, { store: dir.join("none") });
    assertEquals(error.offered, ["linux/arm64", "linux/amd64"]);
  });

  it("gives what is listed before what is not", async () => {
    const plain = await unlisted("linux/amd64");
    const listed = await unlisted("linux/amd64", "listed");
    const platform = { os: "linux", architecture: "amd64" };
    await index("both", [plain.entry, { ...listed.entry, platform }]);
    const { image } = await mustFetch(app("both", {}), { store: dir.path });
    assertEquals(image.id, listed.id);
  });

  it("is not kept, as nobody could choose from it", async () => {
    const { entry } = await unlisted("linux/amd64");
    await index("alone", [entry]);
    const kept = app("alone", { index: true });
    const { error } = await mustFail(ContentError, kept, { store: dir.path });
    assertStringIncludes(error.hint ?? "", "remove index: true");
  });
});

describe("several platforms", () => {
  it("are an image each, named by platform, and once each", async () => {
    const platforms = ["linux/arm64", "armhf", "linux/arm/v7", "linux/arm64/v8", "linux/386"];
    const run = await fetchAll({ app: app("common", { platforms }) }, { store: dir.path });
    assertEquals(run.failures, {});
    assertEquals(run.images.map(({ name, platform, id }) => [name, platform, id]), [
      ["app@linux/arm64", "linux/arm64", ids.get("common linux/arm64")],
      ["app@linux/arm/v7", "linux/arm/v7", ids.get("common linux/arm/v7")],
      ["app@linux/386", "linux/386", ids.get("common linux/386")],
    ]);
  });

  it("are chosen by the source's name, or by their own", async () => {
    const sources = {
      app: app("common", { platforms: ["linux/arm64", "linux/386"] }),
      other: app("variants", { platform: "linux/amd64" }),
    };
    const namesOf = async (...names: string[]) =>
      (await fetchAll(sources, { store: dir.path, names })).images.map(({ name }) => name);
    assertEquals(await namesOf("app"), ["app@linux/arm64", "app@linux/386"]);
    assertEquals(await namesOf("app@linux/386"), ["app@linux/386"]);
    assertEquals((await namesOf()).length, 3);
  });

  it("fail one by one", async () => {
    const platforms = ["linux/arm64", "linux/s390x"];
    const run = await fetchAll({ app: app("common", { platforms }) }, { store: dir.path });
    assertEquals([run.images.length, Object.keys(run.failures)], [1, ["source/app@linux/s390x"]]);
    const error = run.failures["source/app@linux/s390x"];
    assert(error instanceof PlatformError);
    assertEquals(error.hint, "set platforms of sources.app to one of them");
  });
});

describe("all platforms of an index", () => {
  const source = () => app("common", { index: true });

  it("are fetched where none is named", async () => {
    const store = dir.join("store");
    const { image, events } = await mustFetch(source(), { store });
    const found = image.index?.images?.map(({ platform, id }) => [platform, id]);
    assertEquals(found, OFFERS["common"]?.map((each) => [each, ids.get(`common ${each}`)]));
    const names = eventsOf(events, "image").map(({ name }) => name).sort();
    assertEquals(names, ["app", "app@linux/386", "app@linux/arm/v7", "app@linux/arm64"]);
    for (const { path } of image.index?.images ?? []) {
      assert(await exists(join(path, "manifest.json")), path);
    }
  });

  it("are there without a registry, once they were", async () => {
    const store = dir.join("store");
    const first = await mustFetch(source(), { store });
    const again = await mustFetch(source(), { store, offline: true });
    const pathsOf = ({ image }: typeof first) => image.index?.images?.map(({ path }) => path);
    assertEquals([again.image.index?.path, pathsOf(again)], [
      first.image.index?.path,
      pathsOf(first),
    ]);
    assertEquals(new Set(eventsOf(again.events, "image").map(({ status }) => status)).size, 1);
  });

  it("are not fetched where one is named", async () => {
    const named = app("common", { index: true, platform: "linux/arm64" });
    const { image, events } = await mustFetch(named, { store: dir.join("store") });
    assertEquals(Object.keys(image.index ?? {}), ["digest", "path"]);
    assertEquals(eventsOf(events, "image").length, 1);
  });

  it("fail together where one cannot be had", async () => {
    const arm = ids.get("common linux/arm64") ?? "";
    await using proxy = await startFaultProxy(registry, [
      { match: ({ path }) => path.endsWith(arm), fault: { flipBit: 9 } },
    ]);
    const all = docker(`${proxy.host}/app:common`, { tlsVerify: false, index: true });
    const { error } = await mustFail(ContentError, all, { store: dir.join("store") });
    assertStringIncludes(error.message, '"app@linux/arm64"');
  });
});

describe("an image of several indexes", () => {
  it("is found with that of each source, or with none, where nobody can be asked", async () => {
    const shared = await pushImage(registry, "app:alone", { layers: [base] });
    const indexes = await Array.fromAsync(["one", "two"], async (tag) => {
      const layers = [base, await fileLayer({ tag })];
      const other = await pushImage(registry, "app", { layers, platform: "linux/arm64" });
      return await pushIndex(registry, `app:${tag}`, [shared, other]);
    });
    const sources = {
      one: app("one", { index: true }),
      two: app("two", { index: true }),
      alone: app("alone", {}),
    };
    const open = (options = {}) =>
      stowage({ digests: "ignore", sources }, {
        ...{ store: dir.path, platform: "linux/amd64" },
        ...options,
      });
    await open().fetch();
    const { images } = await open({ offline: true }).fetch();
    assertEquals(images.map(({ id, index }) => [id, index?.digest]), [
      [shared.id, indexes[0]?.digest],
      [shared.id, indexes[1]?.digest],
      [shared.id, undefined],
    ]);
  });
});
