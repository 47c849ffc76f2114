import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs/exists";
import { basename, dirname, fromFileUrl, join, resolve } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { docker, InterruptedError } from "@stowage/stowage";
import { sync } from "../examples/library/sync.ts";
import { cleanEnv, stowage } from "./cli/cli.ts";
import { openStorage } from "./stages/storage.ts";
import { fixture } from "./support/fixture.ts";
import {
  busyboxLayer,
  denoProgram,
  digestOf,
  type Layer,
  nginxLikeLayer,
  pushImage,
  pushIndex,
  run,
  skopeo,
  startRegistry,
} from "./support/mod.ts";

const root = fromFileUrl(new URL("..", import.meta.url));
const EXAMPLES = ["edge-device", "json", "library", "quickstart", "scratch-image"];

const { dir, registry, proxy } = await fixture({ registry: true });
const base = await busyboxLayer();
const layers = [base, await nginxLikeLayer()];
const web = await pushImage(registry, "library/nginx", { layers, platform: "linux/amd64" });
const arm = await pushImage(registry, "library/nginx", { layers, platform: "linux/arm64" });
await pushIndex(registry, "library/nginx:1.27", [web, arm]);
const tools = await pushImage(registry, "library/busybox:1.36", { layers: [base] });

describe("examples", () => {
  /** Runs a script as the example's reader does, in its folder. */
  const script = async (path: string, env: Record<string, string>) => {
    const [folder, file] = [dirname(path), basename(path)];
    const [deno, args] = denoProgram(file);
    const { code, stdout, stderr } = await new Deno.Command("timeout", {
      args: ["60", deno, ...args],
      cwd: resolve(root, "examples", folder),
      env: cleanEnv(env),
      clearEnv: true,
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  };

  it("are all here", async () => {
    const names = await Array.fromAsync(Deno.readDir(join(root, "examples")), ({ name }) => name);
    assertEquals(names.sort(), EXAMPLES);
  });

  it("quickstart: a script fetches all, and then finds all", async () => {
    const env = { REGISTRY: registry.host, STOWAGE_STORE: dir.join("store") };
    for (const status of ["fetched", "cached"]) {
      const { code, stdout, stderr } = await script("quickstart/build.ts", env);
      assertEquals([code, stderr], [0, ""]);
      for (const name of ["web-amd64", "web-arm64", "tools"]) {
        assertMatch(stdout, new RegExp(`^✔ ${name}, linux/\\w+, [\\d.]+ MB, ${status}$`, "m"));
      }
      for (const [, path = ""] of stdout.matchAll(/^ {2}in {2}(.*)$/gm)) {
        await run("skopeo", ["inspect", `dir:${path}`]);
      }
    }
  });

  it("quickstart: a script takes what is locked, whatever the tag is by now", async () => {
    await using other = await startRegistry();
    const push = async (...layers: Layer[]) => {
      const both = await Promise.all(
        ["linux/amd64", "linux/arm64"].map((platform) =>
          pushImage(other, "library/nginx", { layers, platform })
        ),
      );
      await pushIndex(other, "library/nginx:1.27", both);
      return await pushImage(other, "library/busybox:1.36", { layers });
    };
    const [env, cwd] = [{ REGISTRY: other.host, STOWAGE_STORE: dir.join("store") }, dir.path];
    for (const file of ["images.config.ts", "build.ts"]) {
      await Deno.copyFile(join(root, "examples/quickstart", file), dir.join(file));
    }
    const locked = await push(base);
    assertEquals((await stowage(["lock", "--platform", "linux/amd64"], { cwd, env })).code, 0);
    await push(base, await nginxLikeLayer());
    const { code, stdout } = await script(dir.join("build.ts"), env);
    assertEquals(code, 0);
    assertStringIncludes(stdout, `id  ${locked.id}`);
  });

  it("quickstart: the script says what failed", async () => {
    await using other = await startRegistry();
    await pushImage(other, "library/busybox:1.36", { layers: [base] });
    const env = { REGISTRY: other.host, STOWAGE_STORE: dir.join("store") };
    const { code, stderr } = await script("quickstart/build.ts", env);
    assertEquals(code, 1);
    assertStringIncludes(
      stderr,
      `✘ source/web-arm64\n  unknown at docker://${other.host}/library/nginx:1.27\n`,
    );
    assertEquals(stderr.includes("tools"), false);
  });

  it("quickstart: the command line takes the same config", async () => {
    const env = { REGISTRY: registry.host };
    const cwd = `${root}/examples/quickstart`;
    // Types of all examples are checked at once, by `scripts/test.sh`.
    const { code, stdout } = await stowage(["check", "--no-types"], { cwd, env });
    assertEquals([code, stdout], [0, "The config is right: 3 sources, 0 inputs, 0 stages\n"]);
  });

  it("library: a program fetches within its budget", async () => {
    const env = { REGISTRY: registry.host, STOWAGE_STORE: dir.join("store") };
    const { code, stdout, stderr } = await script("library/main.ts", env);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /web: 100 %\nweb is sha256:[0-9a-f]{64}\n$/);
  });

  it("library: nothing is downloaded beyond the budget, or once it was ended", async () => {
    const config = {
      sources: { tools: docker(`${proxy.host}/library/busybox:1.36`, { tlsVerify: false }) },
    };
    const store = dir.join("store");
    await assertRejects(() => sync(config, { store, budget: 1000 }), RangeError, "not 1000");
    const signal = AbortSignal.abort();
    await assertRejects(() => sync(config, { store, budget: 1e9, signal }), InterruptedError);
    assertEquals(proxy.requests.filter(({ path }) => path.includes("/blobs/")), []);
    assertEquals(await exists(store), false);
  });

  it("edge-device: a script builds a system with its apps, and then finds it", async () => {
    const out = dir.join("dist");
    const env = { REGISTRY: registry.host, STOWAGE_STORE: dir.join("store"), OUT: out };
    for (const [images, stages] of [["fetched", "ran"], ["cached", "cached"]]) {
      const { code, stdout, stderr } = await script("edge-device/build.ts", env);
      assertEquals([code, stderr], [0, ""]);
      const [done, results] = [stdout.split("\n\n")[0] ?? "", [...stdout.matchAll(/^✔ (.*)$/gm)]];
      const all = ["files", "base", "dashboard", "os", "os-loader"].map((name) => `stage ${name}`);
      assertEquals(
        done.split("\n").sort(),
        [
          ...["image tools", "image web"].map((name) => `${images?.padEnd(7)}  ${name}`),
          ...all.map((name) => `${stages?.padEnd(7)}  ${name}`),
        ].sort(),
      );
      assertEquals(results.map(([, name]) => name), ["dashboard", "os", "os-loader"]);
    }
    const [file, mode] = [join(out, "os/etc/hostname"), "%u:%g"];
    assertEquals(await run("stat", ["--format", mode, file]), "0:0\n");

    const config = await skopeo(
      ...["inspect", "--config", "--raw", `oci-archive:${out}/dashboard/dashboard.oci.tar`],
    );
    assertEquals(JSON.parse(config).architecture, "amd64");
    await using storage = await openStorage(
      join(out, "os/usr/share/containers/storage"),
      "overlay",
    );
    assertEquals(await storage.images(), {
      "localhost/web:1.27": web.id,
      "localhost/tools:1.36": tools.id,
      "localhost/dashboard:1": await digestOf(config),
    });
    const page = join(await storage.mount("localhost/dashboard:1"), "index.html");
    assertEquals(
      await Deno.readTextFile(page),
      await Deno.readTextFile(join(root, "examples/edge-device/dashboard/index.html")),
    );
    assertStringIncludes(
      await Deno.readTextFile(join(out, "os/etc/containers/storage.conf")),
      'additionalimagestores = ["/usr/share/containers/storage"]',
    );

    const loader = join(out, "os-loader/usr/share/stowage/container-loader");
    const files = await Array.fromAsync(Deno.readDir(join(loader, "images")), ({ name }) => name);
    assertEquals(files.sort(), [
      ...["localhost.dashboard:1.zst", "localhost.tools:1.36.zst", "localhost.web:1.27.zst"],
    ]);
    for (const path of ["container-loader.sh", "images.list"]) {
      assertEquals(await exists(join(loader, path), { isFile: true }), true, path);
    }
    // The unit of the system waits for the loader's.
    const unit = await Deno.readTextFile(
      join(out, "os-loader/usr/share/containers/systemd/web.container"),
    );
    const [, after = ""] = /^After=(.*)$/m.exec(unit) ?? [];
    const wanted = join(out, "os-loader/usr/lib/systemd/system/multi-user.target.wants", after);
    assertEquals((await Deno.stat(wanted)).isFile, true);
  });

  it("edge-device: the script says what failed", async () => {
    await using other = await startRegistry();
    const env = { REGISTRY: other.host, STOWAGE_STORE: dir.join("store"), OUT: dir.join("dist") };
    const { code, stdout, stderr } = await script("edge-device/build.ts", env);
    assertEquals(code, 1);
    assertMatch(stdout, /^ran +stage dashboard$/m);
    assertMatch(stderr, /^✘ source\/web\n {2}Cannot fetch "web": no place served it$/m);
  });

  it("scratch-image: a script pushes the same image each time", async () => {
    const digests: string[] = [];
    for (const again of [false, true]) {
      const env = { REGISTRY: registry.host, STOWAGE_STORE: dir.join(`store-${again}`) };
      const { code, stdout, stderr } = await script("scratch-image/build.ts", env);
      assertEquals([code, stderr], [0, ""], `again: ${again}`);
      const [, digest = ""] = /^archive: ran\n(sha256:[0-9a-f]{64})\npush: ran\n$/.exec(stdout) ??
        [];
      const image = `docker://${registry.host}/acme/settings:1`;
      const pushed = JSON.parse(await skopeo("inspect", "--tls-verify=false", image));
      assertEquals([pushed.Digest, pushed.Architecture], [digest, "amd64"]);
      assertEquals(pushed.Labels["org.opencontainers.image.title"], "Settings of Acme's devices");
      digests.push(digest);
    }
    assertEquals(digests[0], digests[1]);
  });

  it("json: the command line takes a config without a script", async () => {
    // Docker Hub's place is taken by the registry of this test, as containers-registries.conf has it.
    await Deno.mkdir(dir.join(".config/containers"), { recursive: true });
    await Deno.writeTextFile(
      dir.join(".config/containers/registries.conf"),
      `[[registry]]\nprefix = "docker.io"\nlocation = "${registry.host}"\ninsecure = true\n`,
    );
    const { code, stdout, stderr } = await stowage(["fetch"], {
      cwd: join(root, "examples/json"),
      env: { HOME: dir.path, STOWAGE_STORE: dir.join("store") },
    });
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^web +fetched +linux\/amd64 .*\ntools +fetched +linux\/amd64 /m);
  });
});
