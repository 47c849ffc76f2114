import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { InterruptedError, type StageResult, StoreError, UsageError } from "@stowage/stowage";
import { placeResults, refuseForeign, refuseWithin } from "../../src/build/place_results.ts";
import { list } from "../sources/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { run, smallFs } from "../support/mod.ts";
import { listTree } from "./fixture.ts";

const never = new AbortController().signal;

const { dir } = await fixture();
let out: string;

beforeEach(() => void (out = dir.join("out")));

/** A result with one file and a link to it. */
async function result(name: string, text: string): Promise<StageResult & { tree: string }> {
  const tree = dir.join("trees", crypto.randomUUID());
  await Deno.mkdir(join(tree, "etc"), { recursive: true });
  await Deno.writeTextFile(join(tree, "etc/motd"), text);
  await Deno.symlink("motd", join(tree, "etc/link"));
  return { key: `stage/${name}`, name, status: "ran", id: "a".repeat(64), tree };
}

const read = (name: string) => Deno.readTextFile(join(out, name, "etc/motd"));

describe("placeResults()", () => {
  it("shares no file with the tree that is kept", async () => {
    const os = await result("os", "hello");
    assertEquals(await placeResults([os], out, never), { os: join(out, "os") });
    const [kept, placed] = await Promise.all(
      [os.tree, join(out, "os")].map((tree) => Deno.stat(join(tree, "etc/motd"))),
    );
    assertNotEquals(placed?.ino, kept?.ino);
    assertEquals(placed?.mtime, kept?.mtime);
    assertEquals(await Deno.readLink(join(out, "os/etc/link")), "motd");
  });

  it("leaves what is there already, and copies it again where anyone has written", async () => {
    const os = await result("os", "hello");
    const inode = async () => (await Deno.stat(join(out, "os"))).ino;
    await placeResults([os], out, never);
    const first = await inode();
    await placeResults([os], out, never);
    assertEquals(await inode(), first);
    // Of the same size, and dated back.
    const script = 'touch -r motd "$1"; printf HELLO >motd; touch -r "$1" motd';
    await run("sh", ["-euc", script, "sh", dir.join("date")], { cwd: join(out, "os/etc") });
    await placeResults([os], out, never);
    assertEquals(await read("os"), "hello");
    const second = await inode();
    // The same stage's tree, made again.
    await Deno.rename(os.tree, `${os.tree}.old`);
    await run("cp", ["-a", `${os.tree}.old`, os.tree]);
    await placeResults([os], out, never);
    assertNotEquals(await inode(), second);
  });

  it("knows its own by the mark of an earlier version", async () => {
    await placeResults([await result("os", "one")], out, never);
    const { ino, birthtime } = await Deno.stat(join(out, "os"));
    const stages = { os: [`${ino}-${birthtime?.getTime()}`] };
    await Deno.writeTextFile(join(out, ".stowage.json"), JSON.stringify({ schema: 2, stages }));
    await placeResults([await result("os", "two")], out, never);
    assertEquals(await read("os"), "two");
  });

  it("copies files to another file system", async () => {
    await using small = await smallFs("4m");
    out = join(small.path, "deep/out");
    await placeResults([await result("os", "hello")], out, never);
    await placeResults([await result("os", "again")], out, never);
    assertEquals(await read("os"), "again");
    assertEquals(await listTree(out), [
      ...[".stowage.json", "os", "os/etc", "os/etc/link", "os/etc/motd"],
    ]);
  });

  it("leaves what is there as it is where there is no room", async () => {
    await using small = await smallFs("1m");
    out = join(small.path, "out");
    await placeResults([await result("os", "hello")], out, never);
    const big = await result("os", "x".repeat(2 ** 21));
    const placing = placeResults([big], out, never);
    const { hint } = await assertRejects(() => placing, StoreError, "No space left");
    assertEquals(hint, "free some room there, or choose another --out");
    assertEquals([await read("os"), (await listTree(out)).length], ["hello", 5]);
    const inFile = placeResults([big], join(out, "os/etc/motd"), never);
    assertEquals((await assertRejects(() => inFile, StoreError)).hint, "choose another --out");
  });

  it("replaces what an earlier build has put there, and nothing else", async () => {
    await placeResults([await result("os", "one"), await result("app", "one")], out, never);
    await Deno.writeTextFile(join(out, "os/new"), "gone then");
    await Deno.writeTextFile(join(out, "README"), "mine");
    await Deno.mkdir(join(out, "foreign"));
    await placeResults([await result("os", "two")], out, never);
    assertEquals([await read("os"), await read("app")], ["two", "one"]);
    assertEquals((await listTree(out)).filter((path) => !path.includes("/")), [
      ...[".stowage.json", "README", "app", "foreign", "os"],
    ]);
    assertEquals(await listTree(join(out, "os")), ["etc", "etc/link", "etc/motd"]);
  });

  for (const kind of ["file", "folder", "link"] as const) {
    it(`refuses a ${kind} that no build has put there`, async () => {
      const target = join(out, "os");
      await Deno.mkdir(out);
      if (kind === "file") await Deno.writeTextFile(target, "mine");
      if (kind === "folder") await Deno.mkdir(target);
      if (kind === "link") await Deno.symlink("/nowhere", target);
      const before = await Deno.lstat(target);
      const os = await result("os", "hello");
      const error = await assertRejects(() => placeResults([os], out, never), UsageError, target);
      assertEquals(error.hint?.includes("--out"), true);
      const early = await assertRejects(() => refuseForeign(["app", "os"], out), UsageError);
      assertEquals(early.message, error.message);
      await refuseForeign(["app"], out);
      assertEquals([(await Deno.lstat(target)).ino, await listTree(out)], [before.ino, ["os"]]);
    });
  }

  for (const how of ["mv os mine; mkdir os", "rm -r os; mkdir os", "rm -r os; ln -s etc os"]) {
    it(`refuses what someone has put where a result was: ${how}`, async () => {
      await placeResults([await result("os", "one")], out, never);
      await run("sh", ["-euc", `${how}; mkdir -p etc; : >etc/file`], { cwd: out });
      const again = await result("os", "two");
      const target = join(out, "os");
      const error = await assertRejects(
        () => placeResults([again], out, never),
        UsageError,
        target,
      );
      assertEquals(error.hint?.includes("move it away"), true);
      assertEquals(await list(join(out, "etc")), ["file"]);
      await Deno.remove(target);
      await placeResults([again], out, never);
      assertEquals(await read("os"), "two");
    });
  }

  it("takes a folder that is not there, and what builds have put there; and no file", async () => {
    await refuseForeign(["os"], out);
    await placeResults([await result("os", "one")], out, never);
    await refuseForeign(["os"], out);
    const file = join(out, "os/etc/motd");
    await assertRejects(() => refuseForeign(["os"], file), UsageError, "it is no folder");
  });

  it("knows its own where a build ended before it was replaced", async () => {
    await placeResults([await result("os", "one")], out, never);
    const target = join(out, "os");
    await run("mount", ["--bind", target, target]);
    const two = await result("os", "two");
    await assertRejects(() => placeResults([two], out, never), StoreError, "busy");
    await run("umount", [target]);
    assertEquals(await read("os"), "one");
    await placeResults([two], out, never);
    assertEquals(await read("os"), "two");
  });

  it("puts back what was moved away by hand", async () => {
    await placeResults([await result("os", "one")], out, never);
    await Deno.remove(join(out, "os"), { recursive: true });
    await placeResults([await result("os", "two")], out, never);
    assertEquals(await read("os"), "two");
  });

  it("clears what a build that was killed has left", async () => {
    const os = await result("os", "one");
    await placeResults([os], out, never);
    await Deno.rename(join(out, "os"), join(out, ".stowage-next-1.old"));
    await Deno.mkdir(join(out, ".stowage-next-1"));
    await Deno.writeTextFile(join(out, `.stowage.json.${crypto.randomUUID()}`), "{");
    await placeResults([os], out, never);
    assertEquals((await listTree(out)).filter((path) => !path.includes("/")), [
      ...[".stowage.json", "os"],
    ]);
  });

  it("lets several builds put theirs side by side", async () => {
    const results = await Promise.all(["a", "b", "c", "d"].map((text) => result("os", text)));
    const other = await result("app", "app");
    await Promise.all(results.map((each) => placeResults([each, other], out, never)));
    assertEquals(["a", "b", "c", "d"].includes(await read("os")), true);
    assertEquals((await listTree(out)).filter((path) => !path.includes("/")), [
      ...[".stowage.json", "app", "os"],
    ]);
  });

  it("leaves each old or new when it is interrupted", async () => {
    await placeResults([await result("os", "one")], out, never);
    const os = await result("os", "two");
    await assertRejects(() => placeResults([os], out, AbortSignal.abort()), InterruptedError);
    assertEquals([await read("os"), (await listTree(out)).length], ["one", 5]);
  });

  it("says so where it cannot write, or the mark is not its own", async () => {
    const os = await result("os", "hello");
    await Deno.writeTextFile(out, "a file");
    await assertRejects(() => placeResults([os], out, never), StoreError, "put results into");
    await Deno.remove(out);
    await Deno.mkdir(out);
    await Deno.writeTextFile(join(out, ".stowage.json"), "{}");
    await assertRejects(() => placeResults([os], out, never), StoreError, ".stowage.json");
    assertEquals(await listTree(out), [".stowage.json"]);
  });

  const lengths = { "by it": [300, "choose a shorter --out"], "as it is": [400, "let its stage"] };
  for (const [how, [count, hint = ""]] of Object.entries(lengths)) {
    it(`says so where paths of the tree are too long ${how}`, async () => {
      const os = await result("os", "hello");
      const [name, far] = ["a".repeat(12), "b".repeat(250)];
      const deep = `for n in $(seq ${count}); do mkdir ${name} && cd -P ${name}; done`;
      await run("bash", ["-euc", deep], { cwd: os.tree });
      if (how === "by it") out = dir.join(far, far);
      const place = () => placeResults([os], out, never);
      const error = await assertRejects(place, StoreError, "too long");
      assertEquals(error.hint?.startsWith(`${hint}`), true, error.hint);
    });
  }

  it("has nothing to put where there is no tree", async () => {
    assertEquals(
      await placeResults(
        [{ key: "stage/push", name: "push", status: "ran", id: "a".repeat(64) }],
        out,
        never,
      ),
      {},
    );
  });
});

describe("refuseWithin()", () => {
  const store = { path: dir.join("store"), what: "the store" };

  it("refuses a folder and all below it, there or not, whatever they are called", async () => {
    await Deno.mkdir(dir.join("store"));
    await Deno.symlink("store", dir.join("link"));
    const refused = (path: string, words: string) =>
      assertRejects(() => refuseWithin(dir.join(path), [store]), UsageError, words);
    for (const path of ["store", "link", "store/../store/"]) await refused(path, "it is the store");
    for (const path of ["store/out", "link/a/b"]) await refused(path, "it is in the store");
    await Deno.remove(dir.join("link"));
    await Deno.remove(dir.join("store"));
    await refused("store/out", "it is in the store");
  });

  it("lets all others pass, also those that begin with the same letters", async () => {
    for (const path of [".", "store-2", "stor", "other/store"]) {
      await refuseWithin(dir.join(path), [store]);
    }
  });
});
