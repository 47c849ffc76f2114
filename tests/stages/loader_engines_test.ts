import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  ConfigError,
  containerLoader,
  type ContainerLoaderOptions,
  docker,
  images,
  StageError,
} from "@stowage/stowage";
import {
  busyboxLayer,
  fileLayer,
  pushImage,
  pushIndex,
  run,
  stageImage,
  startContainerd,
} from "../support/mod.ts";
import { boot, FOLDER, loaderFixture, makeEngine, makeSystem, namesIn } from "./loader_system.ts";

const { makeImages, dir, registry } = await loaderFixture();

describe("loaders of engines that keep digests", () => {
  for (const mediaTypes of ["oci", "docker"] as const) {
    it(`lets podman find what a unit names by digest, ${mediaTypes}`, async () => {
      const layers = [await busyboxLayer()];
      const app = await pushImage(registry, "app:1", { layers, mediaTypes });
      const name = `quay.io/acme/app@${app.digest}`;
      const folder = dir.join("app");
      const image = await stageImage(registry, app, folder, { names: ["localhost/app:2", name] });
      await using engine = await makeEngine();
      await using system = await makeSystem([image]);
      for (const word of ["loaded", "present"]) {
        assertEquals(await boot(system, engine), {
          code: 0,
          status: [`${word} ${name}`],
          stderr: "",
        });
        for (const each of [name, "localhost/app:2"]) await engine.podman("image", "exists", each);
      }
      // A name that someone takes away comes back with the archive.
      await engine.podman("untag", app.id.slice(7), name);
      assertEquals((await boot(system, engine)).code, 0);
      await engine.podman("image", "exists", name);
    });
  }

  it("lets podman find an image by the digest of its index", async () => {
    const layers = [await fileLayer({ a: "a" })];
    const amd = await pushImage(registry, "multi:amd", { layers });
    const arm = await pushImage(registry, "multi:arm", { layers, platform: "linux/arm64" });
    const index = await pushIndex(registry, "multi:1", [arm, amd]);
    const name = `quay.io/acme/multi@${index.digest}`;
    const image = await stageImage(registry, amd, dir.join("multi"), { names: [name], index });
    await using engine = await makeEngine();
    await using system = await makeSystem([image]);
    assertEquals((await boot(system, engine)).status, [`loaded ${name}`]);
    await engine.podman("image", "exists", name);
  });

  it("refuses a digest of something else, and two of them where one can be loaded", async () => {
    const [image] = await makeImages({ "localhost/app:1": 100 });
    assert(image);
    const other = `localhost/app@sha256:${"5".repeat(64)}`;
    const message = `"${other}" has another digest than its image, ${image.digest}`;
    await assertRejects(() => makeSystem([{ ...image, names: [other] }]), StageError, message);
    const names = ["a", "b"].map((name) => `localhost/${name}@${image.digest}`);
    await assertRejects(() => makeSystem([{ ...image, names }]), StageError, "one of them only");
    await using system = await makeSystem([image]);
    await assertRejects(
      () => system.add([{ ...image, names: names.slice(1) }]),
      StageError,
      "by other names already",
    );
    const compiled = (options: ContainerLoaderOptions) =>
      compile({
        sources: { a: docker("a") },
        inputs: { a: images({ a: names[0] ?? "" }) },
        stages: { l: containerLoader({ inputs: ["a"], ...options }) },
      });
    compiled({ engine: "podman" });
    assertThrows(() => compiled({ engine: "docker" }), ConfigError, "names without a digest");
    assertThrows(() => compiled({ engine: "k3s", deleteAfterLoad: true }), ConfigError, "no such");
    assertThrows(() => compiled({ engine: "podman", namespace: "a" }), ConfigError, "containerd");
  });
});

describe("the loader of containerd", () => {
  it("gives images all of their names, and takes away those of an earlier release", async () => {
    await using containerd = await startContainerd();
    await using engine = await makeEngine();
    engine.command = containerd.command;
    const [old, kept, next] = await makeImages({
      "localhost/app:1": 100,
      "localhost/kept:1": 200,
      "localhost/app:2": 300,
    });
    assert(old && kept && next);
    const byDigest = `localhost/app@${old.digest}`;
    const options = { engine: "containerd", removeReplaced: true } as const;
    await using first = await makeSystem(
      [{ ...old, names: ["localhost/app:1", byDigest] }, kept],
      options,
    );
    await run("shellcheck", ["--shell=sh", `${first.tree}/${FOLDER}/container-loader.sh`]);
    const refs = async () =>
      (await containerd.ctr("images", "ls", "-q")).split("\n").filter(Boolean).sort();
    for (const word of ["loaded", "present"]) {
      const { code, status, stderr } = await boot(first, engine);
      assertEquals([code, stderr], [0, ""]);
      assertEquals(status.sort(), [`${word} ${byDigest}`, `${word} localhost/kept:1`].sort());
      assertEquals(await refs(), ["localhost/app:1", byDigest, "localhost/kept:1"].sort());
    }
    const listed = await containerd.ctr("images", "ls", "name==localhost/app:1");
    assertStringIncludes(listed, old.digest);
    await using second = await makeSystem([next, kept], options);
    await run("cp", ["-a", `${first.tree}/var`, second.tree]);
    assertEquals((await boot(second, engine)).code, 0);
    assertEquals(await refs(), ["localhost/app:2", "localhost/kept:1"]);
  });
});

describe("a loader that takes away what an earlier release has loaded", () => {
  it("does so once all is there, and leaves alone what was not its own", async () => {
    await using engine = await makeEngine();
    const [old, gone, next] = await makeImages({
      "localhost/app:1": 100,
      "localhost/gone:1": 200,
      "quay.io/acme/app:2": 300,
    });
    assert(old && gone && next);
    await using first = await makeSystem([old, gone], { removeReplaced: true });
    assertEquals((await boot(first, engine)).code, 0);
    await engine.podman("tag", "localhost/gone:1", "localhost/mine:1");
    // The same name for another image.
    await using second = await makeSystem([{ ...next, names: ["localhost/app:1"] }], {
      removeReplaced: true,
    });
    await run("cp", ["-a", `${first.tree}/var`, second.tree]);
    const archive = `${second.tree}/${FOLDER}/images/localhost.app:1.zst`;
    await Deno.rename(archive, `${archive}.away`);
    assertEquals((await boot(second, engine)).code, 1);
    assertEquals((await engine.images()).length, 3);
    await Deno.rename(`${archive}.away`, archive);
    assertEquals((await boot(second, engine)).code, 0);
    assertEquals(await engine.images(), [
      `localhost/app:1 ${next.id}`,
      `localhost/mine:1 ${gone.id}`,
    ]);
    await assertRejects(() => engine.podman("image", "exists", old.id.slice(7)));
  });
});

describe("loaders that load by themselves", () => {
  const suffixes = { zstd: "tar.zst", gzip: "tar.gz", none: "tar" } as const;
  for (const [at, engine] of (["k3s", "rke2", "k3s"] as const).entries()) {
    const compression = (["zstd", "gzip", "none"] as const)[at] ?? "none";
    it(`puts archives where ${engine} looks for them: ${compression}`, async () => {
      await using containerd = await startContainerd();
      const [image] = await makeImages({ "localhost/app:1": 100 });
      assert(image);
      const names = ["localhost/app:1", `localhost/app@${image.digest}`];
      await using system = await makeSystem([{ ...image, names }], { engine, compression });
      const folder = `${system.tree}/var/lib/rancher/${engine}/agent/images`;
      const file = `localhost.app@${image.digest}.${suffixes[compression]}`;
      assertEquals(await namesIn(folder), [file]);
      assertEquals(await namesIn(system.tree), ["var"]);
      const unpack = { zstd: "zstd -dcq", gzip: "gzip -dc", none: "cat" }[compression];
      const load = `${unpack} <"$1" | ${containerd.command} images import -`;
      await run("sh", ["-euc", load, "sh", `${folder}/${file}`]);
      assertEquals(
        (await containerd.ctr("images", "ls", "-q")).split("\n").filter(Boolean).sort(),
        names.sort(),
      );
    });
  }
});
