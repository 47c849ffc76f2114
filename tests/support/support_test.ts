import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { exists } from "@std/fs/exists";
import { describe, it } from "@std/testing/bdd";
import {
  busyboxLayer,
  containerStorage,
  copyTo,
  digestOf,
  fileLayer,
  makeLegacyEntry,
  makeOsbuildEntry,
  makeSigner,
  nginxLikeLayer,
  osbuildExists,
  pushImage,
  pushIndex,
  randomLayer,
  run,
  skopeo,
  smallFs,
  startRegistry,
  tar,
  tempDir,
} from "./mod.ts";

/** The digest of the config, as skopeo reads it. */
async function imageId(reference: string, ...flags: string[]): Promise<string> {
  return await digestOf(await skopeo("inspect", "--config", "--raw", ...flags, reference));
}

describe("tempDir()", () => {
  it("removes locked folders and stray mounts", async () => {
    const dir = await tempDir();
    await Deno.mkdir(dir.join("locked dir/below"), { recursive: true });
    await run("mount", ["-t", "tmpfs", "tmpfs", dir.join("locked dir/below")]);
    await Deno.chmod(dir.join("locked dir"), 0o500);
    await dir[Symbol.asyncDispose]();
    assertEquals(await exists(dir.path), false);
  });
});

describe("tar()", () => {
  it("is read by GNU tar, with modes, owners and links", async () => {
    await using dir = await tempDir();
    await Deno.writeFile(
      dir.join("a.tar"),
      tar({
        "bin/tool": { data: "x", mode: 0o4755, owner: 7 },
        "bin/link": { symlink: "tool" },
        "bin/hard": { hardlink: "bin/tool" },
        "etc/.wh.old": "",
      }),
    );
    const list = await run("tar", ["--numeric-owner", "-tvf", dir.join("a.tar")]);
    const lines = list.trim().split("\n").map((line) => line.replace(/ +/g, " "));
    assertEquals(lines.map((line) => line.replace(/\d{4}-\S+ \S+ /, "")), [
      "drwxr-xr-x 0/0 0 bin/",
      "-rwsr-xr-x 7/7 1 bin/tool",
      "lrwxrwxrwx 0/0 0 bin/link -> tool",
      "hrw-r--r-- 0/0 0 bin/hard link to bin/tool",
      "drwxr-xr-x 0/0 0 etc/",
      "-rw-r--r-- 0/0 0 etc/.wh.old",
    ]);
  });
});

describe("layers", () => {
  it("are the same bytes each time, and other bytes for another seed or level", async () => {
    const layer = await randomLayer({ size: 1000, seed: 1 });
    assertEquals(layer, await randomLayer({ size: 1000, seed: 1 }));
    assertNotEquals(layer.diffId, (await randomLayer({ size: 1000, seed: 2 })).diffId);
    const [fast, small] = [await nginxLikeLayer({ level: 1 }), await nginxLikeLayer()];
    assertEquals(fast.diffId, small.diffId);
    assertNotEquals(fast.digest, small.digest);
  });
});

describe("startRegistry()", () => {
  it("serves what was pushed, byte for byte, and again after a restart", async () => {
    await using registry = await startRegistry();
    const image = await pushImage(registry, "apps/caddy:2.8", {
      layers: [await nginxLikeLayer()],
      config: { Cmd: ["sh"] },
    });
    const inspect = () =>
      skopeo("inspect", "--raw", ...registry.flags(), `docker://${image.reference}`);
    assertEquals(await inspect(), image.manifest);
    await registry.stop();
    await assertRejects(inspect, Error, "connection refused");
    await registry.start();
    assertEquals(await digestOf(await inspect()), image.digest);
  });

  it("lets in only who may, over TLS of a private authority", async () => {
    const auth = { user: "ann", password: "secret" };
    await using registry = await startRegistry({ auth, tls: true });
    const image = await pushImage(registry, "private:1", { layers: [await nginxLikeLayer()] });
    const url = `docker://${image.reference}`;
    const [certDir = "", creds = ""] = registry.flags();
    assertStringIncludes(await skopeo("inspect", certDir, creds, url), image.layers[0]!.digest);
    await assertRejects(() => skopeo("inspect", creds, url), Error, "unknown authority");
    await assertRejects(() => skopeo("inspect", certDir, url), Error, "authentication required");
  });

  it("has its blobs on disk, to tamper with", async () => {
    await using dir = await tempDir();
    await using registry = await startRegistry();
    const image = await pushImage(registry, "apps/a:1", { layers: [await nginxLikeLayer()] });
    await Deno.writeTextFile(registry.blobPath(image.layers[0]!.digest), "other");
    await assertRejects(
      () => copyTo(registry, image, `dir:${dir.path}`),
      Error,
      "Digest did not match",
    );
    await Deno.remove(registry.blobPath(image.layers[0]!.digest));
    await assertRejects(() => copyTo(registry, image, `dir:${dir.path}`), Error, "404");
  });
});

describe("images", () => {
  const kinds = [["oci", "gzip"], ["oci", "zstd"], ["oci", "none"], ["docker", "gzip"]] as const;
  for (const [mediaTypes, compression] of kinds) {
    it(`of ${mediaTypes}, ${compression}, are pulled as they were pushed`, async () => {
      await using dir = await tempDir();
      await using registry = await startRegistry();
      const layers = [await fileLayer({ "etc/motd": "hello\n" }, { compression })];
      const image = await pushImage(registry, "apps/a:1", { layers, mediaTypes });
      await copyTo(registry, image, `dir:${dir.path}`);
      assertEquals(await Deno.readTextFile(dir.join("manifest.json")), image.manifest);
      assertEquals(await imageId(`dir:${dir.path}`), image.id);
    });
  }

  for (const mediaTypes of ["oci", "docker"] as const) {
    it(`of ${mediaTypes} share an index, out of which skopeo takes each platform`, async () => {
      await using registry = await startRegistry();
      const layers = [await busyboxLayer()];
      const images = await Promise.all(
        ["linux/amd64", "linux/arm64", "linux/arm/v7"].map((platform) =>
          pushImage(registry, "apps/a", { layers, platform, mediaTypes })
        ),
      );
      const index = await pushIndex(registry, "apps/a:1", images, { attestation: true });
      for (const { platform, id } of images) {
        const [os, arch, variant = ""] = platform.split("/");
        const wanted = [`--override-os=${os}`, `--override-arch=${arch}`];
        const flags = [...wanted, `--override-variant=${variant}`, ...registry.flags()];
        assertEquals(await imageId(`docker://${index.reference}`, ...flags), id);
      }
      const platforms = JSON.parse(index.manifest).manifests.map(
        ({ platform }: { platform: { architecture: string } }) => platform.architecture,
      );
      const unknown = ["unknown", "unknown", "unknown"];
      assertEquals(platforms, ["amd64", "arm64", "arm", ...unknown]);
    });
  }

  it("go into every transport", async () => {
    await using dir = await tempDir();
    await using registry = await startRegistry();
    const layers = [await busyboxLayer(), await nginxLikeLayer()];
    const image = await pushImage(registry, "apps/web:1", { layers });
    for (const transport of ["dir", "oci", "oci-archive", "docker-archive"]) {
      const name = transport === "dir" ? "" : transport === "oci" ? ":web" : ":localhost/web:1";
      const destination = `${transport}:${dir.join(transport)}${name}`;
      await copyTo(registry, image, destination);
      assertEquals(await imageId(destination), image.id);
    }
    await run("umoci", ["unpack", "--image", `${dir.join("oci")}:web`, dir.join("bundle")]);
    const busybox = dir.join("bundle/rootfs/bin/sh");
    const page = dir.join("bundle/rootfs/usr/share/nginx/html/index.html");
    assertStringIncludes(await run(busybox, ["-c", 'echo "$(cat "$0")"', page]), "Welcome");
  });

  for (const driver of ["overlay", "vfs"] as const) {
    it(`go into a containers-storage of ${driver}, where podman finds them`, async () => {
      await using registry = await startRegistry();
      await using storage = await containerStorage(driver);
      const layers = [await busyboxLayer(), await nginxLikeLayer()];
      const image = await pushImage(registry, "apps/web:1", { layers });
      await copyTo(registry, image, storage.reference("localhost/web:1"));
      const ids = await storage.podman("images", "--no-trunc", "--format={{.Id}} {{.Names}}");
      assertEquals(`sha256:${ids}`, `${image.id} [localhost/web:1]\n`);
    });
  }
});

describe("osbuild's store", () => {
  it("has entries as osbuild makes them, and as it made them once", async () => {
    await using store = await tempDir();
    await using registry = await startRegistry();
    const image = await pushImage(registry, "apps/a:1", { layers: [await busyboxLayer()] });
    const legacy = await makeLegacyEntry(store.path, registry, image);
    assertEquals(await osbuildExists(store.path, image.id), false);
    const entry = await makeOsbuildEntry(store.path, registry, image);
    assertEquals(await osbuildExists(store.path, image.id), true);
    assertEquals(await imageId(`dir:${entry}`), image.id);
    await Deno.rename(legacy, store.join("legacy.tar")); // "docker-archive:" takes no path with ":"
    assertEquals(await imageId(`docker-archive:${store.join("legacy.tar")}`), image.id);
    const left = await Array.fromAsync(Deno.readDir(store.join("sources/org.osbuild.containers")));
    assertEquals(left.map(({ name }) => name), [image.id]);
  });
});

describe("smallFs()", () => {
  it("runs full, turns read-only, and goes", async () => {
    const fs = await smallFs("1m");
    const write = (size: number) => Deno.writeFile(`${fs.path}/file`, new Uint8Array(size));
    await assertRejects(() => write(2 ** 21), Error, "No space left");
    await fs.remount("ro");
    await assertRejects(() => write(1), Error, "Read-only");
    await fs.remount("rw");
    await write(1);
    await fs[Symbol.asyncDispose]();
    assertEquals(await exists(fs.path), false);
  });
});

describe("makeSigner()", () => {
  it("signs images, and makes skopeo refuse those that it has not signed", async () => {
    await using dir = await tempDir();
    await using registry = await startRegistry();
    await using signer = await makeSigner();
    const layers = [await nginxLikeLayer()];
    const image = await pushImage(registry, "apps/a:1", { layers });
    await copyTo(registry, image, `dir:${dir.join("plain")}`);
    const flags = await signer.flags(registry);
    const url = `docker://${image.reference}`;
    const pull = ["copy", ...registry.flags("src"), url, `dir:${dir.join("signed")}`];
    await assertRejects(() => skopeo(...flags, ...pull), Error, "A signature was required");
    const push = [`--sign-by=${signer.fingerprint}`, ...registry.flags("dest")];
    const copy = ["copy", ...push, `dir:${dir.join("plain")}`, url];
    await run("skopeo", [...flags, ...copy], { env: signer.env });
    await skopeo(...flags, ...pull);
    assert(await exists(dir.join("signed/signature-1")));
  });
});
