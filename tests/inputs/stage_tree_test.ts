import { assertEquals, assertNotEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  type Config,
  ConfigError,
  copyTree,
  docker,
  draw,
  exec,
  images,
  install,
  ociArchive,
  output,
  StageError,
  stowage,
  tree,
  type TreePatterns,
  unpack as unpackImage,
} from "@stowage/stowage";
import { idsOf, listTree, mustBuild, mustFail, statusOf, treeOf } from "../build/fixture.ts";
import { collect } from "../maintain/gc_fixture.ts";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";

const { dir, at } = await fixture();

const MAKE = `mkdir -p etc usr/lib/app var/cache/apt
  echo motd >etc/motd; echo so >usr/lib/app/lib.so; ln usr/lib/app/lib.so usr/lib/hard
  echo x >var/cache/apt/x; ln -s motd etc/link; chown 7:8 etc/motd; chmod 700 var/cache
  echo z >usr/lib/app.conf`;

const os = exec({ command: ["sh", "-euc", MAKE] });

/** The tree of a stage, whole or in part, as an image of one layer, as a copy, and as a command sees it. */
function config(patterns: TreePatterns = {}): Config {
  return {
    inputs: { os: tree({ stage: "os", ...patterns }) },
    stages: {
      os,
      image: ociArchive({ inputs: ["os"], filename: "os.tar", compression: "none" }),
      copy: copyTree({ inputs: ["os"] }),
      seen: exec({
        inputs: ["os"],
        command: ["sh", "-euc", `cd "$STOWAGE_INPUT_OS"; find . -mindepth 1 >"$OLDPWD/seen"`],
      }),
    },
  };
}

const ALL = { os: "ran", image: "ran", copy: "ran", seen: "ran" };
const NONE = { os: "cached", image: "cached", copy: "cached", seen: "cached" };

/** Unpacks the layers of an archive, one over the other; returns how many they are. */
async function unpack(archive: string, to: string): Promise<number> {
  const layout = `${to}.layout`;
  await run("mkdir", [layout, to]);
  await run("tar", ["-xf", archive, "-C", layout]);
  const json = async (path: string) => JSON.parse(await Deno.readTextFile(join(layout, path)));
  const blob = (digest: string) => `blobs/${digest.replace(":", "/")}`;
  const { manifests: [{ digest }] } = await json("index.json");
  const { layers } = await json(blob(digest));
  for (const layer of layers) {
    await run("tar", ["-xpf", join(layout, blob(layer.digest)), "-C", to]);
  }
  return layers.length;
}

describe("tree() of a stage", () => {
  it("is a layer of an image, a tree to copy and one to look at, all the same", async () => {
    const build = await mustBuild(config(), at);
    assertEquals(statusOf(build), ALL);
    const made = await listTree(treeOf(build, "os"));
    assertEquals(await unpack(join(treeOf(build, "image"), "os.tar"), dir.join("image")), 1);
    assertEquals(await listTree(dir.join("image")), made);
    assertEquals(await listTree(treeOf(build, "copy")), made);
    for (const folder of [dir.join("image"), treeOf(build, "copy")]) {
      const { uid, gid, nlink } = await Deno.stat(join(folder, "etc/motd"));
      assertEquals([uid, gid, nlink], [7, 8, 1]);
      assertEquals((await Deno.stat(join(folder, "usr/lib/hard"))).nlink, 2);
    }
    assertEquals(statusOf(await mustBuild(config(), at)), NONE);
  });

  it("is a layer for each, in the order of the inputs", async () => {
    const two: Config = {
      inputs: { base: tree({ stage: "base" }), app: tree({ stage: "app" }) },
      stages: {
        base: exec({ command: ["sh", "-c", "echo base >a; echo base >b"] }),
        app: exec({ command: ["sh", "-c", "echo app >b"] }),
        image: ociArchive({ inputs: ["base", "app"], filename: "i.tar", compression: "none" }),
      },
    };
    const build = await mustBuild(two, at);
    assertEquals(await unpack(join(treeOf(build, "image"), "i.tar"), dir.join("i")), 2);
    assertEquals(await run("cat", [dir.join("i/a"), dir.join("i/b")]), "base\napp\n");
  });

  const PARTS: readonly [patterns: TreePatterns, left: readonly string[]][] = [
    [{ exclude: ["/var/cache/*", "usr"] }, ["etc", "etc/link", "etc/motd", "var", "var/cache"]],
    [{ include: ["usr/lib/*.conf"] }, ["usr", "usr/lib", "usr/lib/app.conf"]],
    [{ include: ["/**/motd", "/var/cache"], exclude: ["**/x"] }, [
      ...["etc", "etc/motd", "var", "var/cache", "var/cache/apt"],
    ]],
    [{ include: ["usr/lib/app/"] }, ["usr", "usr/lib", "usr/lib/app", "usr/lib/app/lib.so"]],
    [{ exclude: ["*"] }, []],
  ];
  for (const [patterns, left] of PARTS) {
    it(`is what patterns mean of it: ${JSON.stringify(patterns)}`, async () => {
      const build = await mustBuild(config(patterns), { ...at, epoch: 0 });
      await unpack(join(treeOf(build, "image"), "os.tar"), dir.join("image"));
      assertEquals(await listTree(dir.join("image")), [...left]);
      assertEquals(await listTree(treeOf(build, "copy")), [...left]);
      const seen = await Deno.readTextFile(join(treeOf(build, "seen"), "seen"));
      assertEquals(seen.split("\n").filter(Boolean).sort(), left.map((path) => `./${path}`));
      // The same part of a folder on disk is the same.
      const onDisk: Config = {
        inputs: { os: tree(treeOf(build, "os"), patterns) },
        stages: { image: ociArchive({ inputs: ["os"], filename: "os.tar", compression: "none" }) },
      };
      const other = await mustBuild(onDisk, { ...at, store: dir.join("other"), epoch: 0 });
      const archives = [treeOf(build, "image"), treeOf(other, "image")];
      const [one, two] = await Promise.all(archives.map((path) => Deno.readFile(`${path}/os.tar`)));
      assertEquals(one, two);
    });
  }

  it("keeps names that are no Unicode", async () => {
    const make = `mkdir a; echo x >"a/$(printf 'n\\nl \\377')"; echo b >b`;
    const build = await mustBuild({
      inputs: { os: tree({ stage: "os", include: ["a"] }) },
      stages: {
        os: exec({ command: ["sh", "-euc", make] }),
        copy: copyTree({ inputs: ["os"] }),
      },
    }, at);
    const found = await run("find", [treeOf(build, "copy"), "-mindepth", "1", "-printf", "%f|"]);
    assertEquals(found, "a|n\nl \ufffd|");
  });

  it("is made again for other patterns only where they are read", async () => {
    const before = await mustBuild(config(), at);
    const after = await mustBuild(config({ exclude: ["/var"] }), at);
    assertEquals(statusOf(after), { ...ALL, os: "cached" });
    assertNotEquals(idsOf(after)["image"], idsOf(before)["image"]);
  });

  it("refuses a pattern to include that means nothing", async () => {
    const build = await mustFail(StageError, "input/os", config({ include: ["etc", "ect"] }), at);
    assertEquals(
      build.error.message,
      'Cannot read input "os": nothing in the tree is "ect", or it is all excluded',
    );
    assertEquals(build.skipped, ["stage/image", "stage/copy", "stage/seen"]);
  });

  it("has the tree's own folder, where that is not as most are", async () => {
    const rootOf = async (script: string, exclude: string[] = []) => {
      const build = await mustBuild({
        inputs: { tree: tree({ stage: "os", exclude }), image: output("image") },
        stages: {
          os: exec({ command: ["sh", "-c", `${script}; touch one two`] }),
          image: ociArchive({ inputs: ["tree"], filename: "a.tar", compression: "none" }),
          back: unpackImage({ inputs: ["image"] }),
        },
      }, at);
      const { mode, uid, gid } = await Deno.stat(treeOf(build, "back"));
      return [((mode ?? 0) & 0o7777).toString(8), uid, gid];
    };
    assertEquals(await rootOf("chmod 555 ."), ["555", 0, 0]);
    assertEquals(await rootOf("chown 7:8 .", ["two"]), ["755", 7, 8]);
    assertEquals(await rootOf("true"), ["755", 0, 0]);
  });

  it("is planned, and kept by the garbage collection", async () => {
    const planned = async () =>
      (await stowage(config(), at).plan()).stages.map(({ name, status }) => `${name} ${status}`);
    const names = Object.keys(ALL);
    assertEquals(await planned(), names.map((name) => `${name} run`));
    await mustBuild(config(), at);
    assertEquals(await planned(), names.map((name) => `${name} cached`));
    assertEquals((await collect(config(), at)).went, []);
    assertEquals(statusOf(await mustBuild(config(), at)), NONE);
    await Deno.remove(treeOf(await mustBuild(config(), at), "image"), { recursive: true });
    assertEquals(statusOf(await mustBuild(config(), at)), { ...NONE, image: "ran" });
  });

  it("ends a pipeline that goes on", async () => {
    const stages = { ...config().stages, later: exec({ on: "os", command: ["rm", "etc/motd"] }) };
    const build = await mustBuild({ ...config(), stages }, at);
    assertEquals((await listTree(treeOf(build, "copy"))).includes("etc/motd"), true);
    assertEquals((await listTree(treeOf(build, "later"))).includes("etc/motd"), false);
  });
});

describe("tree() of a stage, compiled", () => {
  it("depends on the stage, and is drawn so", async () => {
    const graph = compile(config());
    assertEquals(graph.nodes.get("input/os")?.needs, ["stage/os"]);
    assertStringIncludes(await draw(graph, "text"), "input/os     tree  ← stage/os");
    assertStringIncludes(await draw(graph, "dot"), '"stage/os" -> "input/os";');
    const other = exec({ command: ["true"] });
    const changed = compile({ ...config(), stages: { ...config().stages, os: other } });
    for (const key of ["input/os", "stage/image"]) {
      assertNotEquals(changed.nodes.get(key)?.id, graph.nodes.get(key)?.id);
    }
  });

  const issuesOf = (config: unknown) =>
    assertThrows(() => compile(config as Config), ConfigError).issues;
  const input = (os: unknown) => issuesOf({ ...config(), inputs: { os } });

  it("refuses stages that are not there, go round in a circle or have no tree", () => {
    assertEquals(input(tree({ stage: "so" })), [
      {
        path: "inputs.os.stage",
        value: "so",
        expected: "the name of one of the stages",
        suggestion: "os",
      },
    ]);
    assertStringIncludes(input(tree({ stage: "image" }))[0]?.expected ?? "", "in a circle");
    const push = install({ inputs: ["web"], destination: { type: "docker" } });
    const expected = "a stage with a tree of its own, and this one puts all elsewhere";
    assertEquals(
      issuesOf({
        sources: { web: docker("web") },
        inputs: {
          web: images({ web: "r.io/web" }),
          os: tree({ stage: "push" }),
          o: output("push"),
        },
        stages: { push, image: ociArchive({ inputs: ["os"], filename: "a" }) },
      }),
      ["os", "o"].map((name) => ({ path: `inputs.${name}.stage`, value: "push", expected })),
    );
  });

  it("refuses what is no tree, and patterns that lead out of it", () => {
    const paths = (os: unknown) => input(os).map(({ path }) => path);
    assertEquals(paths({ type: "tree", stage: 1 }), ["inputs.os.stage"]);
    assertEquals(paths({ type: "tree" }), ["inputs.os.path"]);
    assertEquals(paths({ type: "tree", stage: "os", path: "os" }), ["inputs.os.path"]);
    assertEquals(paths(tree({ stage: "os", include: [] })), ["inputs.os.include"]);
    assertEquals(paths(tree("os", { exclude: ["a", "../b", "/"] })), [
      ...["inputs.os.exclude.1", "inputs.os.exclude.2"],
    ]);
  });
});
