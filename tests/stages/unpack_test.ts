import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  type Config,
  ConfigError,
  docker,
  exec,
  fromOciArchive,
  images,
  ociArchive,
  output,
  StageError,
  tree,
  type TreeOptions,
  unpack,
  type UnpackOptions,
} from "@stowage/stowage";
import { idsOf, listTree, mustBuild, mustFail, statusOf, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import {
  fileLayer,
  imagesInput,
  pushImage,
  run,
  smallFs,
  stageContext,
  stageImage,
  type TarTree,
} from "../support/mod.ts";
import { unpack as runUnpack } from "../../src/stages/run/unpack.ts";
import { openStorage } from "./storage.ts";

const { dir, registry, at } = await fixture({ registry: true });

/** All that belongs to the files of a tree, and their attributes. */
const describeTree = (folder: string) =>
  run("sh", [
    "-euc",
    `cd "$1"; find . -mindepth 1 ! -type d -printf '%P %y %m %U:%G %n %s %T@ %l\\n' -o -printf '%P %y %m %U:%G\\n' |
       LC_ALL=C sort
     find . -type b -o -type c | sort | xargs -r stat -c '%n %t:%T'
     find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
     find . -print0 | LC_ALL=C sort -z | xargs -0 \\
       getfattr -d -m '^(user|trusted|security.capability|system.posix)' -h`,
    "sh",
    folder,
  ]);

const LOWER = `
  mkdir -p etc usr/lib dev opt/app/old tmp && ln -s usr/lib lib && chmod 1777 tmp && chmod 555 usr/lib
  echo a >etc/a && ln etc/a etc/hard && chown 101:7 etc/a && chmod 640 etc/a && ln -s /etc/a etc/soft
  mknod dev/null c 1 3 && mknod dev/disk b 7 200 && mkfifo dev/pipe && cp /bin/true usr/suid
  chmod 4755 usr/suid && setcap cap_net_raw+ep usr/suid && setfattr -n user.x -v 'y=1%25' etc/a && setfattr -n 'user.%3D' -v z etc/a
  setfacl -m u:101:r etc/a && truncate -s 1M opt/hole && echo x >>opt/hole && echo old >opt/app/old/file
  echo libc >usr/lib/libc.so && touch -d @1234567890.5 usr/lib/libc.so && echo gone >etc/gone
  printf x >"$(printf 'new\\nline \\377')" && echo far >usr/far && chown 3000000:4000000 usr/far
  echo f >becomes-folder && mkdir becomes-file && echo x >becomes-file/x`;
const UPPER = `
  mkdir -p etc opt/app becomes-folder usr && touch etc/.wh.gone opt/app/.wh..wh..opq
  echo new >opt/app/new && echo y >becomes-folder/y && chmod 711 opt/app && rm -rf becomes-folder
  touch .wh.becomes-file && echo b >etc/b`;

/** An image of two trees that have all there is. */
async function makeTrees(): Promise<Config> {
  for (const [name, script] of [["lower", LOWER], ["upper", UPPER]] as const) {
    await Deno.mkdir(dir.join(name));
    await run("sh", ["-euc", script], { cwd: dir.join(name) });
  }
  return {
    inputs: {
      lower: tree("lower", { dates: "keep" }),
      upper: tree("upper", { dates: "keep" }),
      app: output("app", { as: "localhost/app:1" }),
    },
    stages: {
      app: ociArchive({
        inputs: ["lower", "upper"],
        filename: "app.tar",
        whiteouts: true,
        compression: "zstd",
      }),
      os: unpack({ inputs: ["app"] }),
    },
  };
}

/** A tree that becomes an image, and a tree again. */
const thereAndBack = (options: TreeOptions = {}): Required<Pick<Config, "inputs" | "stages">> => ({
  inputs: { one: tree("lower", { dates: "keep", ...options }), image: output("image") },
  stages: {
    image: ociArchive({ inputs: ["one"], filename: "one.tar", compression: "none" }),
    back: unpack({ inputs: ["image"] }),
  },
});

/** A config that unpacks an image of some layers. */
async function unpacking(
  layers: readonly TarTree[],
  options: UnpackOptions = {},
): Promise<Config> {
  const path = `apps/${crypto.randomUUID()}:1`;
  const image = await pushImage(registry, path, {
    layers: await Promise.all(layers.map((layer) => fileLayer(layer, { bare: true }))),
  });
  return {
    sources: { app: docker(image.reference, { tlsVerify: false }) },
    inputs: { app: images({ app: "localhost/app:1" }) },
    stages: { os: unpack({ inputs: ["app"], ...options }) },
  };
}

describe("unpack", () => {
  for (const kind of ["the disk", "a tmpfs"]) {
    it(`makes what podman mounts, on ${kind}`, async () => {
      await using disk = await smallFs("64m");
      const store = kind === "a tmpfs" ? join(disk.path, "store") : at.store;
      const [{ inputs, stages }, again] = [await makeTrees(), thereAndBack()];
      const build = await mustBuild({
        inputs: { ...inputs, ...again.inputs },
        stages: { ...stages, ...again.stages },
      }, { ...at, store });
      assertEquals(
        await describeTree(treeOf(build, "back")),
        await describeTree(dir.join("lower")),
      );
      const os = treeOf(build, "os");
      const archive = join(treeOf(build, "app"), "app.tar");
      const storage = dir.join("storage");
      const target = `[overlay@${storage}+${dir.join("run")}]localhost/app:1`;
      const copy = ["copy", "--quiet", `oci-archive:${archive}`, `containers-storage:${target}`];
      await run("skopeo", ["--insecure-policy", ...copy]);
      await run("sh", ["-c", 'umount -l "$1" || true', "sh", join(storage, "overlay")]);
      await using podman = await openStorage(storage, "overlay");
      assertEquals(await describeTree(os), await describeTree(await podman.mount("app:1")));
      assertEquals((await listTree(os)).filter((path) => /gone|old|becomes/.test(path)), [
        "becomes-folder",
      ]);
      assertEquals((await Deno.stat(os)).mode, 0o40755);
    });
  }

  it("makes the same in a user namespace, of what can be made there", async () => {
    const given = await makeTrees();
    const built = await mustBuild(given, { ...at, names: ["app"] });
    await Deno.copyFile(join(treeOf(built, "app"), "app.tar"), dir.join("app.tar"));
    const config: Config = {
      digests: "ignore",
      sources: { app: fromOciArchive("app.tar") },
      inputs: { app: images({ app: "localhost/app:1" }) },
      stages: { os: unpack({ inputs: ["app"], exclude: ["dev/{null,disk}"] }) },
    };
    const outside = await mustBuild(config, { ...at, store: dir.join("outside") });
    const again = thereAndBack({ exclude: ["dev/{null,disk}"] });
    const both = {
      ...config,
      inputs: { ...config.inputs, ...again.inputs },
      stages: { ...config.stages, ...again.stages },
    };
    await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify(both));
    // A namespace with the first ids, and with those of the file that is far.
    const script = `mkfifo go; unshare --user sh -euc 'read _ <go; exec "$@"' sh "$@" & pid=$!
      self=$(readlink /proc/self/ns/user)
      until [ "$(readlink /proc/$pid/ns/user)" != "$self" ]; do kill -0 $pid; done
      echo 0 0 4000001 >/proc/$pid/uid_map; echo 0 0 4000001 >/proc/$pid/gid_map; echo >go; wait $pid`;
    const stowage = new URL("../../scripts/stowage", import.meta.url).pathname;
    const command = ["sh", stowage, "build", "--quiet", "--store", dir.join("inside")];
    await run("sh", ["-euc", script, "sh", ...command, "--out", dir.join("out")], {
      cwd: dir.path,
    });
    // A capability that is set in a namespace is of that namespace.
    const plain = (text: string) => text.replace(/security\.capability=.*/g, "");
    assertEquals(
      plain(await describeTree(dir.join("out/os"))),
      plain(await describeTree(treeOf(outside, "os"))),
    );
    await run("rm", ["lower/dev/null", "lower/dev/disk"], { cwd: dir.path });
    assertEquals(
      plain(await describeTree(dir.join("out/back"))),
      plain(await describeTree(dir.join("lower"))),
    );
  });

  it("leaves out what a pattern says, with all below it", async () => {
    const config = await unpacking(
      [{ "usr/lib/a": "a", "usr/lib/b/c": "c", "etc/a": "a", "etc/link": { hardlink: "etc/a" } }],
      { exclude: ["/usr/lib/*", "etc/a"] },
    );
    const os = treeOf(await mustBuild(config, at), "os");
    assertEquals(await listTree(os), ["etc", "etc/link", "usr", "usr/lib"]);
    assertEquals(await Deno.readTextFile(join(os, "etc/link")), "a");
  });

  it("writes through links of layers inside the tree, and never outside", async () => {
    await Deno.mkdir(dir.join("outside"));
    await Deno.writeTextFile(dir.join("outside/mine"), "mine");
    const outside = dir.join("outside");
    const [top = ""] = outside.split("/").filter(Boolean);
    const up = "../".repeat(20);
    const config = await unpacking([
      {
        "abs": { symlink: outside },
        "up": { symlink: `${up}${outside.slice(1)}` },
        "root": { symlink: "/" },
        "loop/back": { symlink: "../.." },
        [`${outside.slice(1)}/mine`]: "theirs",
      },
      {
        "abs/one": "1",
        "up/two": "2",
        "loop/back/three": "3",
        [`root/${top}/four`]: "4",
        "stolen": { hardlink: "abs/mine" },
      },
      { "up/.wh.mine": "" },
    ]);
    const os = treeOf(await mustBuild(config, at), "os");
    assertEquals(await listTree(outside), ["mine"]);
    assertEquals(await Deno.readTextFile(dir.join("outside/mine")), "mine");
    assertEquals(await listTree(join(os, outside)), ["one", "two"]);
    assertEquals(await Deno.readTextFile(join(os, "stolen")), "theirs");
    assertEquals(await Deno.readTextFile(join(os, top, "four")), "4");
    assertEquals(await Deno.readTextFile(join(os, "three")), "3");
  });

  it("refuses what has no place in a tree", async () => {
    const refuse = async (...layers: TarTree[]): Promise<string> => {
      const config = await unpacking(layers);
      const { error } = await mustFail(StageError, "stage/os", config, at);
      assertEquals(await listTree(join(at.store, "trees")).catch(() => []), []);
      return error.message.replace(/^.* cannot be unpacked: /, "");
    };
    assertEquals(await refuse({ "../x": "" }), '"../x" leads out of the tree');
    assertEquals(await refuse({ "a/../x": "" }), '"a/../x" leads out of the tree');
    assertEquals(
      await refuse({ "x": { hardlink: "../etc/passwd" } }),
      '"../etc/passwd" leads out of the tree',
    );
    assertEquals(
      await refuse({ "x": { hardlink: "/etc/passwd" } }),
      '"x" is a hard link to nothing: "/etc/passwd"',
    );
    assertEquals(
      await refuse({ "d": { dir: true } }, { "x": { hardlink: "d" } }),
      '"x" is a hard link to a folder: "d"',
    );
    assertEquals(
      await refuse({ "a": { symlink: "b" }, "b": { symlink: "a" } }, { "a/x": "" }),
      'too many links in "a"',
    );
    assertEquals(
      await refuse({ "a": "file" }, { "a/x": "" }),
      '"a" is below what is no folder: "a"',
    );
    assertEquals(await refuse({ "d/.wh...": "" }), '"d/.wh..." deletes nothing that has a name');
  });

  it("reads long names, wherever a part of the layer ends", async () => {
    const names = Array.from({ length: 60 }, (_, at) => `${"n".repeat(150)}-${at}`);
    await Deno.mkdir(dir.join("long"));
    for (const name of names) await Deno.writeTextFile(dir.join("long", name), "");
    const build = await mustBuild({
      inputs: { long: tree("long"), image: output("image") },
      stages: {
        image: ociArchive({ inputs: ["long"], filename: "long.tar" }),
        os: unpack({ inputs: ["image"] }),
      },
    }, at);
    assertEquals(await listTree(treeOf(build, "os")), names.toSorted());
  });

  it("has of layers what an earlier deletion does not mean", async () => {
    const config = await unpacking([
      { "low": "1", "d/low": "1", "d/e/low": "1", "keep/low": "1" },
      { ".wh.low": "", "low": "2", "d/new": "2", "d/.wh..wh..opq": "", ".wh..wh.plnk": "" },
    ]);
    const os = treeOf(await mustBuild(config, at), "os");
    assertEquals(await listTree(os), ["d", "d/new", "keep", "keep/low", "low"]);
    assertEquals(await Deno.readTextFile(join(os, "low")), "2");
  });

  it("goes on with the tree of another stage, and lets others go on", async () => {
    const given = await unpacking([{ "lib/app.so": "so", "srv": { dir: true, mode: 0o700 } }]);
    const { stages: _, ...rest } = given;
    const build = await mustBuild({
      ...rest,
      inputs: { ...rest.inputs, read: tree({ stage: "inner" }) },
      stages: {
        base: exec({ command: ["sh", "-c", "mkdir -p usr/lib && ln -s usr/lib lib"] }),
        os: unpack({ on: "base", inputs: ["app"] }),
        more: exec({ on: "os", command: ["touch", "lib/more"] }),
        inner: unpack({ inputs: ["app"], to: "/var/lib/machines/app" }),
        again: ociArchive({ inputs: ["read"], filename: "a.tar" }),
      },
    }, { ...at, keepStages: true });
    assertEquals(await listTree(treeOf(build, "more")), [
      ...["lib", "srv", "usr", "usr/lib", "usr/lib/app.so", "usr/lib/more"],
    ]);
    const inner = join(treeOf(build, "inner"), "var/lib/machines/app");
    assertEquals(await listTree(inner), ["lib", "lib/app.so", "srv"]);
    assertEquals((await Deno.stat(join(inner, "srv"))).mode, 0o40700);
  });

  it("makes the same each time, and is cached", async () => {
    const config = await unpacking([{ "a": "a", "b/c": "c" }, { ".wh.a": "" }]);
    const trees = [];
    const ids = [];
    for (const store of ["one", "two"]) {
      const build = await mustBuild(config, { ...at, store: dir.join(store) });
      trees.push(await describeTree(treeOf(build, "os")));
      ids.push(idsOf(build));
    }
    assertEquals([trees[0], ids[0]], [trees[1], ids[1]]);
    const again = await mustBuild(config, { ...at, store: dir.join("one") });
    assertEquals(statusOf(again), { os: "cached" });
  });

  it("tells of signatures that are left behind, unless they are meant to be", async () => {
    const image = await pushImage(registry, "apps/signed:1", {
      layers: [await fileLayer({ a: "a" })],
    });
    for (const removeSignatures of [false, true]) {
      await using stage = await stageContext();
      const folder = stage.dir.join("app");
      const given = await stageImage(registry, image, folder, { names: ["localhost/app:1"] });
      await Deno.writeFile(join(folder, "signature-1"), new Uint8Array([1]));
      const context = { ...stage, inputs: [imagesInput("apps", [given])] };
      await runUnpack({ type: "unpack", inputs: ["apps"], removeSignatures }, context);
      const told = stage.lines.filter((line) => line.includes("signatures"));
      assertEquals(told.length, removeSignatures ? 0 : 1);
      assertEquals(await listTree(stage.tree), ["a"]);
    }
  });

  it("refuses layers that are not those of the config", async () => {
    const image = await pushImage(registry, "apps/other:1", {
      layers: [await fileLayer({ a: "a" }), await fileLayer({ b: "b" })],
    });
    await using stage = await stageContext();
    const folder = stage.dir.join("app");
    const given = await stageImage(registry, image, folder);
    const [one, two] = image.layers.map(({ digest }) => join(folder, digest.slice(7)));
    assert(one && two);
    await Deno.copyFile(two, one);
    const context = { ...stage, inputs: [imagesInput("apps", [given])] };
    const error = await assertRejects(
      () => runUnpack({ type: "unpack", inputs: ["apps"] }, context),
      StageError,
    );
    assertStringIncludes(error.message, `and should be ${image.layers[0]?.diffId}`);
    assertEquals(await listTree(stage.tree), []);
  });

  it("takes one image", () => {
    const app = docker("localhost:1/app:1");
    const config: Config = {
      sources: { one: app, two: app },
      inputs: { both: images({ one: "one:1", two: "two:1" }) },
      stages: { os: unpack({ inputs: ["both"] }) },
    };
    const error = assertThrows(() => compile(config), ConfigError);
    assertStringIncludes(error.message, "one image with one name");
  });
});
