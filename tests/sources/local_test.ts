import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import { toFileUrl } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  ContentError,
  docker,
  FetchError,
  fromDir,
  fromDockerArchive,
  fromOci,
  fromOciArchive,
  PlatformError,
  type Source,
  type SourceOptions,
  type StowageError,
  ToolError,
} from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import {
  copyTo,
  fileLayer,
  nginxLikeLayer,
  type PushedIndex,
  pushImage,
  pushIndex,
  randomLayer,
  run,
} from "../support/mod.ts";
import { assertNothingLeft, assertStored, mustFail, mustFetch } from "./fixture.ts";

const PLATFORMS = ["linux/amd64", "linux/arm64", "linux/arm/v7"];

const { dir, store, registry } = await fixture({ registry: true });
const layers = [await nginxLikeLayer()];
const app = await pushImage(registry, "app:1", { layers });
const other = await pushImage(registry, "other:1", { layers: [await fileLayer({ a: "b" })] });
const each = await Promise.all(
  PLATFORMS.map((platform) => pushImage(registry, "many", { layers, platform })),
);
const many = await pushIndex(registry, "many:1", each, { attestation: true });

const builders: Record<string, (path: string, options?: SourceOptions) => Source> = {
  "dir": fromDir,
  "oci": fromOci,
  "oci-archive": fromOciArchive,
  "docker-archive": fromDockerArchive,
};

/** Puts an image at a path that skopeo itself could not be told. */
async function put(transport: string, image: PushedIndex, path: string, ...flags: string[]) {
  const name = { dir: "", oci: ":web" }[transport] ?? ":localhost/web:1";
  await copyTo(registry, image, `${transport}:${dir.join("put")}${name}`, ...flags);
  await Deno.rename(dir.join("put"), path);
}

for (const [transport, from] of Object.entries(builders)) {
  describe(`a source from ${transport}`, () => {
    for (const name of ["plain", "with spaces", "with:colon:1", "ü 'n' \"q\" @x [y]"]) {
      it(`is read at a path called "${name}"`, async () => {
        await put(transport, app, dir.join(name));
        const { image } = await mustFetch(from(dir.join(name)), { store });
        assertEquals([image.id, image.from], [app.id, `${transport}:${dir.join(name)}`]);
        if (transport !== "docker-archive") await assertStored(store, image, app);
        await assertNothingLeft(store, 1);
      });
    }

    it("starts at the root, which may be a URL", async () => {
      await put(transport, app, dir.join("app"));
      for (const root of [dir.path, toFileUrl(dir.path)]) {
        const store = dir.join(`store-${typeof root}`);
        const { image } = await mustFetch(from("./app"), { store, root });
        assertEquals(image.from, `${transport}:${dir.join("app")}`);
      }
    });

    it("is checked against its id, and not read again once it is in the store", async () => {
      await put(transport, app, dir.join("app"));
      const source = from(dir.join("app"), { id: app.id });
      assertEquals((await mustFetch(source, { store })).image.status, "fetched");
      await Deno.remove(dir.join("app"), { recursive: true });
      assertEquals((await mustFetch(source, { store })).image.status, "cached");
      await put(transport, other, dir.join("app"));
      const wrong = from(dir.join("app"), { id: each[1]!.id });
      const { error } = await mustFail(ContentError, wrong, { store });
      assertEquals(error.actual, other.id);
    });

    it("is not for a platform that it is not for", async () => {
      await put(transport, app, dir.join("app"));
      const source = from(dir.join("app"), { platform: "arm64" });
      const { error } = await mustFail(PlatformError, source, { store });
      assertEquals(error.offered, ["linux/amd64"]);
      await assertNothingLeft(store, 0);
    });

    it("is a fallback", async () => {
      await put(transport, app, dir.join("app"));
      const source = docker("127.0.0.1:1/app:1", {
        ...{ id: app.id, tlsVerify: false, fallback: [from("app") as never] },
      });
      const { image } = await mustFetch(source, { store, root: dir.path, attempts: 1 });
      assertEquals([image.id, image.from], [app.id, `${transport}:${dir.join("app")}`]);
    });

    it("that is not there is named as a person knows it", async () => {
      const { error } = await mustFail(FetchError, from("not here"), { store, root: dir.path });
      const [attempt] = error.attempts;
      assertEquals(attempt?.reference, `${transport}:${dir.join("not here")}`);
      assertEquals([attempt?.transport, attempt?.reason], [transport, "unknown"]);
      assertStringIncludes(attempt?.message ?? "", dir.join("not here"));
      assert(!error.message.includes(`${store}/tmp`), error.message);
    });
  });
}

describe("an image of several", () => {
  for (const [transport, from] of [["oci", fromOci], ["oci-archive", fromOciArchive]] as const) {
    for (const platform of PLATFORMS) {
      it(`is had from ${transport} for ${platform}`, async () => {
        await put(transport, many, dir.join("many"), "--all");
        const pushed = each.find((image) => image.platform === platform)!;
        for (const pins of [{}, { id: pushed.id }, { digest: many.digest }]) {
          const source = from(dir.join("many"), { platform, ...pins });
          const { image } = await mustFetch(source, { store });
          assertEquals([image.digest, image.platform], [pushed.digest, platform]);
          await assertStored(store, image, pushed);
        }
        const pinned = from("gone", { platform, digest: many.digest });
        assertEquals((await mustFetch(pinned, { store })).image.status, "cached");
      });
    }

    it(`is not had from ${transport} with an id that is not its own`, async () => {
      await put(transport, many, dir.join("many"), "--all");
      const [amd, arm] = each;
      const source = from(dir.join("many"), { platform: "amd64", id: arm!.id });
      const { error } = await mustFail(ContentError, source, { store });
      assertEquals([error.expected, error.actual], [arm?.id, amd?.id]);
      await assertNothingLeft(store, 0);
    });

    it(`is not had from ${transport} for a platform that is not offered`, async () => {
      await put(transport, many, dir.join("many"), "--all");
      const source = from(dir.join("many"), { platform: "s390x" });
      const { error } = await mustFail(PlatformError, source, { store });
      assertEquals(error.offered, PLATFORMS);
    });
  }

  it("is had from a layout by its name", async () => {
    const layout = dir.join("lay:out");
    for (const [name, image] of Object.entries({ app, other })) {
      await copyTo(registry, image, `oci:${dir.join("layout")}:localhost/${name}:1`);
    }
    await Deno.rename(dir.join("layout"), layout);
    for (const [name, { id }] of Object.entries({ app, other })) {
      const source = fromOci(layout, { image: `localhost/${name}:1` });
      const { image } = await mustFetch(source, { store });
      assertEquals([image.id, image.from], [id, `oci:${layout}:localhost/${name}:1`]);
    }
    await mustFail(FetchError, fromOci(layout, { image: "localhost/none:1" }), { store });
  });

  it("is had from a docker archive by its name", async () => {
    const path = dir.join("two.tar");
    await copyTo(registry, app, `docker-archive:${path}:localhost/app:1`);
    const source = fromDockerArchive(path, { image: "localhost/app:1" });
    assertEquals((await mustFetch(source, { store })).image.id, app.id);
    const none = fromDockerArchive(path, { image: "localhost/none:1" });
    await mustFail(FetchError, none, { store });
  });
});

it("says what to do about an archive whose images share a layer by a link", async () => {
  await put("docker-archive", app, dir.join("app.tar"));
  const script =
    `mkdir shared; tar -xf app.tar -C shared; cd shared; layer=$(ls -- *.tar | head -n 1)
    mv "$layer" 00; ln $1 00 "$layer"; tar -cf ../linked.tar -- 00 *.tar *.json`;
  const source = fromDockerArchive(dir.join("linked.tar"));
  for (const [link, kind] of [["-s", ToolError], ["-P", ContentError]] as const) {
    await run("sh", ["-euc", `rm -rf shared; ${script}`, "sh", link], { cwd: dir.path });
    const { error } = await mustFail<StowageError>(kind, source, { store });
    assertStringIncludes(error.hint ?? "", "an archive of its own");
  }
});

describe("a folder", () => {
  it("that changes between two looks at it is wrong", async () => {
    await put("dir", app, dir.join("app"));
    const onEvent = ({ type }: { type: string }) => {
      // The same image under another manifest.
      if (type === "resolved") {
        Deno.writeTextFileSync(dir.join("app/manifest.json"), `${app.manifest}\n`);
      }
    };
    const { error } = await mustFail(ContentError, fromDir(dir.join("app")), { store, onEvent });
    assertEquals(error.expected, app.digest);
    await assertNothingLeft(store, 0);
  });
});

describe("an archive", () => {
  it("that takes long to unpack is not taken for one that has stalled", async () => {
    const pipe = dir.join("app.tar");
    const layers = [await randomLayer({ size: 1_000_000 })];
    const large = await pushImage(registry, "large:1", { layers });
    await put("oci-archive", large, dir.join("real.tar"));
    const archive = await Deno.readFile(dir.join("real.tar"));
    await run("mkfifo", [pipe]);
    // Read twice: for the manifest, and for the rest.
    const feeding = (async () => {
      for (let time = 0; time < 2; time++) await feedSlowly(pipe, archive, 2500);
    })();
    const source = fromOciArchive(pipe);
    const { image } = await mustFetch(source, { store, attempts: 1, stallTimeout: 2000 });
    await feeding;
    await assertStored(store, image, large);
  });

  it("that is damaged is wrong, and no other place is tried", async () => {
    await put("oci-archive", app, dir.join("app.tar"));
    await Deno.truncate(dir.join("app.tar"), 3000);
    await put("dir", app, dir.join("app"));
    const fallback = [fromDir(dir.join("app"))];
    const source = fromOciArchive(dir.join("app.tar"), { fallback });
    const { error } = await mustFail(ContentError, source, { store });
    assertStringIncludes(error.message, `oci-archive:${dir.join("app.tar")}: `);
    await assertNothingLeft(store, 0);
  });
});

/** Writes into a pipe in small pieces, over so many milliseconds. */
async function feedSlowly(pipe: string, bytes: Uint8Array, ms: number): Promise<void> {
  using file = await Deno.open(pipe, { write: true });
  const writer = file.writable.getWriter();
  const steps = 20;
  const size = Math.ceil(bytes.length / steps);
  for (let start = 0; start < bytes.length; start += size) {
    await writer.write(bytes.slice(start, start + size));
    await delay(ms / steps);
  }
  await writer.close();
}
