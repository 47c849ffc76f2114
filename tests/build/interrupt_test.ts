import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import {
  type Config,
  docker,
  exec,
  images,
  install,
  InterruptedError,
  ociArchive,
  output,
  tree,
} from "@stowage/stowage";
import { cleanEnv, processesWith, STOWAGE, writeConfig } from "../cli/cli.ts";
import { fixture } from "../support/fixture.ts";
import { busyboxLayer, pushImage, run, startRegistry } from "../support/mod.ts";
import { assertClean, buildAll, listTree, mounts, mustBuild, treeOf } from "./fixture.ts";

const { dir } = await fixture({ files: { "files/motd": "hello\n" } });
const at = { root: dir.path, store: dir.join(".stowage") };

beforeEach(async () => void await run("mkfifo", [dir.join("ready")]));

/** A stage that says that it runs, with a child that it does not wait for, and never ends. */
function endless(): Config {
  const wait = `tail -f '${dir.path}/files/motd'`;
  const script = `mkdir half; mount -t tmpfs tmpfs half; touch half/x
    trap '' TERM; ${wait} & setsid ${wait} & echo >'${dir.path}/ready'; ${wait}`;
  return {
    inputs: { files: tree("files") },
    stages: {
      base: exec({ command: ["touch", "base"] }),
      os: exec({ inputs: ["files"], on: "base", command: ["sh", "-c", script] }),
      other: exec({ command: ["touch", "other"] }),
    },
  };
}

async function assertNothingRuns(): Promise<void> {
  assertEquals(await processesWith(dir.path), []);
  assertEquals((await mounts()).includes(dir.path), false);
}

/** Waits until the endless stage runs. */
const begun = () => Deno.readTextFile(dir.join("ready"));

/** The same config, whose stage ends. */
async function buildAfter(): Promise<void> {
  const config = endless();
  const os = exec({ inputs: ["files"], on: "base", command: ["touch", "os"] });
  const build = await mustBuild({ ...config, stages: { ...config.stages, os } }, at);
  assertEquals(await listTree(treeOf(build, "os")), ["base", "os"]);
  await assertClean(at.store);
}

describe("an interrupt in a stage", () => {
  it("ends its programs and their children at once, and leaves nothing", async () => {
    const controller = new AbortController();
    const signal = controller.signal;
    const building = buildAll(endless(), { ...at, signal, jobs: 1, out: dir.join("out") });
    await begun();
    const start = performance.now();
    controller.abort("enough");
    const error = await assertRejects(() => building, InterruptedError);
    assert(performance.now() - start < 2_000);
    assertEquals(error.cause, "enough");
    await assertNothingRuns();
    await assertClean(at.store);
    await assertRejects(() => Deno.stat(dir.join("out")), Deno.errors.NotFound);
    await buildAfter();
  });

  it("lets nothing begin where it came before", async () => {
    const signal = AbortSignal.abort();
    await assertRejects(() => buildAll(endless(), { ...at, signal }), InterruptedError);
    await assertRejects(() => Deno.stat(join(at.store, "trees")), Deno.errors.NotFound);
    await buildAfter();
  });

  for (const [signal, code] of [["SIGKILL", 137], ["SIGINT", 130], ["SIGTERM", 130]] as const) {
    it(`is the same by ${signal} of the whole process`, async () => {
      await writeConfig(dir, endless());
      const child = new Deno.Command("sh", {
        args: [STOWAGE, "build", "--quiet", "--jobs", "1"],
        cwd: dir.path,
        env: cleanEnv(),
        clearEnv: true,
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      await begun();
      child.kill(signal);
      assertEquals((await child.status).code, code);
      if (signal !== "SIGKILL") await assertClean(at.store);
      while ((await processesWith(dir.path)).length > 0) continue; // the kernel is at it
      await assertNothingRuns();
      await buildAfter();
    });
  }
});

describe("two processes", () => {
  it("build the same side by side", async () => {
    await using registry = await startRegistry();
    const tool = await pushImage(registry, "apps/tool:1", { layers: [await busyboxLayer()] });
    const config: Config = {
      sources: { tool: docker(tool.reference, { tlsVerify: false }) },
      inputs: {
        files: tree("files"),
        tool: images({ tool: "localhost/tool" }),
        app: output("app"),
      },
      stages: {
        app: ociArchive({ inputs: ["files"], filename: "app.tar" }),
        os: install({
          ...{ inputs: ["tool", "app"] },
          destination: { type: "containers-storage", path: "/c", driver: "vfs" },
        }),
      },
    };
    await writeConfig(dir, config);
    const builds = await Promise.all(["one", "two", "one"].map((out) =>
      new Deno.Command("sh", {
        args: [STOWAGE, "build", "--json", "--out", out],
        cwd: dir.path,
        env: cleanEnv(),
        clearEnv: true,
        stdin: "null",
      }).output()
    ));
    for (const { code, stderr } of builds) assertEquals(code, 0, new TextDecoder().decode(stderr));
    await assertClean(at.store);
    const [one, two] = await Promise.all(
      ["one", "two"].map((out) => digestOfFile(dir.join(out, "app/app.tar"))),
    );
    assertEquals(one, two);
    assertEquals(
      (await listTree(join(at.store, "trees"))).filter((it) => it.length === 64).length,
      2,
    );
    const again = await mustBuild(config, at);
    assertEquals(again.stages.map(({ status }) => status), ["cached", "cached"]);
  });
});

async function digestOfFile(path: string): Promise<string> {
  return (await run("sha256sum", [path])).slice(0, 64);
}
