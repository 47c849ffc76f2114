import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { run, skopeo, smallFs, tempDir } from "../support/mod.ts";
import { jsonLines, STOWAGE, stowage, writeConfig } from "./cli.ts";
import { appsFixture, source } from "./fixture.ts";

const DIGEST = `sha256:${"0".repeat(64)}`;

const { dir, registry: { host }, proxy, web: [amd64, arm64], tool } = await appsFixture();

describe("commands", () => {
  const sources = (at = host) => ({
    amd64: source(`${at}/apps/web:1`, { platform: "linux/amd64" }),
    arm64: source(`${at}/apps/web:1`, { platform: "linux/arm64" }),
    tool: source(`${at}/apps/tool:1`, { platform: "linux/amd64" }),
  });
  const project = (config: unknown = { sources: sources() }) => writeConfig(dir, config);
  const cli = (...args: string[]) => stowage(args, { cwd: dir.path, env: { TMPDIR: dir.path } });

  it("check says how much the config has", async () => {
    await project({
      sources: sources(),
      inputs: { apps: { type: "images", images: { tool: "tool" } } },
    });
    assertEquals(await cli("check"), {
      code: 0,
      stdout: "The config is right: 3 sources, 1 input, 0 stages\n",
      stderr: "",
    });
  });

  it("graph draws in every format", async () => {
    await project({
      sources: { tool: source("quay.io/apps/tool:1", { platform: "linux/s390x" }) },
      inputs: { apps: { type: "images", images: { tool: "tool" } } },
    });
    const graph = async (...args: string[]) => {
      const { code, stdout, stderr } = await cli("graph", ...args);
      assertEquals([code, stderr], [0, ""]);
      return stdout;
    };
    const text = await graph();
    assertMatch(text, /^source\/tool +docker:\/\/quay\.io\/apps\/tool:1 \(linux\/s390x\)$/m);
    assertMatch(text, /^input\/apps .*← source\/tool$/m);
    assertEquals(await graph("--format=text"), text);
    assertMatch(await graph("-f", "mermaid"), /^flowchart LR\n.* n0 --> n1\n/s);
    assertMatch(await graph("--format", "dot"), /^digraph .*"source\/tool" -> "input\/apps"/s);
    assertMatch(await graph("--format", "svg"), /<svg .*<\/svg>\n$/s);
    const { nodes } = JSON.parse(await graph("--format", "json"));
    assertEquals(nodes.map(({ key }: { key: string }) => key), ["source/tool", "input/apps"]);
    assertEquals(jsonLines(await graph("--json"))[0]?.["nodes"], nodes);
  });

  it("plan says what there is to fetch, and downloads no layer", async () => {
    await project({ digests: "ignore", sources: sources(proxy.host) });
    const { code, stdout, stderr } = await cli("plan");
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /^fetch +tool +docker:\/\/.*, 1 of 2 layers shared +[0-9a-f]{12}$/m);
    assertMatch(stdout, /^[\d.]+ MB to fetch, 0 stages to run$/m);
    const blobs = proxy.requests.filter(({ path }) => path.includes("/blobs/"));
    // What is no image of an index says by its config what it is for.
    assertEquals(blobs.map(({ path }) => path), [`/v2/apps/tool/blobs/${tool.id}`]);
    assertEquals(await exists(dir.join(".stowage")), false);
    await cli("fetch", "tool");
    assertMatch((await cli("plan", "tool", "--offline")).stdout, /^cached +tool/);
    assertEquals(await cli("build", "tool", "--dry-run"), await cli("plan", "tool"));
    const again = await cli("plan", "tool");
    assertMatch(again.stdout, /^cached +tool .*\n0 B to fetch, 0 stages to run\n$/);
  });

  it("plan fails as the build would", async () => {
    await project({
      sources: {
        wrong: source(`${host}/apps/tool:1`, { id: DIGEST }),
        absent: source(`${host}/apps/absent:1`),
      },
    });
    const absent = await cli("plan", "absent");
    assertEquals(absent.code, 1);
    assertMatch(absent.stdout, /^failed +absent +FETCH_FAILED$/m);
    assertMatch(absent.stderr, /^error: Cannot fetch "absent".*\n {2}→ look for a typing error/ms);
    for (const args of [[], ["--quiet"]]) {
      const { code, stdout, stderr } = await cli("plan", ...args);
      assertEquals([code, stdout === ""], [3, args.length > 0]);
      assertMatch(stderr, /Cannot accept "wrong".*Cannot finish: 2 of 2 failed\n$/s);
    }
    const { code, stdout } = await cli("plan", "--json");
    const last = jsonLines(stdout).at(-1);
    assertEquals([code, last?.["exitCode"], Object(last?.["error"]).code], [3, 3, "RUN_FAILED"]);
    assertEquals(Object(last?.["sources"]).length, 2);
  });

  it("fetch puts images into the store, and finds them there", async () => {
    await project();
    const first = await cli("fetch");
    assertEquals(first.code, 0, first.stderr);
    assertMatch(first.stdout, /^arm64 +fetched +linux\/arm64 +[\d.]+ MB +[0-9a-f]{12}$/m);
    assertMatch(first.stdout, /^3 images in the store, [\d.]+ MB fetched, [\d.]+ MB shared$/m);
    assertMatch(first.stderr, /^found +tool at docker:.* \([\d.]+ MB\)$/m);
    for (const { id, digest } of [amd64, arm64, tool]) {
      const image = dir.join(".stowage/sources/org.osbuild.containers", id, "image");
      const { Digest } = JSON.parse(await skopeo("inspect", `dir:${image}`));
      assertEquals(Digest, digest);
    }
    const again = await cli("fetch", "tool");
    assertMatch(again.stdout, /^tool +cached .*\n1 image in the store, 0 B fetched\n$/);
  });

  it("fetch keeps what it has when an item fails", async () => {
    await project({
      sources: { ...sources(), absent: source(`${host}/apps/absent:1`) },
    });
    const { code, stdout, stderr } = await cli("fetch", "absent", "tool", "--json");
    assertEquals([code, stderr], [1, ""]);
    const last = Object(jsonLines(stdout).at(-1));
    assertEquals([last.ok, last.exitCode, last.images.length], [false, 1, 1]);
    assertEquals(last.error.failures["source/absent"].attempts[0].reason, "unknown");
    const text = await cli("fetch", "absent", "tool");
    assertEquals(text.code, 1);
    assertStringIncludes(text.stderr, "Cannot finish: 1 of 2 failed");
  });

  it("fetch exits with 3 where content is wrong, and tries no other place", async () => {
    await project({
      sources: {
        tool: source(`${host}/apps/tool:1`, {
          id: DIGEST,
          fallback: [source(`${host}/apps/tool:1`)],
        }),
        absent: source(`${host}/apps/absent:1`),
      },
    });
    const { code, stderr } = await cli("fetch");
    assertEquals(code, 3);
    assertStringIncludes(stderr, `the image id is ${tool.id}, and ${DIGEST} was asked for`);
    assertStringIncludes(stderr, "→ if the new one is right, put it into sources.tool");
    assertEquals(stderr.split(tool.id).length, 2);
  });

  it("fetch says what it falls back to", async () => {
    await project({
      sources: {
        tool: source("127.0.0.1:1/apps/tool:1", { fallback: [source(`${host}/apps/tool:1`)] }),
      },
    });
    const { code, stderr } = await cli("fetch", "--attempts", "1");
    assertEquals(code, 0, stderr);
    assertMatch(stderr, /^absent +tool at docker:\/\/127\.0\.0\.1:1\/apps\/tool:1: unreachable: /m);
    assertMatch(stderr, /^fetched +tool$/m);
  });

  it("build fetches where there are no stages", async () => {
    await project({ sources: { tool: sources().tool } });
    const { code, stdout } = await cli("build");
    assertEquals(code, 0);
    assertMatch(stdout, /^tool +fetched /);
  });

  it("the store is where --store says, else STOWAGE_STORE, else beside the config", async () => {
    await project();
    await using elsewhere = await tempDir();
    const run = (args: string[], store: string) =>
      stowage(["fetch", "tool", "-c", dir.join("images.config.json"), ...args], {
        cwd: elsewhere.path,
        env: store === "" ? {} : { STOWAGE_STORE: store },
      });
    const [flag, env] = [elsewhere.join("flag"), elsewhere.join("env")];
    const entry = `sources/org.osbuild.containers/${tool.id}/image/manifest.json`;
    for (
      const [args, store, wanted] of [
        [["--store", flag], env, flag],
        [[], env, env],
        [[], "", dir.join(".stowage")],
      ] as const
    ) {
      assertEquals(await exists(join(wanted, entry)), false);
      assertEquals((await run([...args], store)).code, 0);
      assert(await exists(join(wanted, entry)));
    }
    const names = await Array.fromAsync(Deno.readDir(elsewhere.path), ({ name }) => name);
    assertEquals(names.sort(), ["env", "flag"]);
  });

  it("--offline asks no registry, and says so where nothing pins an image", async () => {
    await project({ sources: sources(proxy.host) });
    const before = await cli("fetch", "tool", "--offline");
    assertEquals([before.code, proxy.requests.length], [1, 0]);
    assertMatch(before.stderr, /offline: it was not asked\n {2}→ run without --offline/);
    assertEquals((await cli("fetch", "tool")).code, 0);
    const asked = proxy.requests.length;
    const after = await cli("fetch", "tool", "--offline");
    assertEquals([after.code, proxy.requests.length], [0, asked]);
    assertMatch(after.stdout, /^tool +cached/);
    assertMatch(
      after.stderr,
      /^note +"tool" is not pinned, and no registry is asked: it is the image that/m,
    );
  });

  it("--quiet says nothing but errors", async () => {
    await project();
    for (const name of ["check", "plan", "fetch", "doctor"]) {
      assertEquals(await cli(name, "--quiet"), { code: 0, stdout: "", stderr: "" });
    }
    await project({
      sources: { absent: source(`${host}/apps/absent:1`) },
    });
    const { code, stdout, stderr } = await cli("fetch", "-q");
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^error: Cannot fetch "absent"/);
  });

  it("doctor says what is missing, and what to do about it", async () => {
    await project();
    await using fs = await smallFs("4m");
    const { code, stdout } = await cli("doctor", "--store", `${fs.path}/new/store`);
    assertEquals(code, 0, stdout);
    assertMatch(stdout, new RegExp(`^good +overlay +can be mounted in "${fs.path}"$`, "m"));
    assertEquals(await Array.fromAsync(Deno.readDir(fs.path)), []);
    assertMatch(stdout, /^good +skopeo +version \d+\.\d+/m);
    const [{ findings }] = jsonLines((await cli("doctor", "--json")).stdout) as [
      { findings: { name: string }[] },
    ];
    for (const { name } of findings) assertMatch(stdout, new RegExp(`^\\w+ +${name} `, "m"));

    // Overlay takes no files of an overlay for its own.
    const over = `lowerdir=${dir.join("l")},upperdir=${fs.path}/u,workdir=${fs.path}/w`;
    const nested = await run("unshare", [
      "--mount",
      "sh",
      "-euc",
      `
      mkdir "$0/u" "$0/w" "$1" "$2"
      mount -t overlay o -o "$3" "$2"
      sh "$4" doctor --store "$2"
    `,
      fs.path,
      dir.join("l"),
      dir.join("m"),
      over,
      STOWAGE,
    ]);
    assertMatch(nested, /^limited +overlay +cannot be mounted in ".*": put the store on ext4/m);

    // A PATH with what starts deno, and without skopeo.
    for (const tool of ["sh", "dirname", "timeout", "tar"]) {
      await Deno.symlink(`/usr/bin/${tool}`, dir.join(tool));
    }
    for (const args of [[], ["--quiet"]]) {
      const missing = await stowage(["doctor", ...args], {
        cwd: dir.path,
        env: { PATH: dir.path },
      });
      assertEquals(missing.code, 1);
      assertMatch(missing.stdout, /^bad +skopeo +not on the PATH: install it .*apt-get/m);
    }
    const fetch = await stowage(["fetch"], { cwd: dir.path, env: { PATH: dir.path } });
    assertEquals(fetch.code, 1);
    assertMatch(fetch.stderr, /Cannot run "skopeo": it is not on the PATH\n {2}→ install it/);
  });
});
