import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import {
  compile,
  type Config,
  ConfigError,
  defineConfig,
  type Destination,
  docker,
  exec,
  fromDir,
  images,
  install,
  StageError,
} from "@stowage/stowage";
import { install as runInstall } from "../../src/stages/run/install.ts";
import { assertClean, mustBuild, mustFail, statusOf, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import {
  busyboxLayer,
  copyTo,
  digestOf,
  imagesInput,
  makeSigner,
  nginxLikeLayer,
  pushImage,
  type Registry,
  run,
  skopeo,
  smallFs,
  stageContext,
  stageImage,
  startRegistry,
} from "../support/mod.ts";

const FILES = ["oci", "oci-archive", "dir", "docker-archive"] as const;

const { dir, at, registry } = await fixture({ registry: true });
const layers = [await busyboxLayer(), await nginxLikeLayer()];
const web = await pushImage(registry, "apps/web:1", { layers });

function config(name: string, destination: Destination, options: object = {}): Config {
  return {
    sources: { web: docker(web.reference, { tlsVerify: false }) },
    inputs: { apps: images({ web: name }) },
    stages: { os: install({ inputs: ["apps"], destination, ...options }) },
  };
}

describe("install into a file or folder", () => {
  it("says why it failed, where what it has begun cannot be removed either", async () => {
    await using stage = await stageContext();
    await using disk = await smallFs("1m");
    const image = await stageImage(registry, web, stage.dir.join("web"), { names: ["web:1"] });
    const why = new StageError(stage.name, "skopeo exited with 1");
    const run = async (_program: string, args: readonly string[]) => {
      await Deno.mkdir(args.at(-1)?.split(":")[1] ?? "");
      await disk.remount("ro");
      throw why;
    };
    const destination = { type: "oci", path: "/web" } as const;
    const context = { ...stage, tree: disk.path, inputs: [imagesInput("apps", [image])], run };
    const installing = () =>
      runInstall({ type: "install", inputs: ["apps"], destination }, context);
    assert(await assertRejects(installing, StageError) === why);
  });

  for (const type of FILES) {
    it(`makes what skopeo reads: ${type}`, async () => {
      const path = "/srv/a b/app:1.img";
      const build = await mustBuild(config("localhost/web:1", { type, path }), at);
      const link = dir.join("link");
      await Deno.symlink(join(treeOf(build, "os"), path), link);
      const suffix = type === "dir" ? "" : ":localhost/web:1";
      const image = `${type}:${link}${suffix}`;
      assertEquals(await digestOf(await skopeo("inspect", "--config", "--raw", image)), web.id);
      // A docker-archive has layers that are not compressed, and so a manifest of its own.
      if (type === "docker-archive") return;
      const manifest = await skopeo("inspect", "--raw", image);
      assertEquals(await digestOf(manifest), web.digest);
      const again = await mustBuild(config("localhost/web:1", { type, path }), at);
      assertEquals(statusOf(again), { os: "cached" });
    });
  }

  for (const type of FILES) {
    it(`makes the same bytes at any time: ${type}`, async () => {
      const made: string[] = [];
      for (const store of ["one", "two"]) {
        const options = { ...at, store: dir.join(store), epoch: 86_400 };
        const build = await mustBuild(
          config("localhost/web:1", { type, path: "/srv/app" }),
          options,
        );
        const tree = treeOf(build, "os");
        const flags = ["--sort=name", "--numeric-owner", "--full-time", "-cf", "-", "."];
        made.push(await run("sh", ["-euc", 'tar "$@" | sha256sum', "sh", ...flags], { cwd: tree }));
        const dates = await run("find", [tree, "-mindepth", "1", "-printf", "%T@\n"]);
        assertEquals(new Set(dates.trim().split("\n")), new Set(["86400.0000000000"]));
      }
      assertEquals(made[0], made[1]);
    });
  }

  for (const type of ["oci", "oci-archive"] as const) {
    it(`says the id that a docker image has as OCI has it: ${type}`, async () => {
      const options = { layers, mediaTypes: "docker", config: { Hostname: "built" } } as const;
      const image = await pushImage(registry, "apps/docker:1", options);
      const given = config("localhost/web:1", { type, path: "/app" });
      const build = await mustBuild({
        ...given,
        sources: { web: docker(image.reference, { tlsVerify: false }) },
      }, at);
      const there = `${type}:${treeOf(build, "os")}/app:localhost/web:1`;
      const id = await digestOf(await skopeo("inspect", "--raw", "--config", there));
      const digest = await digestOf(await skopeo("inspect", "--raw", there));
      assert(id !== image.id);
      const [os] = build.stages;
      assertEquals(os?.images, [{ name: "localhost/web:1", id, digest }]);
    });
  }

  it("takes layers of any compression into a docker archive", async () => {
    const options = { layers, compression: "zstd" } as const;
    const image = await pushImage(registry, "apps/zstd:1", options);
    const build = await mustBuild({
      ...config("localhost/web:1", { type: "docker-archive", path: "/app" }),
      sources: { web: docker(image.reference, { tlsVerify: false }) },
    }, at);
    const there = `docker-archive:${treeOf(build, "os")}/app`;
    assertEquals(await digestOf(await skopeo("inspect", "--config", "--raw", there)), image.id);
  });

  it("has room for one image only, and the config says so before anything runs", () => {
    const destination = { type: "oci-archive", path: "/app" } as const;
    const two = { ...config("x", destination), inputs: { apps: images({ web: ["x:1", "x:2"] }) } };
    const { issues } = assertThrows(() => compile(two), ConfigError);
    assertEquals(issues, [{
      path: "stages.os.inputs",
      value: "docker.io/library/x:1, docker.io/library/x:2",
      expected: "one image with one name for oci-archive; others get stages of their own",
    }]);
  });

  it("takes the place of a file, and adds to a layout", async () => {
    const add = (name: string, on?: string) =>
      install({
        ...{ inputs: [name], destination: { type: "oci", path: "/images" } as const },
        ...(on !== undefined && { on }),
      });
    const build = await mustBuild({
      sources: { web: docker(web.reference, { tlsVerify: false }) },
      inputs: { one: images({ web: "localhost/one" }), two: images({ web: "localhost/two" }) },
      stages: {
        base: exec({ command: ["touch", "app"] }),
        first: add("one", "base"),
        second: add("two", "first"),
        os: install({
          ...{ inputs: ["one"], on: "second" },
          destination: { type: "oci-archive", path: "/app" },
        }),
      },
    }, at);
    const tree = treeOf(build, "os");
    for (const name of ["one", "two"]) {
      await skopeo("inspect", `oci:${tree}/images:localhost/${name}:latest`);
    }
    await skopeo("inspect", `oci-archive:${tree}/app`);
    const names = await Array.fromAsync(Deno.readDir(tree), ({ name }) => name);
    assertEquals(names.sort(), ["app", "images"]);
  });

  it("gives no image a name with another's digest", async () => {
    const name = `localhost/web@sha256:${"1".repeat(64)}`;
    for (const type of ["oci-archive", "containers-storage"] as const) {
      const { error } = await mustFail(
        StageError,
        "stage/os",
        config(name, { type, path: "/a" }),
        at,
      );
      assertStringIncludes(error.message, `"${name}" has another digest than its image`);
      assertEquals(error.hint, `call it "localhost/web@${web.digest}"`);
    }
  });

  it("follows no link out of the tree", async () => {
    const outside = dir.join("outside");
    await Deno.mkdir(outside);
    const base = exec({ command: ["ln", "-s", outside, "srv"] });
    const toFile = `mkdir srv && ln -s '${outside}/app' srv/app`;
    for (const type of FILES) {
      const stages = {
        base,
        os: install({ inputs: ["apps"], on: "base", destination: { type, path: "/srv/app" } }),
      };
      const build = await mustBuild({ ...config("x", { type, path: "/" }), stages }, at);
      assert(await Deno.stat(join(treeOf(build, "os"), outside, "app")));
      const last = { ...stages, base: exec({ command: ["sh", "-c", toFile] }) };
      const other = await mustBuild({ ...config("x", { type, path: "/" }), stages: last }, at);
      assert(await Deno.stat(join(treeOf(other, "os"), outside, "app")));
    }
    assertEquals(await Array.fromAsync(Deno.readDir(outside)), []);
  });

  it("says so when what is there then is not the image", async () => {
    const image = await stageImage(registry, web, dir.join("image"));
    const other = { ...image, id: `sha256:${"0".repeat(64)}` };
    await using stage = await stageContext({ inputs: [imagesInput("apps", [other])] });
    const destination = { type: "dir", path: "/app" } as const;
    const error = await assertRejects(
      () => runInstall({ type: "install", inputs: ["apps"], destination }, stage),
      StageError,
    );
    assertStringIncludes(error.message, `was installed as ${web.id}, and is ${other.id}`);
  });
});

describe("install of a signed image", () => {
  let signed: Config["sources"];

  beforeEach(async () => {
    await using signer = await makeSigner();
    const folder = dir.join("signed");
    await copyTo(registry, web, `dir:${folder}`);
    const { reference } = web;
    const sign = ["standalone-sign", join(folder, "manifest.json"), reference, signer.fingerprint];
    await run("skopeo", [...sign, "--output", join(folder, "signature-1")], { env: signer.env });
    signed = { web: fromDir("signed") };
  });

  for (const type of ["oci", "oci-archive", "docker-archive"] as const) {
    it(`leaves signatures behind if told, and says so if not: ${type}`, async () => {
      const destination = { type, path: "/app" };
      const given = { ...config("localhost/web", destination), sources: signed ?? {} };
      const { error } = await mustFail(StageError, "stage/os", given, at);
      assertStringIncludes(error.message, `is signed, and ${type} cannot hold that`);
      assertStringIncludes(error.hint ?? "", "removeSignatures: true");
      const without = config("localhost/web", destination, { removeSignatures: true });
      await mustBuild({ ...without, sources: signed ?? {} }, at);
    });
  }

  it("keeps them where there is room, or not", async () => {
    const destination = { type: "dir", path: "/app" } as const;
    for (const removeSignatures of [false, true]) {
      const given = config("localhost/web", destination, { removeSignatures });
      const build = await mustBuild({ ...given, sources: signed ?? {} }, at);
      const files = await Array.fromAsync(
        Deno.readDir(join(treeOf(build, "os"), "app")),
        ({ name }) => name,
      );
      assertEquals(files.includes("signature-1"), !removeSignatures);
    }
    const storage = config("localhost/web", { type: "containers-storage" });
    await mustBuild({ ...storage, sources: signed ?? {} }, at);
  });
});

describe("install into a registry", () => {
  const pushed = async (to: Registry, path: string) => {
    const accept = "application/vnd.oci.image.manifest.v1+json";
    const answer = await to.fetch(`/v2/${path}`, { headers: { accept } });
    return await answer.text();
  };

  it("pushes each time, beside stages that go on", async () => {
    const stages = {
      base: exec({ command: ["touch", "base"] }),
      push: install({
        ...{ inputs: ["apps"], on: "base" },
        destination: { type: "docker", tlsVerify: false },
      }),
      left: exec({ command: ["touch", "left"], on: "push" }),
      right: exec({ command: ["touch", "right"], on: "push" }),
    };
    const name = `${registry.host}/pushed/web:2`;
    const given: Config = { ...config(name, { type: "docker" }), stages };
    for (const names of [[], [], ["push"], ["left"]]) {
      const build = await mustBuild(given, { ...at, names, out: dir.join("out") });
      assertEquals(await pushed(registry, "pushed/web/manifests/2"), web.manifest);
      const gone = await registry.fetch(`/v2/pushed/web/manifests/${web.digest}`, {
        method: "DELETE",
      });
      await gone.body?.cancel();
      const found = build.stages.find((stage) => stage.name === "push");
      assertEquals(found?.status, "ran");
    }
    assertEquals(
      await Promise.all(
        ["push/base", "left/base", "left/left", "right/right"].map((path) =>
          Deno.lstat(dir.join("out", path)).then(({ isFile }) => isFile)
        ),
      ),
      [true, true, true, true],
    );
    await assertClean(at.store);
  });

  it("logs in as its authFile says, or the machine's own", async () => {
    await using closed = await startRegistry({ auth: { user: "ann", password: "secret" } });
    const name = `${closed.host}/web:1`;
    const destination = { type: "docker", tlsVerify: false } as const;
    const refused = await mustFail(StageError, "stage/os", config(name, destination), at);
    assertMatch(refused.error.message, /unauthorized|authentication required/);

    const auths = { auths: { [closed.host]: { auth: btoa("ann:secret") } } };
    await Deno.writeTextFile(dir.join("auth.json"), JSON.stringify(auths));
    await mustBuild(config(name, { ...destination, authFile: "auth.json" }), at);
    assertEquals(await pushed(closed, "web/manifests/1"), web.manifest);

    Deno.env.set("REGISTRY_AUTH_FILE", dir.join("auth.json"));
    try {
      await mustBuild(config(`${closed.host}/web:2`, destination), at);
    } finally {
      Deno.env.delete("REGISTRY_AUTH_FILE");
    }
    assertEquals(await pushed(closed, "web/manifests/2"), web.manifest);
  });

  it("says so where none answers", async () => {
    const gone = config("127.0.0.1:1/web:1", { type: "docker", tlsVerify: false });
    const { error } = await mustFail(StageError, "stage/os", defineConfig(gone), at);
    assertStringIncludes(error.message, "connection refused");
  });
});
