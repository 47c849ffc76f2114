import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ContentError, docker, PlatformError, ToolError } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  fileLayer,
  nginxLikeLayer,
  type PushedImage,
  pushImage,
  pushIndex,
  randomLayer,
  startFaultProxy,
} from "../support/mod.ts";
import {
  assertNothingLeft,
  assertStored,
  eventsOf,
  fetchAll,
  fetchApp,
  mustFail,
  mustFetch,
  typesOf,
} from "./fixture.ts";

const PLATFORMS = ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386"];
const http = { tlsVerify: false };

const { dir, store, registry } = await fixture({ registry: true });
const layers = [await busyboxLayer(), await nginxLikeLayer()];
const web = await pushImage(registry, "apps/web:1", { layers });
const each = await Promise.all(
  PLATFORMS.map((platform) => pushImage(registry, "apps/many", { layers, platform })),
);
const many = await pushIndex(registry, "apps/many:1", each, { attestation: true });

function imageFor(platform: string): PushedImage {
  const image = each.find((image) => image.platform === platform);
  assert(image);
  return image;
}

describe("a registry", () => {
  it("serves a tag, which is in the store then", async () => {
    const { image, events } = await mustFetch(docker(web.reference, http), { store });
    const { id, digest, layers: _, size } = web;
    const from = `docker://${web.reference}`;
    const whole = size + web.manifest.length;
    assertEquals(image, {
      ...{
        key: "source/app",
        name: "app",
        status: "fetched",
        id,
        digest,
        manifest: digest,
        from,
        size: whole,
      },
      ...{ path: image.path, platform: "linux/amd64" },
    });
    await assertStored(store, image, web);
    assertEquals(typesOf(events), ["start", "resolved", "image"]);
    const [resolved] = eventsOf(events, "resolved");
    assertEquals(resolved, {
      type: "resolved",
      key: "source/app",
      name: "app",
      from,
      digest,
      id,
      size,
    });
    await assertNothingLeft(store, 1);

    const again = await mustFetch(docker(web.reference, http), { store });
    const { from: _from, ...cached } = image;
    assertEquals(again.image, { ...cached, status: "cached" });
  });

  it("serves a digest without a tag, and is not asked twice", async () => {
    await using proxy = await startFaultProxy(registry);
    const { digest } = web;
    const reference = `${proxy.host}/apps/web`;
    for (
      const [at, source] of [
        docker(`${reference}@${digest}`, http),
        docker(reference, { digest, ...http }),
        docker(`${reference}:gone`, { digest, ...http }),
      ].entries()
    ) {
      const { image } = await mustFetch(source, { store: dir.join(`store-${at}`) });
      assertEquals([image.status, image.digest, image.id], ["fetched", digest, web.id]);
      const before = proxy.requests.length;
      const again = await mustFetch(source, { store: dir.join(`store-${at}`) });
      assertEquals([again.image.status, again.image.digest], ["cached", digest]);
      assertEquals(proxy.requests.length, before);
    }
  });

  it("serves an id that is checked, and not asked for again", async () => {
    await using proxy = await startFaultProxy(registry);
    const source = docker(`${proxy.host}/apps/web:1`, { id: web.id, ...http });
    assertEquals((await mustFetch(source, { store })).image.status, "fetched");
    const before = proxy.requests.length;
    assertEquals((await mustFetch(source, { store })).image.status, "cached");
    assertEquals(proxy.requests.length, before);
  });

  const kinds = { oci: ["gzip", "zstd", "none"], docker: ["gzip", "none"] } as const;
  for (const mediaTypes of ["oci", "docker"] as const) {
    for (const compression of kinds[mediaTypes]) {
      it(`serves ${compression} layers with media types of ${mediaTypes}, unchanged`, async () => {
        const layers = [await fileLayer({ "etc/motd": "hello\n" }, { compression })];
        const name = `apps/${mediaTypes}-${compression}:1`;
        const pushed = await pushImage(registry, name, { layers, mediaTypes });
        const { image } = await mustFetch(docker(pushed.reference, http), { store });
        await assertStored(store, image, pushed);
      });
    }
  }

  it("cannot serve what skopeo does not know, and says so in skopeo's words", async () => {
    const layers = [await fileLayer({ "etc/motd": "hello\n" }, { compression: "zstd" })];
    const pushed = await pushImage(registry, "apps/zstd:1", { layers, mediaTypes: "docker" });
    const { image, error } = await fetchApp(docker(pushed.reference, http), { store });
    // Those after 1.22 know it.
    if (image) return await assertStored(store, image, pushed);
    assert(error instanceof ToolError);
    assertEquals([error.tool, error.exitCode], ["skopeo", 1]);
    assertStringIncludes(error.message, "unsupported docker v2s2 media type");
  });

  it("serves an image that has the same layer twice", async () => {
    const layer = await nginxLikeLayer();
    const pushed = await pushImage(registry, "apps/twice:1", { layers: [layer, layer] });
    const { image } = await mustFetch(docker(pushed.reference, http), { store });
    await assertStored(store, image, pushed);
  });

  it("serves an image without layers", async () => {
    const pushed = await pushImage(registry, "apps/bare:1", { layers: [] });
    const { image } = await mustFetch(docker(pushed.reference, http), { store });
    await assertStored(store, image, pushed);
  });
});

describe("an image for several platforms", () => {
  const names = { "linux/arm64": "arm64", "linux/arm/v7": "armhf", "linux/386": "i386" };
  for (const [platform, debian] of Object.entries(names)) {
    for (const name of [platform, debian]) {
      it(`is had for ${name}`, async () => {
        const source = docker(many.reference, { platform: name, ...http });
        const { image } = await mustFetch(source, { store });
        const pushed = imageFor(platform);
        assertEquals([image.digest, image.platform], [pushed.digest, platform]);
        await assertStored(store, image, pushed);
      });
    }
  }

  it("is had by the digest of the index, and by the digest of an image", async () => {
    const pushed = imageFor("linux/arm/v7");
    const options = { platform: "armhf", ...http };
    const byIndex = docker(many.reference, { ...options, digest: many.digest });
    const byImage = docker(many.reference, { ...options, digest: pushed.digest });
    for (const source of [byIndex, byImage]) {
      const { image } = await mustFetch(source, { store });
      assertEquals([image.id, image.digest], [pushed.id, pushed.digest]);
    }
    assertEquals((await mustFetch(byIndex, { store })).image.status, "cached");
    await assertNothingLeft(store, 1);
  });

  it("is had for each platform by one pin of its index, offline too", async () => {
    const sources = Object.fromEntries(
      PLATFORMS.map((platform) => {
        return [
          platform.replaceAll("/", "-"),
          docker(many.reference, {
            ...{ platform, digest: many.digest, ...http },
          }),
        ];
      }),
    );
    const { images } = await fetchAll(sources, { store });
    assertEquals(images.map(({ id }) => id), each.map(({ id }) => id));
    const { images: cached } = await fetchAll(sources, { store, offline: true });
    assertEquals(cached.map(({ id }) => id), each.map(({ id }) => id));
    assertEquals(cached.map(({ digest }) => digest), each.map(({ digest }) => digest));
  });

  it("takes an older variant of arm for a newer one", async () => {
    const layers = [await nginxLikeLayer()];
    const v6 = await pushImage(registry, "apps/old", { layers, platform: "linux/arm/v6" });
    const index = await pushIndex(registry, "apps/old:1", [v6]);
    const source = docker(index.reference, { platform: "linux/arm/v7", ...http });
    assertEquals((await mustFetch(source, { store })).image.id, v6.id);
    const older = docker(index.reference, { platform: "linux/arm/v5", ...http });
    const { error } = await mustFail(PlatformError, older, { store });
    assertEquals(error.offered, ["linux/arm/v6"]);
  });

  it("says which platforms are offered, attestations not among them", async () => {
    const source = docker(many.reference, { platform: "linux/riscv64", ...http });
    const { error, events } = await mustFail(PlatformError, source, { store });
    assertEquals([error.platform, error.offered], ["linux/riscv64", PLATFORMS]);
    assertEquals(typesOf(events), ["start", "failed"]);
    const unknown = docker(many.reference, { platform: "unknown/unknown", ...http });
    await mustFail(PlatformError, unknown, { store });
  });

  it("is not for another platform than its config says where there is no index", async () => {
    const source = docker(web.reference, { platform: "linux/arm64", ...http });
    const { error } = await mustFail(PlatformError, source, { store });
    assertEquals(error.offered, ["linux/amd64"]);
    await assertNothingLeft(store, 0);

    // Nor when it is in the store already.
    await mustFetch(docker(web.reference, http), { store });
    await mustFail(PlatformError, source, { store });
    const { digest, id } = web;
    for (const pins of [{ digest }, { id }, { digest, id }]) {
      const pinned = docker(web.reference, { platform: "linux/arm64", ...pins, ...http });
      await mustFail(PlatformError, pinned, { store });
    }
  });

  it("is had for this machine where no platform is named, whatever its config says", async () => {
    const arm = imageFor("linux/arm64");
    const { image } = await mustFetch(docker(`${arm.name}@${arm.digest}`, http), { store });
    assertEquals(image.id, arm.id);
  });

  it("is found in an index in an index, which is not kept", async () => {
    const inner = { ...imageFor("linux/amd64"), ...many };
    const index = await pushIndex(registry, "apps/many:nested", [inner]);
    const { image } = await mustFetch(docker(index.reference, http), { store });
    assertEquals(image.id, imageFor("linux/amd64").id);
    const kept = docker(index.reference, { index: true, ...http });
    const { error } = await mustFail(ContentError, kept, { store });
    assertStringIncludes(error.message, "does not list");
  });
});

describe("progress", () => {
  it("never goes back, nor beyond what there is to fetch", async () => {
    const layers = [await randomLayer({ size: 400_000, seed: 7 })];
    const pushed = await pushImage(registry, "apps/large:1", { layers });
    await using proxy = await startFaultProxy(registry, [
      { match: (seen) => seen.path.endsWith(layers[0]!.digest), fault: { slow: 800_000 } },
    ]);
    const { events } = await mustFetch(docker(`${proxy.host}/apps/large:1`, http), { store });
    const progress = eventsOf(events, "progress");
    const bytes = progress.map((event) => event.bytes);
    assert(bytes.length > 0);
    assertEquals(bytes, bytes.toSorted((a, b) => a - b));
    assertEquals(new Set(progress.map(({ total }) => total)), new Set([pushed.size]));
    assert(bytes.at(-1)! <= pushed.size);
    assertEquals(events.at(-1)?.type, "image");
  });
});
