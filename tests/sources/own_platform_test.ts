/** What an image is for, its own config says: so it is told, recorded, locked and refused. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  docker,
  type DockerImage,
  fromDir,
  type Lock,
  PlatformError,
  RunError,
  type Source,
  stowage,
  type StowageOptions,
} from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { busyboxLayer, copyTo, fileLayer, pushImage, pushIndex } from "../support/mod.ts";
import { eventsOf, mustFail, mustFetch } from "./fixture.ts";

const { dir, registry, store, proxy } = await fixture({ registry: true });
const layers = [await busyboxLayer()];
const arm = await pushImage(registry, "app:arm", { layers, platform: "linux/arm64" });
const armhf = await pushImage(registry, "app:v6", {
  layers: [...layers, await fileLayer({ v: "6" })],
  platform: "linux/arm/v6",
});
const odd = await pushImage(registry, "app:odd", {
  layers: [...layers, await fileLayer({ v: "odd" })],
  platform: "linux/aarch64/8",
});

const app = (name: string, options: Parameters<typeof docker>[1] = {}): DockerImage =>
  docker(`${proxy.host}/${name}`, { tlsVerify: false, ...options });
const byDigest = (options = {}) => app(`app@${arm.digest}`, options);

const open = (source: Source, options: StowageOptions = {}) =>
  stowage({ digests: "ignore", sources: { app: source } }, {
    ...{ store, platform: "linux/amd64", retryDelay: 0 },
    ...options,
  });

/** The error of the one source of a run. */
async function errorOf(run: Promise<unknown>): Promise<unknown> {
  try {
    await run;
  } catch (error) {
    return error instanceof RunError ? error.failures["source/app"] : error;
  }
}

const originsOf = async (path: string) =>
  JSON.parse(await Deno.readTextFile(join(path, "../origin.json"))).origins;

describe("the platform of an image without an index", () => {
  it("is told and recorded as the image says it, whatever the machine is", async () => {
    for (const name of [`app@${arm.digest}`, "app:arm"]) {
      const { image, events } = await mustFetch(app(name), { store });
      assertEquals(image.platform, "linux/arm64");
      assertEquals(eventsOf(events, "image").map(({ platform }) => platform), ["linux/arm64"]);
      const again = await mustFetch(app(name), { store, offline: true });
      assertEquals([again.image.status, again.image.platform], ["cached", "linux/arm64"]);
      const text = JSON.stringify(await originsOf(image.path));
      assert(text.includes("linux/arm64") && !text.includes("amd64"), text);
    }
  });

  it("is locked as the image says it, and such a lock serves every machine", async () => {
    const { lock } = await open(app("app:arm")).makeLock();
    const platforms = lock.sources["app"]?.platforms ?? {};
    assertEquals(Object.keys(platforms), ["linux/arm64"]);
    for (const platform of ["linux/amd64", "linux/arm64"]) {
      const locked = open(app("app:arm"), { lock, platform, frozen: true });
      const { images } = await locked.fetch();
      assertEquals(images.map(({ id, platform }) => [id, platform]), [[arm.id, "linux/arm64"]]);
      assertEquals((await open(app("app:arm"), { lock, platform }).makeLock()).changes, []);
    }
  });

  it("replaces in a lock what an old version took it for", async () => {
    const { digest, id, mediaType, size } = arm;
    const reference = `docker://${proxy.host}/app:arm`;
    const wrong = { "linux/amd64": { digest, id, mediaType, size } };
    const lock: Lock = {
      schema: 1,
      sources: { app: { reference, tag: "arm", platforms: wrong } },
    };
    const { images } = await open(app("app:arm"), { lock, frozen: true }).fetch();
    assertEquals(images.map(({ platform }) => platform), ["linux/arm64"]);
    const { lock: next } = await open(app("app:arm"), { lock }).makeLock({ update: true });
    assertEquals(Object.keys(next.sources["app"]?.platforms ?? {}), ["linux/arm64"]);
  });

  it("is refused by plan, lock and fetch in the same words where it does not fit", async () => {
    for (const source of [byDigest({ platform: "armhf" }), app("app:arm", { platform: "armhf" })]) {
      const { sources: [planned] } = await open(source).plan();
      const errors = [
        planned?.status === "failed" && planned.error,
        await errorOf(open(source).makeLock()),
        await errorOf(open(source).fetch()),
        // What the store has says it as well.
        await mustFetch(byDigest(), { store }) && await errorOf(open(source).fetch()),
      ];
      for (const error of errors) {
        assert(error instanceof PlatformError, `${error}`);
        const message = 'Cannot fetch "app" for linux/arm/v7: it is offered for linux/arm64';
        assertEquals(error.message, message);
      }
    }
    const layer = arm.layers[0]?.digest ?? "";
    const blobs = proxy.requests.filter(({ path }) => path.endsWith(layer));
    assertEquals(blobs.length, 1, "only what was not refused fetches layers");
  });

  it("is refused where a lock says another", async () => {
    const { digest, id, mediaType, size } = arm;
    const reference = `docker://${proxy.host}/app:arm`;
    const wrong = { "linux/arm/v7": { digest, id, mediaType, size } };
    const lock: Lock = {
      schema: 1,
      sources: { app: { reference, tag: "arm", platforms: wrong } },
    };
    const locked = open(app("app:arm", { platform: "armhf" }), { lock });
    const { sources: [planned] } = await locked.plan();
    assert(planned?.status === "failed" && planned.error instanceof PlatformError);
    assert(await errorOf(locked.fetch()) instanceof PlatformError);
  });

  it("fits where an older variant runs, however it is written", async () => {
    const older = await mustFetch(app("app:v6", { platform: "armhf" }), { store });
    assertEquals([older.image.id, older.image.platform], [armhf.id, "linux/arm/v6"]);
    for (const platform of ["arm64", "aarch64", "linux/arm64/v8", "linux/aarch64"]) {
      const { image } = await mustFetch(app("app:odd", { platform }), { store });
      assertEquals([image.id, image.platform], [odd.id, "linux/arm64"]);
    }
    await mustFail(PlatformError, app("app:v6", { platform: "linux/arm/v5" }), { store });
  });

  it("is looked for offline by what is asked for", async () => {
    await mustFetch(app("app:arm"), { store });
    const own = await mustFetch(app("app:arm", { platform: "arm64" }), { store, offline: true });
    assertEquals([own.image.status, own.image.platform], ["cached", "linux/arm64"]);
    const { image } = await mustFetch(app("app:arm"), {
      ...{ store, offline: true, platform: "linux/riscv64" },
    });
    assertEquals(image.id, arm.id);
  });

  it("is that of an image in a folder as well", async () => {
    const path = dir.join("image");
    await copyTo(registry, arm, `dir:${path}`);
    const { lock } = await open(fromDir(path)).makeLock();
    assertEquals(Object.keys(lock.sources["app"]?.platforms ?? {}), ["linux/arm64"]);
    const wrong = fromDir(path, { platform: "linux/amd64" });
    assert(await errorOf(open(wrong).makeLock()) instanceof PlatformError);
    await mustFail(PlatformError, wrong, { store });
  });
});

describe("the platform of an image of an index", () => {
  it("is the index's where it says more than the image", async () => {
    const plain = await pushImage(registry, "app", {
      layers: [...layers, await fileLayer({ v: "plain" })],
      platform: "linux/arm",
    });
    await pushIndex(registry, "app:many", [{ ...plain, platform: "linux/arm/v6" }, arm]);
    const { image } = await mustFetch(app("app:many", { platform: "armhf" }), { store });
    assertEquals([image.id, image.platform], [plain.id, "linux/arm/v6"]);
    const again = await mustFetch(app("app:many", { platform: "armhf" }), { store, offline: true });
    assertEquals([again.image.status, again.image.platform], ["cached", "linux/arm/v6"]);
  });

  it("is the image's own where the index says another, which is taken all the same", async () => {
    await pushIndex(registry, "app:lies", [{ ...arm, platform: "linux/riscv64" }]);
    const { image } = await mustFetch(app("app:lies", { platform: "riscv64" }), { store });
    assertEquals([image.id, image.platform], [arm.id, "linux/arm64"]);
    const [origin] = await originsOf(image.path);
    assertEquals([origin.platform, origin.chosenFor], ["linux/arm64", "linux/riscv64"]);
    const again = await mustFetch(app("app:lies", { platform: "riscv64" }), {
      store,
      offline: true,
    });
    assertEquals(again.image.id, arm.id);
  });
});
