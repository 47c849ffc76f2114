import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { InterruptedError, ToolError, ToolMissingError } from "../../src/errors/mod.ts";
import { mustRun, runProcess } from "../../src/tools/process.ts";
import { copyExactly, readTar, treeDigest, writeTar } from "../../src/tools/tar.ts";
import { fixture } from "../support/fixture.ts";
import { digestOf, run, tar } from "../support/mod.ts";

const { dir } = await fixture();
const LONG = "0123456789".repeat(20);

/** Makes files of every kind; `isReversed` makes them, and their attributes, the other way round. */
async function makeTree(path: string, isReversed = false): Promise<void> {
  const steps = [
    `printf 'some bytes' >file; chown 12:3456789 file; chmod 4751 file`,
    `ln -s file symlink`,
    `mkdir -p '${LONG}/${LONG}'; printf long >'${LONG}/${LONG}/${LONG}'`,
    `: >-dash; : >.wh.gone; : >"$(printf 'new\\nline')"; : >"$(printf 'latin\\351')"; : >é`,
    `mknod null c 1 3; mkfifo fifo; mkdir -m 1777 tmp`,
    `: >acl; mkdir acls`,
    `truncate -s 1M holes; printf x | dd of=holes bs=1 seek=500000 conv=notrunc status=none`,
  ];
  const links = [`ln file hard1`, `ln file hard2`];
  const attributes = [
    ...["user.a", "user.b", "user.cc"].map((name) => `setfattr -n ${name} -v '${name} value' file`),
    `setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 file`,
    `setfattr -n trusted.mine -v kept file`,
    `setfacl -m u:1:r,g:4242:rw acl`,
    `setfacl -d -m u:1:r acls`,
  ];
  const order = (lines: readonly string[]) => isReversed ? lines.toReversed() : lines;
  const script = [steps, links, attributes].flatMap(order).join("\n");
  await Deno.mkdir(path);
  await run("sh", ["-euc", script], { cwd: path });
}

/** Writes a folder as an archive, and returns the file. */
async function tarOf(folder: string, epoch = 0): Promise<string> {
  const path = `${folder}.tar`;
  await writeTar(folder, (await Deno.create(path)).writable, { epoch });
  return path;
}

function failing(message: string): WritableStream<Uint8Array> {
  return new WritableStream({ write: () => Promise.reject(new RangeError(message)) });
}

describe("writeTar()", () => {
  it("writes the same bytes in whatever order, at whatever time a tree was made", async () => {
    await makeTree(dir.join("a"));
    await makeTree(dir.join("b"), true);
    await run("find", [dir.join("b"), "-exec", "touch", "-h", "-d", "2001-02-03", "{}", "+"]);
    await run("setfattr", ["-n", "user.itself", "-v", "x", dir.join("b")]);
    await Deno.chmod(dir.join("b"), 0o700);
    const a = await Deno.readFile(await tarOf(dir.join("a")));
    const b = await Deno.readFile(await tarOf(dir.join("b")));
    assertEquals(await digestOf(a), await digestOf(b));
    assertEquals(await treeDigest(dir.join("a")), await digestOf(a));
    assertEquals(await treeDigest(dir.join("b")), await digestOf(a));
  });

  it("does not heed the environment", async () => {
    await makeTree(dir.join("a"));
    const expected = await treeDigest(dir.join("a"));
    const env = { TZ: "Asia/Tokyo", LC_ALL: "C.UTF-8", TAR_OPTIONS: "--exclude=*" };
    const before = Object.keys(env).map((name) => [name, Deno.env.get(name)] as const);
    for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
    const umask = Deno.umask(0o077);
    try {
      assertEquals(await treeDigest(dir.join("a")), expected);
    } finally {
      Deno.umask(umask);
      for (const [name, value] of before) {
        if (value === undefined) Deno.env.delete(name);
        else Deno.env.set(name, value);
      }
    }
  });

  it("keeps names, modes, owners, links, devices and holes, dated to the epoch", async () => {
    await makeTree(dir.join("a"));
    const list = await run("tar", [
      "--numeric-owner",
      "--full-time",
      "-tvf",
      await tarOf(dir.join("a"), 86400),
    ], {
      env: { TZ: "UTC", LC_ALL: "C" },
    });
    const lines = list.trimEnd().split("\n").map((line) => line.replace(/ +/g, " "));
    const at = "1970-01-02 00:00:00";
    assertEquals(lines, [
      `-rw-r--r-- 0/0 0 ${at} -dash`,
      `-rw-r--r-- 0/0 0 ${at} .wh.gone`,
      `drwxr-xr-x 0/0 0 ${at} ${LONG}/`,
      `drwxr-xr-x 0/0 0 ${at} ${LONG}/${LONG}/`,
      `-rw-r--r-- 0/0 4 ${at} ${LONG}/${LONG}/${LONG}`,
      `-rw-rw-r-- 0/0 0 ${at} acl`,
      `drwxr-xr-x 0/0 0 ${at} acls/`,
      `prw-r--r-- 0/0 0 ${at} fifo`,
      `-rwsr-x--x 12/3456789 10 ${at} file`,
      `hrwsr-x--x 12/3456789 0 ${at} hard1 link to file`,
      `hrwsr-x--x 12/3456789 0 ${at} hard2 link to file`,
      `-rw-r--r-- 0/0 1048576 ${at} holes`,
      `-rw-r--r-- 0/0 0 ${at} latin\\351`,
      `-rw-r--r-- 0/0 0 ${at} new\\nline`,
      `crw-r--r-- 0/0 1,3 ${at} null`,
      `lrwxrwxrwx 0/0 0 ${at} symlink -> file`,
      `drwxrwxrwt 0/0 0 ${at} tmp/`,
      `-rw-r--r-- 0/0 0 ${at} \\303\\251`,
    ]);
  });

  it("is extracted as it was, attributes and ACLs included", async () => {
    await makeTree(dir.join("a"));
    await Deno.mkdir(dir.join("b"));
    const archive = await tarOf(dir.join("a"));
    const flags = ["--extract", "--numeric-owner", "--xattrs", "--xattrs-include=*"];
    await run("tar", [...flags, `--file=${archive}`, `--directory=${dir.join("b")}`]);
    assertEquals(await treeDigest(dir.join("b")), await treeDigest(dir.join("a")));
    const attributes = await run("getfattr", ["-d", "-m", "-", "--", "file"], {
      cwd: dir.join("b"),
    });
    const names = attributes.split("\n").slice(1).map((line) => line.replace(/=.*/, ""));
    const expected = ["security.capability", "trusted.mine", "user.a", "user.b", "user.cc"];
    assertEquals(names.filter(Boolean).toSorted(), expected);
    const acl = await run("getfacl", ["-cn", "--", "acl"], { cwd: dir.join("b") });
    assertEquals(acl.trim().split("\n"), [
      ...["user::rw-", "user:1:r--", "group::r--", "group:4242:rw-", "mask::rw-", "other::r--"],
    ]);
  });

  it("tells what it leaves out, and takes names of attributes as they are", async () => {
    await Deno.mkdir(dir.join("a/b"), { recursive: true });
    const names = ["user.a%3D=", "user.b%25c", "user.long", "trusted.x"];
    const script = `: >b/file; mknod b/gone c 0 0; ` +
      names.map((name) => `setfattr -n ${name} -v ${"x".repeat(95)} b/file`).join("; ");
    await run("sh", ["-euc", script], { cwd: dir.join("a") });
    const socket = Deno.listen({ transport: "unix", path: dir.join("a/b/so ck") });
    const [sockets, members, seen]: [string[], string[], string[]] = [[], [], []];
    const file = await Deno.create(dir.join("a.tar"));
    await writeTar(dir.join("a"), file.writable, {
      onSocket: (path) => void sockets.push(path),
      onMember: ({ path, type }) => void members.push(`${path} ${type}`),
      keepsAttribute: (name, value, path) => {
        seen.push(`${name} ${value.length} ${path}`);
        return name.includes("%25");
      },
    });
    socket.close();
    assertEquals(sockets, ["b/so ck"]);
    assertEquals(members, ["b folder", "b/file other", "b/gone whiteout"]);
    assertEquals(seen.toSorted(), names.toSorted().map((name) => `${name} 95 b/file`));
    const code = `import tarfile
for m in tarfile.open("a.tar"):
  print(m.name, sorted(k for k in m.pax_headers if "xattr" in k))`;
    assertEquals(
      await run("python3", ["-c", code], { cwd: dir.path }),
      [
        "b []\n",
        "b/file ['SCHILY.xattr.user.b%25c']\n",
        "b/gone []\n",
      ].join(""),
    );
  });

  it("goes on rightly behind attributes and files of any length", async () => {
    await Deno.mkdir(dir.join("a"));
    const sizes = [0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 1_000_000];
    for (const [index, size] of sizes.entries()) {
      const path = dir.join("a", `${index}`);
      await Deno.writeFile(path, crypto.getRandomValues(new Uint8Array(size % 65_536)));
      await Deno.truncate(path, size);
      const value = String(index).repeat(100 + 300 * index);
      for (const name of ["user.z", "user.a"]) {
        await run("setfattr", ["-n", name, "-v", value.slice(0, 1500), path]);
      }
    }
    await Deno.mkdir(dir.join("b"));
    const flags = ["--xattrs", "--xattrs-include=*"];
    const archive = await tarOf(dir.join("a"));
    await run("tar", [...flags, "-xf", archive, "-C", dir.join("b")]);
    await run("diff", ["-r", dir.join("a"), dir.join("b")]);
    assertEquals(await treeDigest(dir.join("b")), await digestOf(await Deno.readFile(archive)));
  });

  it("makes an archive of an empty folder", async () => {
    await Deno.mkdir(dir.join("a"));
    assertEquals(await Deno.readFile(await tarOf(dir.join("a"))), new Uint8Array(1024));
  });

  it("gives all files an owner and a mode where it is told", async () => {
    await makeTree(dir.join("a"));
    const file = await Deno.create(dir.join("a.tar"));
    await writeTar(dir.join("a"), file.writable, {
      attributes: { owner: 0, group: 7, mode: "normal" },
    });
    const list = await run("tar", ["--numeric-owner", "-tvf", dir.join("a.tar"), "file"]);
    assertEquals(list.split(" ").slice(0, 2), ["-rwxr-xr-x", "0/7"]);
  });

  it("says what tar says of a folder that is not there", async () => {
    let reason: unknown;
    const to = new WritableStream<Uint8Array>({ abort: (error) => void (reason = error) });
    const error = await assertRejects(() => writeTar(dir.join("none"), to), ToolError);
    assertEquals([error.tool, error.exitCode], ["tar", 2]);
    assert(error.message.includes("No such file or directory"), error.message);
    assert(reason instanceof ToolError);
  });

  it("ends when what takes the archive fails", async () => {
    await Deno.mkdir(dir.join("a"));
    await Deno.writeFile(dir.join("a/file"), new Uint8Array(2 ** 22));
    await assertRejects(() => writeTar(dir.join("a"), failing("full")), RangeError, "full");
  });

  it("ends when it is interrupted, and aborts what takes the archive", async () => {
    await Deno.mkdir(dir.join("a"));
    await Deno.writeFile(dir.join("a/file"), new Uint8Array(2 ** 22));
    const controller = new AbortController();
    const { signal } = controller;
    let reason: unknown;
    const to = new WritableStream<Uint8Array>({
      write: () => controller.abort(),
      abort: (error) => void (reason = error),
    });
    await assertRejects(() => writeTar(dir.join("a"), to, { signal }), InterruptedError);
    assert(reason instanceof InterruptedError);
    await assertRejects(() => treeDigest(dir.join("a"), { signal }), InterruptedError);
  });
});

describe("treeDigest()", () => {
  const edits = {
    "a byte": "printf 'some Bytes' >file",
    "a mode": "chmod 0751 file",
    "an owner": "chown 13 file",
    "a group": "chgrp 13 file",
    "an attribute": "setfattr -n user.a -v other file",
    "a capability": "setfattr -x security.capability file",
    "what makes a folder opaque": "setfattr -n trusted.overlay.opaque -v y tmp",
    "a label": "setfattr -n security.selinux -v system_u:object_r:bin_t:s0 file",
    "an ACL": "setfacl -m u:1:rw acl",
    "a name": "mv symlink sym",
    "the target of a link": "ln -sfn hard1 symlink",
    "a hard link": "rm hard2; cp -a file hard2",
    "a device": "rm null; mknod null c 1 5",
    "an empty folder": "mkdir empty",
  };
  for (const [name, edit] of Object.entries(edits)) {
    it(`changes with ${name}`, async () => {
      await makeTree(dir.join("a"));
      const before = await treeDigest(dir.join("a"));
      await run("sh", ["-euc", edit], { cwd: dir.join("a") });
      assertNotEquals(await treeDigest(dir.join("a")), before);
    });
  }

  it("does not change with times, holes and copies", async () => {
    await makeTree(dir.join("a"));
    const before = await treeDigest(dir.join("a"));
    const edits = "touch file tmp; fallocate --dig-holes holes";
    await run("sh", ["-euc", edits], { cwd: dir.join("a") });
    assertEquals(await treeDigest(dir.join("a")), before);
    await run("cp", ["-a", "--sparse=never", dir.join("a"), dir.join("b")]);
    assertEquals(await treeDigest(dir.join("b")), before);
  });
});

describe("copyExactly()", () => {
  it("copies what the digest tells, and nothing else", async () => {
    const [from, to] = [dir.join("from"), dir.join("to")];
    await makeTree(from);
    await Deno.mkdir(to, { mode: 0o700 });
    await copyExactly(from, to, { epoch: 7 });
    assertEquals(await treeDigest(to), await treeDigest(from));
    const inodes = await Promise.all(["file", "hard1"].map((name) => Deno.stat(`${to}/${name}`)));
    assertEquals(inodes[0]?.ino, inodes[1]?.ino);
    assertEquals(inodes[0]?.mtime, new Date(7000));
    const attributes = await run("getfattr", ["-d", "-m", "-", "file"], { cwd: to });
    for (const name of ["security.capability", "trusted.mine"]) assert(attributes.includes(name));
    const { mtime, mode } = await Deno.stat(to);
    assertEquals([mtime, (mode ?? 0) & 0o777], [new Date(7000), 0o755]);
    assert(((await Deno.stat(`${to}/holes`)).blocks ?? Infinity) < 100);
  });

  it("says what cannot be copied, and may be interrupted", async () => {
    await Deno.mkdir(dir.join("to"));
    const gone = await assertRejects(
      () => copyExactly(dir.join("gone"), dir.join("to")),
      ToolError,
    );
    assert(gone.message.includes("gone"), gone.message);
    const signal = AbortSignal.abort();
    await assertRejects(() => copyExactly(dir.path, dir.join("to"), { signal }), InterruptedError);
  });
});

describe("runProcess() with streams", () => {
  const MANY = ["-c", "head -c 4194304 /dev/zero"];

  it("joins programs", async () => {
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    const [, { stdout }] = await Promise.all([
      mustRun("sh", MANY, { stdout: pipe.writable }),
      mustRun("sha256sum", [], { stdin: pipe.readable }),
    ]);
    const digest = await digestOf(new Uint8Array(4194304));
    assertEquals(new TextDecoder().decode(stdout), `${digest.slice(7)}  -\n`);
  });

  it("lets a program end before its input", async () => {
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    const [written, read] = await Promise.allSettled([
      mustRun("sh", MANY, { stdout: pipe.writable }),
      mustRun("head", ["-c1"], { stdin: pipe.readable }),
    ]);
    assert(read.status === "fulfilled" && read.value.stdout.length === 1);
    assert(written.status === "rejected");
    assertEquals(written.reason.message, "head ended before its input");
  });

  it("tells a program that is not there, and aborts what takes its output", async () => {
    const stdin = ReadableStream.from([new Uint8Array(1)]);
    let reason: unknown;
    const stdout = new WritableStream<Uint8Array>({ abort: (error) => void (reason = error) });
    await assertRejects(() => mustRun("no-such-program", [], { stdin, stdout }), ToolMissingError);
    assert(reason instanceof ToolMissingError);
  });

  it("fails for the one reason when the program that writes fails", async () => {
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    const results = await Promise.allSettled([
      mustRun("sh", ["-c", "echo part; echo why >&2; exit 3"], { stdout: pipe.writable }),
      mustRun("cat", [], { stdin: pipe.readable }),
    ]);
    for (const result of results) {
      assert(result.status === "rejected" && result.reason instanceof ToolError);
      assertEquals([result.reason.tool, result.reason.stderr], ["sh", "why"]);
    }
  });

  it("fails for the one reason when the program that reads fails", async () => {
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    const results = await Promise.allSettled([
      mustRun("sh", MANY, { stdout: pipe.writable }),
      mustRun("sh", ["-c", "echo why >&2; exit 3"], { stdin: pipe.readable }),
    ]);
    for (const result of results) {
      assert(result.status === "rejected" && result.reason instanceof ToolError);
      assertEquals(result.reason.tool, "sh");
    }
  });

  it("fails for the one reason when what the last one writes to fails", async () => {
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    const results = await Promise.allSettled([
      mustRun("sh", MANY, { stdout: pipe.writable }),
      mustRun("cat", [], { stdin: pipe.readable, stdout: failing("full") }),
    ]);
    for (const result of results) {
      assert(result.status === "rejected" && result.reason instanceof RangeError);
    }
  });

  it("ends a program that nobody reads from when it is interrupted", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const stuck = new WritableStream<Uint8Array>({
      write: () => {
        controller.abort();
        return new Promise(() => {});
      },
    });
    await assertRejects(() => runProcess("sh", MANY, { stdout: stuck, signal }), InterruptedError);
  });
});

describe("readTar()", () => {
  it("leaves the folder as it is where only its content is asked for", async () => {
    for (const name of [".", "./.", "/", "/."]) {
      const to = await Deno.makeTempDir({ dir: dir.path });
      const archive = tar({ [name]: { dir: true, mode: 0o4777, owner: 33 }, ".file": "x" }, true);
      const from = new Blob([archive]).stream();
      await readTar(from, to, { doing: "unpack it", isOnlyContent: true });
      const { mode, uid } = await Deno.stat(to);
      assertEquals([(mode ?? 0) & 0o7777, uid], [0o700, Deno.uid()], name);
      assertEquals(await Deno.readTextFile(`${to}/.file`), "x");
    }
  });
});
