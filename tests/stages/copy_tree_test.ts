import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { type Config, copyTree, exec, StageError, tree } from "@stowage/stowage";
import { idsOf, listTree, mustBuild, mustFail, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";

const { dir, at } = await fixture();

const describeFiles = async (folder: string) =>
  (await run("find", [folder, "-mindepth", "1", "-printf", "%P %y %m %U:%G %n %T@ %l\n"]))
    .split("\n").sort();

describe("copy-tree", () => {
  it("copies all that belongs to a file, but its time", async () => {
    const script = `mkdir -p a/sticky && chmod 1777 a/sticky && echo x >a/file && ln a/file a/hard
      ln -s file a/soft && mkfifo a/pipe && mknod a/null c 1 3 && chown 101:7 a/file
      cp /bin/true a/suid && chmod 4755 a/suid && touch -d @5 a/file && setfattr -n user.x -v y a/file
      printf x >"a/$(printf 'new\\nline \\377')" && truncate -s 1G a/hole`;
    await run("sh", ["-euc", script], { cwd: dir.path });
    const config: Config = {
      inputs: { a: tree("a") },
      stages: { os: copyTree({ inputs: ["a"] }), next: exec({ command: ["true"], on: "os" }) },
    };
    const build = await mustBuild(config, { ...at, keepStages: true, out: dir.join("out") });
    const files = await describeFiles(dir.join("a"));
    for (const folder of [treeOf(build, "os"), treeOf(build, "next")]) {
      const copied = await describeFiles(folder);
      const plain = (line: string) => line.replace(/ \d+ [\d.]+ /, " 1 0 ");
      assertEquals(copied.map(plain), files.map(plain));
      const attribute = await run("getfattr", ["--only-values", "-n", "user.x", `${folder}/hard`]);
      assertEquals(attribute, "y");
      assert(((await Deno.stat(join(folder, "hole"))).blocks ?? Infinity) < 100);
    }
  });

  it("makes the same of what has the same id", async () => {
    const make = "mkdir -p a/sub && echo x >a/sub/file && touch -d @7 a/sub/file a/sub";
    await run("sh", ["-euc", make], { cwd: dir.path });
    const config: Config = {
      inputs: { a: tree("a") },
      stages: {
        copied: copyTree({ inputs: ["a"], to: "/srv" }),
        seen: exec({
          inputs: ["a"],
          command: [
            "sh",
            "-euc",
            `cd "$STOWAGE_INPUT_A"
            find . -printf "%P %y %m %U:%G %n %T@\\n" | sort >"$OLDPWD/seen"
            getfattr -d -m - -R . >>"$OLDPWD/seen"`,
          ],
        }),
      },
    };
    const build = async (store: string) => {
      const built = await mustBuild(config, { ...at, store: dir.join(store), epoch: 0 });
      const files = (await describeFiles(treeOf(built, "copied"))).join("\n");
      return [idsOf(built), files, await Deno.readTextFile(join(treeOf(built, "seen"), "seen"))];
    };
    const before = await build("one");
    const spoil = `touch a a/sub a/sub/file && chmod 700 a && chown 7:8 a
      setfattr -n user.mine -v x a`;
    await run("sh", ["-euc", spoil], { cwd: dir.path });
    assertEquals(await build("two"), before);
    assertEquals(
      before[1],
      "\nsrv d 755 0:0 3 0.0000000000 \nsrv/sub d 755 0:0 2 0.0000000000 \n" +
        "srv/sub/file f 644 0:0 1 0.0000000000 ",
    );
  });

  it("leaves the folder that it copies to as it is", async () => {
    await Deno.mkdir(dir.join("files"));
    await Deno.writeTextFile(dir.join("files/key"), "x");
    const build = await mustBuild({
      inputs: { files: tree("files") },
      stages: {
        base: exec({ command: ["sh", "-c", "mkdir -m 700 home && chown 7:8 home"] }),
        os: copyTree({ inputs: ["files"], to: "/home", on: "base" }),
      },
    }, at);
    const { mode, uid, gid } = await Deno.stat(join(treeOf(build, "os"), "home"));
    assertEquals([(mode ?? 0) & 0o777, uid, gid], [0o700, 7, 8]);
    assertEquals(await listTree(treeOf(build, "os")), ["home", "home/key"]);
  });

  it("copies the later over the earlier, and over what is there", async () => {
    for (const name of ["one", "two"]) {
      await Deno.mkdir(dir.join(name, "etc"), { recursive: true });
      await Deno.writeTextFile(dir.join(name, "etc/motd"), name);
      await Deno.writeTextFile(dir.join(name, "etc", name), "");
    }
    const build = await mustBuild({
      inputs: { one: tree("one"), two: tree("two") },
      stages: {
        base: exec({ command: ["sh", "-c", "mkdir etc && echo x | tee etc/motd >etc/base"] }),
        os: copyTree({ inputs: ["two", "one"], on: "base" }),
        deep: copyTree({ inputs: ["one"], to: "/a/b" }),
      },
    }, at);
    const os = treeOf(build, "os");
    assertEquals(await listTree(os), ["etc", "etc/base", "etc/motd", "etc/one", "etc/two"]);
    assertEquals(await Deno.readTextFile(join(os, "etc/motd")), "one");
    assertEquals(await listTree(treeOf(build, "deep")), [
      ...["a", "a/b", "a/b/etc", "a/b/etc/motd", "a/b/etc/one"],
    ]);
  });

  it("follows no link of the tree out of it", async () => {
    await Deno.mkdir(dir.join("files"));
    await Deno.writeTextFile(dir.join("files/motd"), "hello");
    await Deno.mkdir(dir.join("outside"));
    const build = await mustBuild({
      inputs: { files: tree("files") },
      stages: {
        base: exec({ command: ["ln", "-s", dir.join("outside"), "etc"] }),
        os: copyTree({ inputs: ["files"], to: "/etc/deep", on: "base" }),
      },
    }, at);
    assertEquals(await listTree(dir.join("outside")), []);
    const found = join(treeOf(build, "os"), dir.join("outside"), "deep/motd");
    assertEquals(await Deno.readTextFile(found), "hello");
  });

  it("takes the place of links, and does not write to where they lead", async () => {
    await Deno.mkdir(dir.join("files"));
    await Deno.writeTextFile(dir.join("files/motd"), "hello");
    await Deno.writeTextFile(dir.join("files/name"), "hello");
    await Deno.symlink("motd", dir.join("files/link"));
    await Deno.writeTextFile(dir.join("outside"), "mine");
    const script = `ln -s '${dir.join("outside")}' motd; echo x >other; ln other name; touch link`;
    const build = await mustBuild({
      inputs: { files: tree("files") },
      stages: {
        base: exec({ command: ["sh", "-c", script] }),
        os: copyTree({ inputs: ["files"], on: "base" }),
      },
    }, at);
    const os = treeOf(build, "os");
    assertEquals(await Deno.readTextFile(dir.join("outside")), "mine");
    assertEquals((await Deno.lstat(join(os, "motd"))).isFile, true);
    assertEquals(await Deno.readLink(join(os, "link")), "motd");
    assertEquals(await Deno.readTextFile(join(os, "other")), "x\n");
  });

  it("copies below a link of the tree to where it leads in the tree", async () => {
    const script = `mkdir -p base/usr/lib/systemd base/opt app/lib/systemd/deep app/bin/x
      ln -s usr/lib base/lib; ln -s /opt base/bin; ln -s ../../../opt base/usr/lib/systemd/deep
      echo libc >base/usr/lib/libc.so; chmod 711 base/usr/lib
      echo unit >app/lib/systemd/app.service; echo x >app/lib/systemd/deep/file; echo x >app/bin/x/y`;
    await run("sh", ["-euc", script], { cwd: dir.path });
    const build = await mustBuild({
      inputs: { base: tree("base"), app: tree("app") },
      stages: { os: copyTree({ inputs: ["base", "app"] }) },
    }, { ...at, epoch: 0 });
    const os = treeOf(build, "os");
    assertEquals(await listTree(os), [
      ...["bin", "lib", "opt", "opt/file", "opt/x", "opt/x/y", "usr", "usr/lib"],
      ...["usr/lib/libc.so", "usr/lib/systemd", "usr/lib/systemd/app.service"],
      "usr/lib/systemd/deep",
    ]);
    assertEquals(((await Deno.stat(join(os, "usr/lib"))).mode ?? 0) & 0o777, 0o711);
    assertEquals((await Deno.stat(join(os, "opt"))).mtime, new Date(0));
  });

  it("refuses what would hide a folder, or what is not one", async () => {
    const refuse = async (base: string, files: string): Promise<string> => {
      const names = [crypto.randomUUID(), crypto.randomUUID()] as const;
      for (const [at, script] of [base, files].entries()) {
        const folder = dir.join(names[at] ?? "");
        await Deno.mkdir(folder);
        await run("sh", ["-euc", script], { cwd: folder });
      }
      const { error } = await mustFail(StageError, "stage/os", {
        inputs: { base: tree(names[0]), files: tree(names[1]) },
        stages: { os: copyTree({ inputs: ["base", "files"] }) },
      }, at);
      return error.message.replace('Cannot run stage "os": input "files" has ', "");
    };
    assertEquals(
      await refuse("mkdir a; : >a/etc", "mkdir -p a/etc"),
      'a folder where the tree has a file: "/a/etc"',
    );
    assertEquals(
      await refuse("mkdir -p a/etc", "mkdir a; ln -s x a/etc"),
      'no folder where the tree has one: "/a/etc"',
    );
    assertEquals(
      await refuse("ln -s /etc/hostname a", "mkdir a"),
      'a folder where the tree has a link that leads to none: "/a"',
    );
    assertEquals(
      await refuse("ln -s b a; ln -s a b", "mkdir a"),
      'a folder where the tree has a link that leads to none: "/a"',
    );
    assertEquals(
      await refuse("mkdir -p usr/lib; ln -s /usr/lib lib", ": >lib"),
      'no folder where the tree has a link to one: "/lib"',
    );
  });
});
