import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { InterruptedError, StageError } from "../../src/errors/mod.ts";
import {
  type Config,
  dockerArchive as dockerArchiveStage,
  ociArchive,
  output,
  tree,
} from "@stowage/stowage";
import { dockerArchive } from "../../src/stages/run/docker_archive.ts";
import type { StageContext, StageImage } from "../../src/stages/stage.ts";
import { assertClean, mustBuild, statusOf, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  containerStorage,
  copyTo,
  digestOf,
  fileLayer,
  imagesInput,
  nginxLikeLayer,
  pushImage,
  run,
  skopeo,
  smallFs,
  stageContext,
  stageImage,
  treeInput,
} from "../support/mod.ts";

const STAGE = { type: "docker-archive", inputs: ["apps"] } as const;
const SUFFIXES = [["zstd", ".zst"], ["gzip", ".gz"], ["none", ".tar"]] as const;
const NAME = "quay.io/acme/app:1.4";
const FILE = "quay.io.acme.app:1.4";

const { dir, registry } = await fixture({ registry: true });

/** An image in a folder, of two small layers. */
async function makeImage(
  names: readonly string[] = [NAME],
  options: Omit<Parameters<typeof pushImage>[2], "layers"> = {},
  compression: "gzip" | "zstd" | "none" = "gzip",
): Promise<StageImage> {
  const layers = [
    await fileLayer({ "etc/motd": "hello\n" }, { compression }),
    await nginxLikeLayer({ compression }),
  ];
  const image = await pushImage(registry, "app:1", { layers, ...options });
  return await stageImage(registry, image, dir.join(crypto.randomUUID()), { names });
}

async function listFiles(folder: string): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  return names.sort();
}

/**
 * The plain archive: neither skopeo nor podman takes a path with ":", nor reads gzip on Debian 12.
 * https://github.com/containers/podman/issues/15944
 */
async function unpack(path: string): Promise<string> {
  const plain = dir.join(crypto.randomUUID());
  const script = 'case $1 in *.zst) zstd -dc ;; *.gz) gzip -dc ;; *) cat ;; esac <"$1" >"$2"';
  await run("sh", ["-c", script, "unpack", path, plain]);
  return plain;
}

async function idOf(path: string): Promise<string> {
  const archive = `docker-archive:${await unpack(path)}`;
  return await digestOf(await skopeo("inspect", "--config", "--raw", archive));
}

describe("dockerArchive()", () => {
  for (const [compression, suffix] of SUFFIXES) {
    it(`writes an archive that podman loads by name, compression: ${compression}`, async () => {
      await using storage = await containerStorage();
      const image = await makeImage();
      await using stage = await stageContext({ inputs: [imagesInput("apps", [image])] });
      await dockerArchive({ ...STAGE, path: "/images", compression }, stage);
      const folder = `${stage.tree}/images`;
      assertEquals(await listFiles(folder), [`${FILE}${suffix}`]);
      const path = `${folder}/${FILE}${suffix}`;
      await storage.podman("load", "--input", await unpack(path));
      const found = await storage.podman("images", "--no-trunc", "--format={{.Id}} {{.Names}}");
      assertEquals(`sha256:${found}`, `${image.id} [${NAME}]\n`);
      const { mode } = await Deno.stat(path);
      assertEquals((mode ?? 0) & 0o7777, 0o644);
    });
  }

  it("compresses as hard as it is told", async () => {
    const image = await makeImage();
    await using stage = await stageContext({ inputs: [imagesInput("apps", [image])] });
    const sizeOf = async (level: number, compression: "gzip" | "zstd", suffix: string) => {
      await dockerArchive({ ...STAGE, compression, level }, stage);
      return (await Deno.stat(`${stage.tree}/${FILE}${suffix}`)).size;
    };
    assert(await sizeOf(9, "gzip", ".gz") < await sizeOf(1, "gzip", ".gz"));
    assert(await sizeOf(19, "zstd", ".zst") < await sizeOf(1, "zstd", ".zst"));
    assertEquals((await listFiles(stage.archives)).length, 4);
  });

  const kinds = [["oci", "gzip"], ["oci", "zstd"], ["oci", "none"], ["docker", "gzip"]] as const;
  for (const [mediaTypes, compression] of kinds) {
    it(`keeps the id of an image of ${mediaTypes} with layers of ${compression}`, async () => {
      await using storage = await containerStorage();
      const image = await makeImage([NAME], { mediaTypes }, compression);
      await using stage = await stageContext({ inputs: [imagesInput("apps", [image])] });
      await dockerArchive(STAGE, stage);
      const path = `${stage.tree}/${FILE}.zst`;
      assertEquals(await idOf(path), image.id);
      await storage.podman("load", "--input", await unpack(path));
      const ids = await storage.podman("images", "--no-trunc", "--quiet");
      assertEquals(ids, `${image.id}\n`);
    });
  }

  it("takes images of OCI archives and other platforms, in paths with colons", async () => {
    await using made = await stageContext();
    const layers = [await busyboxLayer()];
    const image = await pushImage(registry, "app:1", { layers, platform: "linux/arm/v7" });
    await copyTo(registry, image, `oci-archive:${dir.join("app.tar")}`);
    const staging = made.dir.join("sha256:staging");
    for (const folder of [staging, dir.join("sha256:abc")]) await Deno.mkdir(folder);
    const path = dir.join("sha256:abc/app:1.tar");
    await Deno.rename(dir.join("app.tar"), path);
    const { id, digest } = image;
    const platform = { os: "linux", architecture: "arm", variant: "v7" };
    const stageImage = {
      format: "oci-archive",
      path,
      id,
      digest,
      platform,
      names: [NAME],
    } as const;
    const stage = { ...made, staging, inputs: [imagesInput("apps", [stageImage])] };
    await dockerArchive(STAGE, stage);
    assertEquals(await idOf(`${stage.tree}/${FILE}.zst`), id);
  });

  it("writes an archive for each name: docker's own files by their short names, no digests", async () => {
    const names = [
      "docker.io/library/caddy:2.8",
      "localhost:5000/caddy:2",
      `quay.io/acme/caddy:3@sha256:${"a".repeat(64)}`,
      `quay.io/acme/other@sha256:${"a".repeat(64)}`,
    ];
    const image = await makeImage(names);
    const inputs = [imagesInput("apps", [image]), imagesInput("more", [image])];
    await using stage = await stageContext({ inputs });
    await dockerArchive({ ...STAGE, compression: "none" }, stage);
    assertEquals(await listFiles(stage.tree), [
      "caddy:2.8.tar",
      "localhost:5000.caddy:2.tar",
      "quay.io.acme.caddy:3.tar",
      "quay.io.acme.other:latest.tar",
    ]);
    const tar = ["--extract", "--to-stdout", "--force-local", "manifest.json", "--file"];
    const read = async (file: string): Promise<string[]> =>
      JSON.parse(await run("tar", [...tar, `${stage.tree}/${file}`]))[0].RepoTags;
    assertEquals(await read("caddy:2.8.tar"), ["docker.io/library/caddy:2.8"]);
    assertEquals(await read("quay.io.acme.caddy:3.tar"), ["quay.io/acme/caddy:3"]);
    assertEquals(await read("quay.io.acme.other:latest.tar"), ["quay.io/acme/other:latest"]);
  });

  it("makes the same bytes each time, dated as the build is", async () => {
    const inputs = [imagesInput("apps", [await makeImage()])];
    for (const [compression, suffix] of SUFFIXES) {
      const digests = new Set<string>();
      for (const epoch of [0, 1_700_000_000]) {
        await using stage = await stageContext({ inputs, epoch });
        await dockerArchive({ ...STAGE, path: "/srv/images", compression }, stage);
        digests.add(
          await digestOf(await Deno.readFile(`${stage.tree}/srv/images/${FILE}${suffix}`)),
        );
        for (const path of ["", "srv", "srv/images", `srv/images/${FILE}${suffix}`]) {
          const { mtime } = await Deno.stat(`${stage.tree}/${path}`);
          assertEquals(mtime?.getTime(), epoch * 1000, path);
        }
      }
      assertEquals(digests.size, 1, compression);
    }
  });

  it("makes an archive once, and links it into each tree", async () => {
    const inputs = [imagesInput("apps", [await makeImage()])];
    await using first = await stageContext({ inputs });
    await using second = await stageContext({ inputs });
    const { archives } = first;
    await dockerArchive(STAGE, first);
    const programs: string[] = [];
    const run: StageContext["run"] = (program, args, options) => {
      programs.push(program);
      return second.run(program, args, options);
    };
    await dockerArchive(STAGE, { ...second, archives, run });
    assertEquals(programs, ["touch"]);
    const [made, linked] = await Promise.all(
      [first, second].map(({ tree }) => Deno.stat(`${tree}/${FILE}.zst`)),
    );
    assertEquals(made?.ino, linked?.ino);
    assertEquals([...await listFiles(first.scratch), ...await listFiles(first.staging)], []);
    // Another date is another file, and the first one keeps its own.
    await dockerArchive(STAGE, { ...second, archives, epoch: 7 });
    const dates = await Promise.all(
      [first, second].map(async ({ tree }) => (await Deno.stat(`${tree}/${FILE}.zst`)).mtime),
    );
    assertEquals(dates.map((date) => date?.getTime()), [0, 7000]);
  });

  it("makes an archive again that someone has changed", async () => {
    const image = await makeImage();
    const inputs = [imagesInput("apps", [image])];
    await using first = await stageContext({ inputs });
    await using second = await stageContext({ inputs });
    await dockerArchive(STAGE, first);
    await Deno.writeTextFile(`${first.tree}/${FILE}.zst`, "x", { append: true });
    await dockerArchive(STAGE, { ...second, archives: first.archives });
    assertEquals(await idOf(`${second.tree}/${FILE}.zst`), image.id);
    assertNotEquals(
      (await Deno.stat(`${first.tree}/${FILE}.zst`)).ino,
      (await Deno.stat(`${second.tree}/${FILE}.zst`)).ino,
    );
  });

  it("copies an archive to another file system, and replaces what is there", async () => {
    await using fs = await smallFs("16m");
    const image = await makeImage();
    await using made = await stageContext({ inputs: [imagesInput("apps", [image])] });
    const stage = { ...made, tree: fs.path };
    await Deno.writeTextFile(`${fs.path}/${FILE}.zst`, "old");
    await dockerArchive(STAGE, stage);
    await dockerArchive(STAGE, stage);
    assertEquals(await listFiles(fs.path), [`${FILE}.zst`]);
    assertEquals(await idOf(`${fs.path}/${FILE}.zst`), image.id);
  });

  it("is made in a store whose path skopeo would take apart, on a file system of its own", async () => {
    await using fs = await smallFs("16m");
    await Deno.mkdir(dir.join("files"));
    await Deno.writeTextFile(dir.join("files/motd"), "hello\n");
    const config: Config = {
      inputs: { files: tree("files"), app: output("app", { as: NAME }) },
      stages: {
        app: ociArchive({ inputs: ["files"], filename: "app.tar" }),
        os: dockerArchiveStage({ inputs: ["app"] }),
      },
    };
    const at = { root: dir.path, store: `${fs.path}/a:b` };
    const build = await mustBuild(config, at);
    assertEquals(await listFiles(treeOf(build, "os")), [`${FILE}.zst`]);
    await Deno.writeTextFile(`${treeOf(build, "os")}/${FILE}.zst`, "x", { append: true });
    const again = await mustBuild(config, at);
    assertEquals(statusOf(again), { app: "cached", os: "ran" });
    await unpack(`${treeOf(again, "os")}/${FILE}.zst`);
    await assertClean(at.store);
  });

  it("stays in the tree where links lead out of it", async () => {
    const image = await makeImage();
    await using stage = await stageContext({ inputs: [imagesInput("apps", [image])] });
    await Deno.symlink("/var/images", `${stage.tree}/images`);
    await dockerArchive({ ...STAGE, path: "/images" }, stage);
    assertEquals(await listFiles(`${stage.tree}/var/images`), [`${FILE}.zst`]);
  });

  it("heeds no policy of the machine, and leaves signatures behind", async () => {
    const image = await makeImage();
    await Deno.writeFile(`${image.path}/signature-1`, new Uint8Array([0x95, 1, 2]));
    await Deno.mkdir(dir.join(".config/containers"), { recursive: true });
    const policy = JSON.stringify({ default: [{ type: "reject" }] });
    await Deno.writeTextFile(dir.join(".config/containers/policy.json"), policy);
    await using made = await stageContext({ inputs: [imagesInput("apps", [image])] });
    const run: StageContext["run"] = (program, args, options) =>
      made.run(program, args, { ...options, env: { HOME: dir.path } });
    const copy = ["copy", "--quiet", `dir:${image.path}`, `dir:${dir.join("copy")}`];
    await assertRejects(() => run("skopeo", copy), StageError, "rejected by policy");
    await dockerArchive(STAGE, { ...made, run });
    assertEquals(await idOf(`${made.tree}/${FILE}.zst`), image.id);
  });

  it("keeps nothing of an image with another id", async () => {
    const image = await makeImage();
    const id = `sha256:${"a".repeat(64)}`;
    const inputs = [imagesInput("apps", [{ ...image, id }])];
    await using stage = await stageContext({ name: "archives", inputs });
    await assertRejects(
      () => dockerArchive(STAGE, stage),
      StageError,
      `Cannot run stage "archives": "${NAME}" was written as ${image.id}, and is ${id}`,
    );
    assertEquals(await listFiles(stage.archives), []);
    assertEquals(await listFiles(stage.tree), []);
  });

  it("keeps nothing of an archive that it was interrupted in", async () => {
    const image = await makeImage();
    const aborter = new AbortController();
    const inputs = [imagesInput("apps", [image])];
    await using stage = await stageContext({ inputs, signal: aborter.signal });
    const run: StageContext["run"] = (program, args, options) => {
      if (program === "zstd") aborter.abort();
      return stage.run(program, args, options);
    };
    await assertRejects(() => dockerArchive(STAGE, { ...stage, run }), InterruptedError);
    assertEquals(await listFiles(stage.archives), []);
  });

  it("refuses names that clash, names that are too long, trees, and nothing at all", async () => {
    const image = await makeImage();
    const other = await makeImage([NAME], { config: { Env: ["A=b"] } });
    const long = `quay.io/${"a".repeat(200)}:${"b".repeat(100)}`;
    const cases = [
      [[imagesInput("a", [image]), imagesInput("b", [other])], `two images are called "${NAME}"`],
      [
        [imagesInput("a", [{ ...image, names: ["quay.io/a/b:1", "quay.io/a.b:1"] }])],
        'two archives would be called "quay.io.a.b:1.zst"',
      ],
      [[imagesInput("a", [{ ...image, names: [long] }])], "is too long for the name of a file"],
      [[treeInput("rootfs", dir.path)], 'input "rootfs" gives a tree, not images'],
      [[imagesInput("a", [])], "its inputs have no images"],
    ] as const;
    for (const [inputs, message] of cases) {
      await using stage = await stageContext({ inputs });
      await assertRejects(() => dockerArchive(STAGE, stage), StageError, message);
    }
  });
});
