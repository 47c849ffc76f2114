import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  copyTree,
  docker,
  dockerArchive,
  exec,
  images,
  install,
  ociArchive,
  output,
  stowage,
  type StowageEvent,
  tree,
} from "@stowage/stowage";
import { list } from "../sources/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { busyboxLayer, pushImage, run } from "../support/mod.ts";
import { mustBuild, statusOf } from "../build/fixture.ts";
import { collect, useDaysAgo } from "./gc_fixture.ts";

const { dir, registry } = await fixture({ files: { "files/motd": "hello\n" }, registry: true });
const at = { root: dir.path, store: dir.join(".stowage") };
await pushImage(registry, "apps/tool:1", { layers: [await busyboxLayer()] });

/** An OS with two images, one of them made by a stage, and their archives. */
function config(motd = "motd"): Config {
  return {
    digests: "ignore",
    sources: { tool: docker(`${registry.host}/apps/tool:1`, { tlsVerify: false }) },
    inputs: { files: tree("files"), tool: images({ tool: "localhost/tool" }), app: output("app") },
    stages: {
      app: ociArchive({ inputs: ["files"], filename: "app.tar" }),
      base: copyTree({ inputs: ["files"] }),
      touched: exec({ on: "base", command: ["touch", motd] }),
      os: install({
        on: "touched",
        inputs: ["tool", "app"],
        destination: { type: "containers-storage", path: "/c", driver: "vfs" },
      }),
      archives: dockerArchive({ inputs: ["tool"] }),
    },
  };
}

/** A tree with folders that no path leads to. */
const DEEP = {
  deep: exec({
    command: [
      "sh",
      "-c",
      "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do " +
      "d=$(printf '%0250d' $n); mkdir $d; cd -P $d || exit 0; done 2>/dev/null; true",
    ],
  }),
};

const folder = (name: string) => join(at.store, name);

describe("garbage collection of what stages made", () => {
  it("goes on behind a path that is too long, and one that is not UTF-8", async () => {
    const { stages: [made] } = await mustBuild({ ...config(), inputs: {}, stages: DEEP }, at);
    assert(made?.tree);
    await run("sh", ["-c", 'touch "$(printf "x\\377")"'], { cwd: made.tree });
    const events: StowageEvent[] = [];
    const onEvent = (event: StowageEvent) => void events.push(event);
    const { garbage } = await stowage({}, at).gc({ all: true, onEvent });
    assert(garbage.some(({ name }) => name === made.id));
    assertEquals(await list(folder("trees")), []);
    const [notice] = events.flatMap((event) => event.type === "notice" ? [event.message] : []);
    assertMatch(notice ?? "", /^".*" \(and 1 more\) is not counted: /);
  });

  it("tells what it cannot count, as its name is not UTF-8", async () => {
    const { stages: [made] } = await mustBuild({ stages: { os: exec({ command: ["true"] }) } }, at);
    assert(made?.tree);
    await run("sh", ["-c", 'touch "$(printf "x\\377")"'], { cwd: made.tree });
    const events: StowageEvent[] = [];
    const onEvent = (event: StowageEvent) => void events.push(event);
    await stowage({}, at).gc({ all: true, onEvent });
    const [notice] = events.flatMap((event) => event.type === "notice" ? [event.message] : []);
    assertMatch(notice ?? "", /" is not counted: its name is not UTF-8$/);
    assertEquals(await list(folder("trees")), []);
  });

  it("keeps the trees and archives that a build would use, and no others", async () => {
    const built = await mustBuild(config(), at);
    assertEquals((await collect(config(), at)).went, []);
    const cached = await mustBuild(config(), at);
    assertEquals(new Set(Object.values(statusOf(cached))), new Set(["cached"]));
    const { went, garbage } = await collect(config("other"), at);
    const [os] = built.stages.filter(({ name }) => name === "os");
    assertEquals([went, garbage[0]?.origin], [[`tree ${os?.id}`], "os"]);
    const again = statusOf(await mustBuild(config(), at));
    assertEquals(again, { ...statusOf(cached), base: "ran", touched: "ran", os: "ran" });
  });

  it("keeps the trees in between where they were kept", async () => {
    const { stages } = await mustBuild(config(), { ...at, keepStages: true });
    assertEquals((await collect(config(), at)).went, []);
    assertEquals(await list(folder("trees")), stages.map(({ id }) => id).sort());
  });

  it("removes what no stage is for", async () => {
    await mustBuild(config(), at);
    const { stages: _, ...rest } = config();
    const { app: _app, ...inputs } = rest.inputs ?? {};
    const { went } = await collect({ ...rest, inputs }, at);
    assertEquals(went.map((each) => each.replace(/ .*/, "")), ["archive", "tree", "tree", "tree"]);
    const { went: more } = await collect({}, { ...at, all: true });
    assertEquals(more.map((each) => each.replace(/ .*/, "")), ["image"]);
  });

  it("keeps by the names of stages what depends on images that are not there", async () => {
    await mustBuild(config(), at);
    const later = { ...config(), platform: "linux/arm64" };
    const { went } = await collect(later, at);
    assertEquals(went.map((each) => each.replace(/ .*/, "")), ["image"]);
    assertEquals((await list(folder("archives"))).length, 1);
  });

  it("keeps what another config needs, whose folder is another", async () => {
    await mustBuild(config(), at);
    const other = { sources: { none: docker("127.0.0.1:1/none:1") } };
    const keep = [{ config: config(), root: dir.path }];
    assertEquals((await collect(other, { ...at, root: dir.join("files"), keep })).went, []);
  });

  it("knows when a tree was used last", async () => {
    await mustBuild(config(), at);
    for (const [kind, days] of [["trees", 40], ["archives", 40]] as const) {
      for (const id of await list(folder(kind))) await useDaysAgo(join(folder(kind), id), days);
    }
    await mustBuild(config(), at);
    const olderThan = 86_400_000;
    const { garbage } = await collect({}, { ...at, all: true, olderThan });
    // A tree that is there is all that a build needs: it asked for no archive.
    assertEquals(garbage.map(({ kind }) => kind), ["archive"]);
    assert((await list(folder("trees"))).length > 0);
  });
});
