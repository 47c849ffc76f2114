import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  copyTree,
  exec,
  ociArchive,
  StageError,
  tree,
  type TreeOptions,
} from "@stowage/stowage";
import { idsOf, listTree, mustBuild, mustFail, statusOf, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { run, tempDir } from "../support/mod.ts";

const { dir, at } = await fixture({ files: { "one/file": "one", "two/file": "two" } });

const config: Config = {
  inputs: { one: tree("one"), two: tree("./two/") },
  stages: {
    first: copyTree({ inputs: ["one"] }),
    next: exec({ command: ["touch", "next"], on: "first" }),
    second: copyTree({ inputs: ["two"] }),
    both: copyTree({ inputs: ["one", "two"] }),
    neither: exec({ command: ["true"] }),
  },
};

const ALL = { first: "ran", next: "ran", second: "ran", both: "ran", neither: "ran" };
const NONE = {
  ...{ first: "cached", next: "cached", second: "cached", both: "cached", neither: "cached" },
};

describe("tree()", () => {
  const edits: Record<string, string> = {
    "a file's text": "echo other >two/file",
    "a file's text, its size and time the same":
      "touch -r two/file t; printf owt >two/file; touch -r t two/file",
    "a mode": "chmod 600 two/file",
    "an owner": "chown 7:7 two/file",
    "an attribute": "setfattr -n user.x -v y two/file",
    "a new folder": "mkdir two/new",
    "a link": "ln -s file two/link",
    "a name": "mv two/file two/other",
  };
  for (const [what, script] of Object.entries(edits)) {
    it(`runs what depends on it again, and nothing else: ${what}`, async () => {
      const before = await mustBuild(config, at);
      assertEquals(statusOf(before), ALL);
      await run("sh", ["-c", script], { cwd: dir.path });
      const after = await mustBuild(config, at);
      assertEquals(statusOf(after), { ...NONE, second: "ran", both: "ran" });
      assertNotEquals(idsOf(after)["second"], idsOf(before)["second"]);
      assertEquals(statusOf(await mustBuild(config, at)), NONE);
    });
  }

  it("runs nothing again for a touch, or for another name or place, where a date is said", async () => {
    const dated = { ...at, epoch: 0 };
    const before = await mustBuild(config, dated);
    await run("sh", ["-c", "touch one/* one; mv two zwei"], { cwd: dir.path });
    const moved = { ...config, inputs: { one: tree(dir.join("one")), two: tree("zwei") } };
    const after = await mustBuild(moved, dated);
    assertEquals([statusOf(after), idsOf(after)], [NONE, idsOf(before)]);
  });

  it("has the dates, owners and modes that the config says", async () => {
    const script = `chmod 664 one/file; chown 1000:1000 one one/file; touch -d @100.5 one/file
      printf x >one/new; touch -d @900 one/new; chmod 2771 one/new`;
    await run("sh", ["-euc", script], { cwd: dir.path });
    const listed = async (options: TreeOptions, epoch: number) => {
      const build = await mustBuild({
        inputs: { one: tree("one", options) },
        stages: {
          os: copyTree({ inputs: ["one"] }),
          layer: ociArchive({ inputs: ["one"], filename: "a.tar", compression: "none" }),
        },
      }, { ...at, epoch });
      const format = "%f %m %U:%G %T@\n";
      const files = await run("find", [treeOf(build, "os"), "-type", "f", "-printf", format]);
      const unpack = `tar -xf a.tar -C "$1"; for blob in "$1"/blobs/sha256/*; do
        tar -tvf "$blob" --numeric-owner --full-time 2>/dev/null || :; done`;
      const to = await Deno.makeTempDir({ dir: dir.path });
      const cwd = treeOf(build, "layer");
      const layer = await run("sh", ["-euc", unpack, "sh", to], { cwd, env: { TZ: "UTC" } });
      return [files.replaceAll("00000000", ""), layer.replace(/ +/g, " ")]
        .map((lines) => lines.trim().split("\n").sort());
    };
    assertEquals(await listed({ dates: "clamp", owner: 0, group: 7, mode: "normal" }, 500), [
      ["file 644 0:7 100.50", "new 755 0:7 500.00"],
      [
        "-rw-r--r-- 0/7 3 1970-01-01 00:01:40.5 file",
        "-rwxr-xr-x 0/7 1 1970-01-01 00:08:20 new",
      ],
    ]);
    assertEquals(await listed({ dates: "keep" }, 500), [
      ["file 664 1000:1000 100.50", "new 2771 0:0 900.00"],
      [
        "-rw-rw-r-- 1000/1000 3 1970-01-01 00:01:40.5 file",
        "-rwxrws--x 0/0 1 1970-01-01 00:15:00 new",
      ],
    ]);
  });

  it("runs again for a touch where dates count", async () => {
    const ids = async (dates: "clamp" | "keep") => {
      const inputs = { one: tree("one", { dates }) };
      const stages = { os: copyTree({ inputs: ["one"] }) };
      return idsOf(await mustBuild({ inputs, stages }, { ...at, epoch: 500 }))["os"];
    };
    const before = [await ids("keep"), await ids("clamp")];
    await run("touch", ["-d", "@1000", dir.join("one/file")]);
    const after = [await ids("keep"), await ids("clamp")];
    assertNotEquals(after[0], before[0]);
    assertEquals(after[1], before[1]);
  });

  it("says whose files it has", async () => {
    const codes = async (options: TreeOptions) => {
      const inputs = { one: tree("one", options) };
      const stages = { os: copyTree({ inputs: ["one"] }) };
      const { events } = await mustBuild({ inputs, stages }, at);
      return events.flatMap((event) => event.type === "notice" ? [event.code] : []);
    };
    assertEquals(await codes({}), []);
    await Deno.chown(dir.join("one"), 1000, 1000);
    assertEquals(await codes({ dates: "keep" }), ["FOREIGN_OWNER"]);
    assertEquals(await codes({ dates: "keep", owner: 1000 }), []);
  });

  it("tells once of all inputs with files of others, and with sockets", async () => {
    const names = ["one", "two"];
    using sockets = new DisposableStack();
    for (const name of names) {
      await Deno.mkdir(dir.join(name), { recursive: true });
      await Deno.chown(dir.join(name), 1000, 1000);
      sockets.use(Deno.listen({ transport: "unix", path: dir.join(name, "so") }));
    }
    const inputs = Object.fromEntries(names.map((name) => [name, tree(name, { dates: "keep" })]));
    const { events } = await mustBuild({ inputs, stages: { os: copyTree({ inputs: names }) } }, at);
    const told = events.flatMap((event) => event.type === "notice" ? [event.message] : []);
    assertEquals(told.map((message) => message.split(", and so")[0]).sort(), [
      '"one" leaves out sockets: "so"; "two" leaves out sockets: "so"',
      'Files of "one", "two" belong to another user of this machine (1000)',
    ]);
  });

  it("has nothing of the folders that the store and the results are in", async () => {
    const config: Config = {
      inputs: { one: tree("one") },
      stages: {
        os: copyTree({ inputs: ["one"], to: "/opt/one" }),
        made: exec({ on: "os", command: ["sh", "-c", "mkdir new; : >new/file"] }),
      },
    };
    // All that belongs to each file and folder, ACLs too.
    const script = `cd "$0" && find . -printf '%p %M %U:%G\n' | sort && getfacl -Rcn .`;
    const placed = async (prepare: string): Promise<string> => {
      const folder = dir.join(crypto.randomUUID());
      await Deno.mkdir(folder);
      await run("sh", ["-euc", prepare], { cwd: folder });
      const out = `${folder}/out`;
      const result = await mustBuild(config, { ...at, store: `${folder}/store`, out });
      const trees = [treeOf(result, "made"), `${out}/made`];
      const [kept, copy] = await Promise.all(
        trees.map((path) => run("sh", ["-euc", script, path])),
      );
      assertEquals(copy, kept);
      return kept ?? "";
    };
    const plain = await placed("umask 022");
    assertEquals(await placed("setfacl -d -m u:1234:rwx,g::rwx,o::rwx ."), plain);
    assertEquals(
      await placed("mkdir -p store/tmp out; chgrp -R 7 . ; chmod -R 2755 ."),
      plain,
    );
  });

  it("cannot be changed by a stage", async () => {
    const stages = {
      os: exec({ inputs: ["one"], command: ["sh", "-c", 'echo x >"$STOWAGE_INPUT_ONE/file"'] }),
    };
    const { error } = await mustFail(StageError, "stage/os", { ...config, stages }, at);
    assertStringIncludes(error.message, "Read-only file system");
    assertEquals(await Deno.readTextFile(dir.join("one/file")), "one");
  });

  it("must not be changed while it is read", async () => {
    const script = 'touch "$0"; mv "$0" "$0.moved"; mv "$0.moved" "$0"';
    const stages = {
      os: exec({ inputs: ["one"], command: ["sh", "-euc", script, dir.join("one/file")] }),
    };
    const { error } = await mustFail(StageError, "stage/os", { ...config, stages }, at);
    assertStringIncludes(error.message, `"${dir.join("one")}" was changed while the build read it`);
  });

  it("is a part of a folder that a link leads to", async () => {
    await Deno.symlink("one", dir.join("link"));
    await Deno.writeTextFile(dir.join("one/other"), "other");
    const build = await mustBuild({
      inputs: { link: tree("link", { exclude: ["other"] }) },
      stages: { os: copyTree({ inputs: ["link"] }) },
    }, at);
    assertEquals(await listTree(treeOf(build, "os")), ["file"]);
  });

  it("may be a link to a folder, or empty", async () => {
    await Deno.symlink("one", dir.join("link"));
    await Deno.mkdir(dir.join("empty"));
    const build = await mustBuild({
      inputs: { link: tree("link"), empty: tree("empty") },
      stages: { os: copyTree({ inputs: ["link", "empty"] }) },
    }, at);
    assertEquals(await listTree(treeOf(build, "os")), ["file"]);
  });

  for (const path of ["gone", "one/file"]) {
    it(`says so where there is no folder: ${path}`, async () => {
      const inputs = { one: tree(path), two: tree("two") };
      const { error, skipped } = await mustFail(StageError, "input/one", { ...config, inputs }, at);
      assertEquals(
        error.message,
        `Cannot read input "one": there is no folder "${dir.join(path)}"`,
      );
      assertEquals(skipped, ["stage/first", "stage/next", "stage/both"]);
    });
  }

  it("is not a folder that the store is in", async () => {
    const inputs = { one: tree("."), two: tree("two") };
    const { error } = await mustFail(StageError, "input/one", { ...config, inputs }, at);
    assertStringIncludes(error.message, "the store is in the folder");
    assert(error.hint);
    await using other = await tempDir();
    await mustBuild({ ...config, inputs }, { ...at, store: other.join("store") });
  });
});
