import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { parse } from "@std/toml/parse";
import { type Config, exec, StageError, storageConf, type StorageTable } from "@stowage/stowage";
import { mustBuild, mustFail, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";

const { dir, at } = await fixture();

function config(storage: StorageTable, script = "true", path?: string): Config {
  return {
    stages: {
      base: exec({ command: ["sh", "-euc", script] }),
      os: storageConf({ on: "base", storage, ...(path !== undefined && { path }) }),
    },
  };
}

const readConf = async (given: Config, path = "etc/containers/storage.conf") =>
  parse(await Deno.readTextFile(join(treeOf(await mustBuild(given, at), "os"), path)));

describe("storageConf()", () => {
  it("makes a file that podman heeds", async () => {
    const [graphroot, runroot] = [dir.join("graph"), dir.join("run")];
    const build = await mustBuild(
      config({
        driver: "vfs",
        graphroot,
        runroot,

        options: {
          additionalimagestores: [],
          overlay: { mountopt: "nodev" },
          vfs: { ignore_chown_errors: "false" },
          "remap-uids": "0:100000:1000:1000:200000:5",
          "remap-gids": "0:100000:1000",
          "auto-userns-min-size": 512,
          "auto-userns-max-size": 4096,
          "disable-volatile": true,
        },
      }),
      at,
    );
    const file = join(treeOf(build, "os"), "etc/containers/storage.conf");
    const format = "{{.Store.GraphDriverName}} {{.Store.GraphRoot}} {{.Store.RunRoot}}";
    const told = await run("podman", ["--log-level=error", "info", "--format", format], {
      env: { CONTAINERS_STORAGE_CONF: file },
    });
    assertEquals(told.trim(), `vfs ${graphroot} ${runroot}`);
    const { mode, mtime } = await Deno.stat(file);
    assertEquals([(mode ?? 0) & 0o777, mtime?.getTime()], [0o644, 0]);
  });

  it("leaves what the file has beside that, and begins with the vendor's", async () => {
    const old = `mkdir -p etc/containers usr/share/containers
      printf '[storage]\\ndriver = "overlay"\\ngraphroot = "/old"\\n[storage.options]\\n` +
      `additionalimagestores = ["/a"]\\n[storage.options.overlay]\\nsize = "1g"\\n[other]\\nx = 1\\n' \\
        >usr/share/containers/storage.conf`;
    const storage = {
      graphroot: "/new",
      options: { additionalimagestores: ["/b"], overlay: { mountopt: "nodev" } },
    };
    const wanted = {
      storage: {
        driver: "overlay",
        graphroot: "/new",
        options: {
          additionalimagestores: ["/b"],
          overlay: { size: "1g", mountopt: "nodev" },
        },
      },
      other: { x: 1 },
    };
    assertEquals(await readConf(config(storage, old)), wanted);
    const moved = `${old}; mv usr/share/containers/storage.conf etc/containers`;
    assertEquals(await readConf(config(storage, moved)), wanted);
    const path = "/usr/share/containers/storage.conf";
    assertEquals(await readConf(config(storage, old, path), path.slice(1)), wanted);
  });

  it("refuses a file that is none, and stays in the tree", async () => {
    const refuse = async (script: string) =>
      (await mustFail(StageError, "stage/os", config({ driver: "vfs" }, script), at)).error.message;
    const make = (text: string) =>
      `mkdir -p etc/containers && printf '${text}' >etc/containers/storage.conf`;
    assertStringIncludes(await refuse(make("what")), "etc/containers/storage.conf is no TOML");
    assertStringIncludes(await refuse(make("storage = 1\\n")), 'no table where "storage" is one');
    const dropIn = (driver: string) =>
      `d=usr/share/containers/storage.conf.d; mkdir -p $d; printf '[storage]\\ndriver = "${driver}"\\n' >$d/1.conf`;
    assertStringIncludes(
      await refuse(dropIn("overlay")),
      "the tree's /usr/share/containers/storage.conf.d/1.conf says storage.driver too, and counts more",
    );
    await mustBuild(config({ driver: "vfs" }, dropIn("vfs")), at);
    await Deno.mkdir(dir.join("outside"));
    const link = `mkdir etc && ln -s '${dir.join("outside")}' etc/containers`;
    await mustBuild(config({ driver: "vfs" }, link), at);
    assertEquals(await Array.fromAsync(Deno.readDir(dir.join("outside"))), []);
  });
});
