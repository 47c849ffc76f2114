import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  copyTree,
  defineConfig,
  exec,
  fromDir,
  images,
  install,
  RunError,
  StageError,
  StoreError,
  stowage,
  ToolMissingError,
  tree,
  UsageError,
} from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { smallFs, tempDir } from "../support/mod.ts";
import {
  assertClean,
  buildAll,
  type FixtureOptions,
  idsOf,
  listTree,
  mustBuild,
  mustFail,
  statusOf,
  treeOf,
} from "./fixture.ts";

const { dir, at } = await fixture({ files: { "files/motd": "hello\n" } });

/** A command that adds a file to the tree. */
const add = (name: string) => ["touch", name];
const sh = (script: string) => ["sh", "-c", script];

/** base ▶ middle ▶ end, a branch off base, and a stage with a tree from disk. */
const config = defineConfig({
  inputs: { files: tree("files") },
  stages: {
    base: exec({ command: add("base") }),
    middle: exec({ command: add("middle"), on: "base" }),
    end: exec({ command: add("end"), on: "middle" }),
    branch: exec({ command: add("branch"), on: "base" }),
    files: copyTree({ inputs: ["files"], to: "/etc" }),
  },
});

describe("a build", () => {
  it("puts no results into what it is made of", async () => {
    for (const out of ["files", "files/out", "files/../files/a/b"]) {
      const build = mustBuild(config, { ...at, out: dir.join(out) });
      await assertRejects(() => build, UsageError, 'what the input "files" reads');
    }
    await assertRejects(
      () => mustBuild(config, { ...at, out: join(at.store, "trees/out") }),
      UsageError,
      "it is in the store",
    );
    assertEquals(await listTree(dir.join("files")), ["motd"]);
  });

  it("runs stages on one tree, keeps the last of each, and finds them again", async () => {
    const build = await mustBuild(config, at);
    const all = { base: "ran", middle: "ran", end: "ran", branch: "ran", files: "ran" };
    assertEquals(statusOf(build), all);
    assertEquals(await listTree(treeOf(build, "base")), ["base"]);
    assertEquals(await listTree(treeOf(build, "end")), ["base", "end", "middle"]);
    assertEquals(await listTree(treeOf(build, "branch")), ["base", "branch"]);
    assertEquals(await listTree(treeOf(build, "files")), ["etc", "etc/motd"]);
    assertEquals((await listTree(join(at.store, "trees"))).filter((it) => !it.includes("/")), [
      ...["base", "branch", "end", "files"].map((name) => idsOf(build)[name]).sort(),
    ]);
    await assertClean(at.store);

    const again = await mustBuild(config, at);
    assertEquals(new Set(Object.values(statusOf(again))), new Set(["cached"]));
    assertEquals(idsOf(again), idsOf(build));
    assertEquals(again.events.filter(({ type }) => type === "stage-start"), []);
    const { stages } = await stowage(config, at).plan();
    assertEquals(new Set(stages.map(({ status }) => status)), new Set(["cached"]));
  });

  it("keeps all trees if told, and then finds those in the middle too", async () => {
    const build = await mustBuild(config, { ...at, keepStages: true });
    assertEquals(await listTree(treeOf(build, "middle")), ["base", "middle"]);
    const longer = {
      ...config,
      stages: { ...config.stages, end: exec({ command: add("other"), on: "middle" }) },
    };
    const again = await mustBuild(longer, at);
    const { middle, end } = statusOf(again);
    assertEquals([middle, end], ["cached", "ran"]);
    assertEquals(await listTree(treeOf(again, "end")), ["base", "middle", "other"]);
  });

  it("makes the same ids in clean stores, whatever the order and the folder", async () => {
    const build = await mustBuild(config, { ...at, epoch: 0 });
    await using other = await tempDir();
    await Deno.mkdir(other.join("files"));
    await Deno.writeTextFile(other.join("files/motd"), "hello\n");
    const stages = Object.fromEntries(Object.entries(config.stages ?? {}).reverse());
    const elsewhere = { root: other.path, store: other.join("s"), jobs: 1, epoch: 0 };
    assertEquals(idsOf(await mustBuild({ ...config, stages }, elsewhere)), idsOf(build));
  });

  it("takes the names of stages, and of what they need no more than that", async () => {
    const build = await mustBuild(config, { ...at, names: ["middle"], out: dir.join("out") });
    assertEquals(statusOf(build), { base: "ran", middle: "ran" });
    assertEquals(build.out, { middle: dir.join("out/middle") });
    assertEquals(await listTree(dir.join("out/middle")), ["base", "middle"]);
    const all = await mustBuild(config, { ...at, out: dir.join("out") });
    assertEquals(Object.keys(all.out).sort(), ["branch", "end", "files"]);
    assertEquals(await listTree(dir.join("out/middle")), ["base", "middle"]);
    await assertRejects(() => buildAll(config, { ...at, names: ["middel"] }), UsageError);
  });

  it("dates ids by SOURCE_DATE_EPOCH", async () => {
    const id = async (options: Partial<FixtureOptions>) =>
      idsOf(await mustBuild(config, { ...at, ...options }))["base"];
    const zero = await id({});
    assertEquals(await id({ epoch: 0 }), zero);
    const later = await id({ epoch: 1_700_000_000 });
    assertNotEquals(later, zero);
    Deno.env.set("SOURCE_DATE_EPOCH", "1700000000");
    try {
      assertEquals(await id({}), later);
    } finally {
      Deno.env.delete("SOURCE_DATE_EPOCH");
    }
  });
});

describe("a failure", () => {
  it("skips what depends on it, and nothing else", async () => {
    const { error, ...build } = await mustFail(
      StageError,
      "stage/middle",
      {
        inputs: { files: tree("files") },
        stages: {
          ...config.stages,
          middle: exec({ command: sh("echo one; echo two >&2; exit 3"), on: "base" }),
          later: copyTree({ inputs: ["files"], on: "end" }),
        },
      },
      { ...at, out: dir.join("out") },
    );
    assertEquals(statusOf(build), { base: "ran", branch: "ran", files: "ran" });
    assertEquals([Object.keys(build.failures), build.skipped], [["stage/middle"], [
      "stage/end",
      "stage/later",
    ]]);
    assertEquals([error.item, error.message], [
      "middle",
      'Cannot run stage "middle": sh exited with 3\n  | == middle\n' +
      "  | $ sh -c echo one; echo two >&2; exit 3\n  | one\n  | two",
    ]);
    const told = build.events.flatMap((event) =>
      event.type === "failed"
        ? [event.name]
        : event.type === "skipped"
        ? [`${event.name} as ${event.because}`]
        : []
    );
    assertEquals(told, ["middle", "end as stage/middle", "later as stage/middle"]);
    assertEquals(Object.keys(build.out).sort(), ["branch", "files"]);
    await assertClean(at.store);

    const again = await mustBuild(config, at);
    assertEquals(statusOf(again), {
      ...{ base: "cached", middle: "ran", end: "ran", branch: "cached", files: "cached" },
    });
  });

  it("is told of the stage that has failed, also further down where trees are apart", async () => {
    const build = await buildAll(
      defineConfig({
        stages: {
          base: exec({ command: ["no-such-tool"] }),
          middle: exec({ command: add("middle"), on: "base" }),
          left: exec({ command: add("left"), on: "middle" }),
          right: exec({ command: add("right"), on: "middle" }),
        },
      }),
      at,
    );
    assert(build.failures["stage/base"] instanceof ToolMissingError);
    assertEquals(build.skipped, ["stage/middle", "stage/left", "stage/right"]);
    const because = build.events.flatMap((it) => it.type === "skipped" ? [it.because] : []);
    assertEquals(because, ["stage/base", "stage/base", "stage/base"]);
  });

  it("hides none of another item with the same name", async () => {
    const platform = "linux/amd64";
    const app = fromDir("gone", { digest: `sha256:${"1".repeat(64)}`, platform });
    const build = await buildAll({
      sources: { app },
      inputs: { app: tree("gone"), apps: images({ app: "localhost/app:1" }) },
      stages: {
        os: copyTree({ inputs: ["app"] }),
        app: install({ inputs: ["apps"], destination: { type: "dir", path: "/app" } }),
      },
    }, at);
    assertEquals(Object.keys(build.failures), ["source/app", "input/app"]);
    assertEquals([...build.skipped].sort(), ["input/apps", "stage/app", "stage/os"]);
    const because = build.events.flatMap((event) =>
      event.type === "skipped" ? [[event.key, event.because]] : []
    );
    assertEquals(because.sort(), [
      ["input/apps", "source/app"],
      ["stage/app", "source/app"],
      ["stage/os", "input/app"],
    ]);
  });

  it("of an input skips the stages that read it", async () => {
    const { error, skipped } = await mustFail(
      StageError,
      "input/files",
      defineConfig({
        inputs: { files: tree("gone") },
        stages: { os: copyTree({ inputs: ["files"] }), other: exec({ command: ["true"] }) },
      }),
      at,
    );
    assertEquals([error.message.includes(dir.join("gone")), skipped], [true, ["stage/os"]]);
    assert(error.hint?.includes("inputs.files.path"));
  });

  it("of the system is one of its stage", async () => {
    const stages = {
      base: exec({ command: add("etc") }),
      os: copyTree({ inputs: ["files"], on: "base", to: "/etc/deep" }),
    };
    const given = defineConfig({ inputs: { files: tree("files") }, stages });
    const { error } = await mustFail(StageError, "stage/os", given, at);
    assert(error.message.includes("'<tree>/etc/deep'"), error.message);
    await assertClean(at.store);
  });

  it("is not lost behind that of --out", async () => {
    const stages = {
      bad: exec({ command: sh("echo why >&2; exit 7") }),
      good: exec({ command: add("x") }),
    };
    const foreign = dir.join("late/good");
    const onEvent = ({ type }: { readonly type: string }) => {
      if (type === "stage-start") Deno.mkdirSync(foreign, { recursive: true });
    };
    const build = stowage({ stages }, at).build({ out: dir.join("late"), onEvent });
    const error = await assertRejects(() => build, RunError);
    assertEquals(Object.values(error.failures).map(({ code }) => code), ["STAGE_FAILED", "USAGE"]);
    const types: string[] = [];
    const next = stowage({ stages }, at).build({
      out: dir.join("late"),
      onEvent: ({ type }) => types.push(type),
    });
    await assertRejects(() => next, UsageError, "something else is there");
    assert(!types.includes("stage-start"), "nothing is built that has no place");
  });

  it("is a full disk, which is said of the stage that filled it", async () => {
    await using small = await smallFs("2m");
    const store = join(small.path, "store");
    const stages = {
      big: exec({ command: sh("head -c 8000000 /dev/zero >big") }),
      next: exec({ command: add("next"), on: "big" }),
    };
    const { skipped } = await mustFail(StageError, "stage/big", { stages }, { ...at, store });
    assertEquals(skipped, ["stage/next"]);
    await assertClean(store);
    await mustBuild({ stages: { next: exec({ command: add("next") }) } }, { ...at, store });
  });

  it("is a store that cannot be written", async () => {
    await using small = await smallFs("2m");
    await small.remount("ro");
    await mustFail(StoreError, "stage/base", { stages: { base: exec({ command: add("base") }) } }, {
      ...at,
      store: join(small.path, "store"),
    });
  });
});

describe("a tree in the store", () => {
  it("is not believed when it was changed, and is made again", async () => {
    const build = await mustBuild(config, at);
    await Deno.writeTextFile(join(treeOf(build, "branch"), "base"), "spoilt");
    const again = await mustBuild(config, at);
    assertEquals(statusOf(again), {
      ...{ base: "cached", middle: "cached", end: "cached", branch: "ran", files: "cached" },
    });
    assertEquals(await Deno.readTextFile(join(treeOf(again, "branch"), "base")), "");
    assertEquals((await listTree(join(at.store, "quarantine"))).length > 0, true);
  });

  it("is not changed by what continues it, nor by a result's new files", async () => {
    const build = await mustBuild(config, { ...at, out: dir.join("out") });
    await Deno.writeTextFile(dir.join("out/branch/new"), "mine");
    const longer = defineConfig({
      stages: {
        base: exec({ command: add("base") }),
        a: exec({ command: sh("echo changed >base"), on: "base" }),
        b: exec({ command: sh("cat base >copy"), on: "base" }),
      },
    });
    const next = await mustBuild(longer, at);
    assertEquals(statusOf(next), { base: "cached", a: "ran", b: "ran" });
    assertEquals(await Deno.readTextFile(join(treeOf(next, "b"), "copy")), "");
    assertEquals(idsOf(next)["base"], idsOf(build)["base"]);
  });

  it("is kept once by two builds at a time", async () => {
    const builds = await Promise.all(Array.from({ length: 4 }, () => mustBuild(config, at)));
    assertEquals(new Set(builds.map((build) => JSON.stringify(idsOf(build)))).size, 1);
    assertEquals(new Set(builds.map((build) => treeOf(build, "end"))).size, 1);
    await assertClean(at.store);
    assertEquals((await mustBuild(config, at)).stages[0]?.status, "cached");
  });
});
