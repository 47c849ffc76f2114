import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  type Config,
  ConfigError,
  ContentError,
  dockerArchive,
  exec,
  hostImage,
  install,
  PolicyError,
  reject,
  StageError,
  unpack,
} from "@stowage/stowage";
import {
  assertClean,
  idsOf,
  listTree,
  mustBuild,
  mustFail,
  statusOf,
  treeOf,
} from "../build/fixture.ts";
import { stowage } from "../cli/cli.ts";
import { fixture } from "../support/fixture.ts";
import { containerStorage, copyTo, fileLayer, pushImage, run, skopeo } from "../support/mod.ts";

const { dir, at, registry } = await fixture({ registry: true });
const layers = [
  await fileLayer({ "etc/motd": "hello", "etc/gone": "x" }),
  await fileLayer({ "etc/.wh.gone": "" }),
];
const app = await pushImage(registry, "host/app:1", { layers });
const other = await pushImage(registry, "host/app:2", { layers: layers.slice(0, 1) });

const NAME = "localhost/app:1";

/** A storage that has the image. */
async function hosted(driver: "overlay" | "vfs" = "vfs") {
  const storage = await containerStorage(driver);
  await copyTo(registry, app, storage.reference(NAME));
  if (driver === "overlay") await run("umount", [join(storage.root, "overlay")]);
  const location = storage.reference("").slice("containers-storage:".length);
  return { ...storage, input: hostImage("localhost/base:3", { id: app.id, location }) };
}

describe("hostImage()", () => {
  for (const driver of ["overlay", "vfs"] as const) {
    it(`gives stages the image of a storage, which the store never has: ${driver}`, async () => {
      await using storage = await hosted(driver);
      const config: Config = {
        inputs: { base: storage.input },
        stages: {
          os: unpack({ inputs: ["base"] }),
          dir: install({ inputs: ["base"], destination: { type: "dir", path: "/image" } }),
          archive: dockerArchive({ inputs: ["base"] }),
          seen: exec({ inputs: ["base"], command: ["sh", "-c", "ls $STOWAGE_INPUT_BASE >ls"] }),
        },
      };
      const build = await mustBuild(config, at);
      assertEquals(await listTree(treeOf(build, "os")), ["etc", "etc/motd"]);
      const copy = await skopeo(
        "inspect",
        "--raw",
        "--config",
        `dir:${treeOf(build, "dir")}/image`,
      );
      assertEquals(JSON.parse(copy).rootfs.diff_ids, layers.map(({ diffId }) => diffId));
      const ls = await Deno.readTextFile(join(treeOf(build, "seen"), "ls"));
      assert(ls.includes(app.id.slice("sha256:".length)), ls);
      assertEquals(build.images, []);
      assertEquals(
        await Array.fromAsync(Deno.readDir(join(at.store, "sources/org.osbuild.containers"))),
        [],
      );
      await assertClean(at.store);
      // Where it is does not count, nor are there mounts.
      assertEquals(await run("sh", ["-c", `grep -F " ${storage.root}" /proc/mounts || :`]), "");
      const again = await mustBuild(config, at);
      assertEquals(new Set(Object.values(statusOf(again))), new Set(["cached"]));
      assertEquals(idsOf(again), idsOf(build));
    });
  }

  const os = { os: unpack({ inputs: ["base"] }) };

  it("is an error where the storage does not have it, or has another of its name", async () => {
    await using storage = await hosted();
    const { location = "" } = storage.input;
    const missing = hostImage("localhost/none", { id: other.id, location });
    const { error } = await mustFail(StageError, "input/base", {
      inputs: { base: missing },
      stages: os,
    }, at);
    assertStringIncludes(error.message, `the storage does not have the image ${other.id}`);
    const wrong = hostImage(NAME, { id: other.id, location });
    const failed = await mustFail(ContentError, "input/base", {
      inputs: { base: wrong },
      stages: os,
    }, at);
    assertEquals([failed.error.expected, failed.error.actual], [other.id, app.id]);
    const nowhere = hostImage(NAME, { id: app.id, location: dir.join("none") });
    const lost = await mustFail(
      StageError,
      "input/base",
      { inputs: { base: nowhere }, stages: os },
      at,
    );
    assertStringIncludes(lost.error.message, "there is no storage");
  });

  it("is refused where it was changed since, or by the policy", async () => {
    await using storage = await hosted();
    const config: Config = { inputs: { base: storage.input }, stages: os };
    await mustFail(PolicyError, "stage/os", { ...config, policy: { default: reject() } }, at);
    await run("sh", [
      "-euc",
      'for f in "$0"/vfs/dir/*/etc/motd; do printf HELLO >$f; done',
      storage.root,
    ]);
    const { error } = await mustFail(ContentError, "stage/os", config, at);
    assertStringIncludes(error.message, "file integrity checksum failed");
    await assertClean(at.store);
  });

  it("has no name with a digest", () => {
    const base = hostImage(`localhost/app@${app.digest}`, { id: app.id });
    const { issues } = assertThrows(
      () => compile({ inputs: { base }, stages: os }),
      ConfigError,
    );
    assertEquals(issues.map(({ path }) => path), ["inputs.base.name"]);
  });

  it("is listed, as one that is no image of the store", async () => {
    const input = hostImage([NAME, "localhost/app:1"], { id: app.id });
    const config = JSON.stringify({ inputs: { base: input }, stages: {} });
    await Deno.writeTextFile(dir.join("images.config.json"), config);
    await Deno.mkdir(dir.join(".stowage/sources"), { recursive: true });
    const { stdout } = await stowage(["ls"], { cwd: dir.path });
    assertStringIncludes(stdout, "on this machine");
    const json = await stowage(["ls", "--json"], { cwd: dir.path });
    const { images, onHost } = JSON.parse(json.stdout.trim().split("\n").at(-1) ?? "");
    assertEquals([images, onHost], [[], [{ input: "base", id: app.id, names: [NAME] }]]);
  });
});
