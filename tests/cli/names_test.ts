import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { join } from "@std/path";
import { fixture, forThisFile } from "../support/fixture.ts";
import { copyTo, fileLayer, pushImage, run, tempDir } from "../support/mod.ts";
import { jsonLines, type Said, stowage } from "./cli.ts";

const { dir, registry } = await fixture({ registry: true });
const app = await pushImage(registry, "app:1", { layers: [await fileLayer({ a: "b" })] });
const plain = await forThisFile(tempDir());
await copyTo(registry, app, `dir:${plain.path}/image`);
await copyTo(registry, app, `oci:${plain.path}/layout`);
await copyTo(registry, app, `oci-archive:${plain.path}/archive`);

/** A config that says a name wherever it can. */
function configOf(name: string): Record<string, unknown> {
  return {
    digests: "ignore",
    sources: {
      dir: { type: "dir", path: `${name}/image` },
      oci: { type: "oci", path: `${name}/layout` },
      app: {
        type: "docker",
        reference: "127.0.0.1:1/app:1",
        ...{ id: app.id, tlsVerify: false, authFile: `${name}/auth.json`, certDir: name },
        fallback: [{ type: "oci-archive", path: `${name}/archive` }],
      },
    },
    inputs: {
      apps: { type: "images", images: { dir: "localhost/dir:1", app: "localhost/app:1" } },
      more: { type: "images", images: { oci: "localhost/oci:1" } },
      rootfs: { type: "tree", path: `${name}/rootfs` },
      made: { type: "output", stage: "make", name },
    },
    stages: {
      make: {
        ...{ type: "oci-archive", inputs: ["rootfs"], filename: name },
        ...{ config: { Cmd: [name], Labels: { [name]: name } }, annotations: { [name]: name } },
      },
      copy: { type: "copy-tree", inputs: ["rootfs"], to: `/${name}/copy` },
      run: {
        ...{ type: "exec", on: "copy", inputs: ["rootfs"], env: { NAME: name } },
        command: ["sh", "-c", 'printf %s "$1" >args; printf %s "$NAME" >env', "sh", name],
      },
      save: { type: "docker-archive", on: "run", inputs: ["apps"], path: `/${name}/save` },
      lay: {
        ...{ type: "install", on: "save", inputs: ["made"] },
        destination: { type: "oci", path: `/${name}/lay` },
      },
      keep: {
        ...{ type: "install", on: "lay", inputs: ["more"] },
        destination: { type: "containers-storage", path: `/${name}/keep`, driver: "vfs" },
      },
      load: { type: "container-loader", inputs: ["apps"], engine: "podman" },
    },
  };
}

/** Puts under a name all that the config reads, and builds it in folders of that name. */
async function build(name: string): Promise<Said> {
  const folder = join(dir.path, name);
  await Deno.mkdir(join(folder, "rootfs"), { recursive: true });
  await Deno.writeTextFile(join(folder, "rootfs", name), name);
  await Deno.writeTextFile(join(folder, "auth.json"), "{}");
  await run("cp", ["-a", "--", `${plain.path}/.`, folder]);
  const config = join(dir.path, `${name}.json`);
  await Deno.writeTextFile(config, JSON.stringify(configOf(name)));
  const flags = [`--config=${config}`, `--store=${folder}/store`, `--out=${folder}/out`];
  return await stowage(["build", "--json", "--attempts=1", ...flags], { cwd: dir.path });
}

describe("a name that a shell, skopeo or a terminal would take apart", () => {
  // What stands at the beginning counts by itself; what may stand anywhere is in one name.
  const names = [
    ...["-rf", "--", "..a", "~", "\n", "\r\t\u001b[2J\u0007", "a".repeat(200)],
    ...[" %41#?\\nü]a:b@c+d[e],f=g*{a,b}'\"$HOMEu\u0308💥\u202ea "],
    "$(touch PWNED)`touch PWNED`;touch PWNED&",
  ];
  for (const name of names) {
    it(`is a name like any other: ${JSON.stringify(name).slice(0, 40)}`, async () => {
      const { code, stdout, stderr } = await build(name);
      const last = jsonLines(stdout).at(-1);
      assertEquals([code, last?.["ok"]], [0, true], stderr + JSON.stringify(last?.["error"]));
      const tree = join(dir.path, name, "out/keep");
      assertEquals(await Deno.readTextFile(join(tree, "args")), name);
      assertEquals(await Deno.readTextFile(join(tree, "env")), name);
      assertEquals(await Deno.readTextFile(join(tree, name, "copy", name)), name);
      const names = (folder: string) =>
        Array.fromAsync(Deno.readDir(join(tree, name, folder)), ({ name }) => name);
      assertEquals((await names("save")).length, 2);
      assert((await names("lay")).includes("oci-layout"));
      assert((await names("keep")).includes("vfs-images"));
      assert((await Deno.stat(join(dir.path, name, "out/make", name))).isFile);
      const found = await run("find", [dir.path, "-name", "PWNED"]);
      assertEquals(found, "");
    });
  }
});

describe("a name that no file can have", () => {
  const names = {
    "": "a path that is not empty",
    "..": 'a name without "/"',
    "a/b": 'a name without "/"',
    "a\0b": "a path that is not empty",
    "\ud800": "a path that is Unicode",
    ["ü".repeat(128)]: "a path of names of at most 255 bytes",
  };
  for (const [name, words] of Object.entries(names)) {
    it(`is refused with the place that says it: ${JSON.stringify(name).slice(0, 40)}`, async () => {
      const config = dir.join("config.json");
      await Deno.writeTextFile(config, JSON.stringify(configOf(name)));
      const { code, stderr } = await stowage(["check", `--config=${config}`], { cwd: dir.path });
      assertEquals(code, 2, stderr);
      assertStringIncludes(stderr, "stages.make.filename: expected");
      assertStringIncludes(stderr, words);
    });
  }
});

describe("what comes from outside", () => {
  it("does not move the cursor", async () => {
    const path = "\u001b[2J\u009b1m\r\u202e\u0007x";
    const authFile = `${path}.json`;
    const sources = {
      dir: { type: "dir", path },
      app: { type: "docker", reference: "127.0.0.1:1/app:1", tlsVerify: false, authFile },
    };
    const stages = {
      fine: { type: "exec", command: ["true"] },
      say: { type: "exec", command: ["sh", "-c", 'printf "$1"; exit 1', "sh", path] },
    };
    await Deno.writeTextFile(dir.join("c.json"), JSON.stringify({ sources, stages }));
    const all = [["build"], ["plan"], ["fetch"], ["build", "--debug"], ["build", "fine"]];
    for (const words of all) {
      const flags = ["--config=c.json", "--attempts=1", `--store=${path}`, `--out=${path}o`];
      const accepted = words[0] === "build" ? flags : flags.slice(0, -1);
      const { code, stdout, stderr } = await stowage([...words, ...accepted], { cwd: dir.path });
      assertEquals(code, words[1] === "fine" ? 0 : 1, stderr);
      const moving = /[^\P{Cc}\n\t]|\u202e/u.exec(`${stdout}${stderr}`);
      assertEquals(moving?.[0], undefined, JSON.stringify(stderr));
    }
  });
});
