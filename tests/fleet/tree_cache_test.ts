import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Cache,
  copyTree,
  defineConfig,
  exec,
  type NoticeEvent,
  RunError,
  type RunEvent,
  stowage,
  tree,
} from "@stowage/stowage";
import { treeDigest } from "../../src/tools/tar.ts";
import { fixture } from "../support/fixture.ts";
import { run, startFaultProxy, startRegistry } from "../support/mod.ts";

const { dir } = await fixture();
let stores = 0;
/** A machine with an empty disk. */
const machine = (cache: readonly Cache[]) =>
  stowage(
    defineConfig({
      cache,
      inputs: { files: tree("files", { dates: "epoch" }) },
      stages: {
        base: copyTree({ inputs: ["files"] }),
        os: exec({ on: "base", command: ["sh", "-c", "echo made > etc/made"] }),
      },
    }),
    { root: dir.path, store: dir.join(`store-${stores++}`), retryDelay: 0 },
  );
const cacheAt = (host: string, mode: Cache["mode"] = "read", key?: string): Cache => ({
  repository: `${host}/acme/cache`,
  tlsVerify: false,
  mode,
  ...(key !== undefined && { key }),
});
const collect = () => {
  const notices: string[] = [];
  const isLeft = (event: RunEvent): event is NoticeEvent & { readonly time: string } =>
    event.type === "notice" && event.code === "CACHE_LEFT";
  const onEvent = (event: RunEvent) => {
    if (isLeft(event)) notices.push(event.message);
  };
  return { notices, onEvent };
};
const statuses = (stages: readonly { readonly name: string; readonly status: string }[]) =>
  Object.fromEntries(stages.map(({ name, status }) => [name, status]));

/** Files of all kinds; `big` of them have 1 MiB each. */
async function writeFiles(big: number): Promise<void> {
  await run("sh", [
    "-ec",
    `mkdir -p files/etc files/dev files/usr/lib && cd files
    echo text > etc/text && ln etc/text usr/hard && ln -s ../etc/text usr/soft
    ln -s usr/lib lib && chmod 4755 etc/text && chown 12:34 usr/lib
    mknod dev/null c 1 3 && mkfifo dev/fifo && setfattr -n user.note -v yes etc/text
    truncate -s 5M usr/holes && touch -d 2001-01-01 usr/holes
    for n in $(seq ${big}); do head -c 1048576 /dev/urandom > usr/lib/$n; done`,
  ], { cwd: dir.path });
}

describe("a cache of trees", () => {
  it("gives a tree that another machine has made, with all that belongs to its files", async () => {
    await using other = await startRegistry();
    await writeFiles(1);
    const first = await machine([cacheAt(other.host, "write")]).build();
    assertEquals(statuses(first.stages), { base: "ran", os: "ran" });
    const told = collect();
    const second = await machine([cacheAt(other.host)]).build(told);
    assertEquals(statuses(second.stages), { base: "cached", os: "cached" });
    assertEquals(told.notices, []);
    const [one = "", two = ""] = [first, second].map(({ stages }) => stages.at(-1)?.tree);
    assert(one !== two);
    assertEquals(await treeDigest(two), await treeDigest(one));
    const list = `find . ! -name . -printf '%P %y %m %U:%G %n %T@ %l\\n' | sort`;
    const [here, there] = await Promise.all(
      [one, two].map((cwd) => run("sh", ["-c", list], { cwd })),
    );
    assertEquals(there, here);
    assertStringIncludes(await Deno.readTextFile(`${two}/etc/made`), "made");
  });

  it("is sent few parts again where few files have changed", async () => {
    await using other = await startRegistry();
    await using gate = await startFaultProxy(other);
    await writeFiles(64);
    // What is larger than 1 MiB is sent by PATCH.
    const sent = () => gate.requests.filter(({ method }) => method === "PATCH").length;
    await machine([cacheAt(gate.host, "write")]).build({ names: ["base"] });
    const all = sent();
    assert(all >= 4, `${all} parts were sent`);
    await Deno.writeTextFile(dir.join("files/etc/text"), "other text");
    await machine([cacheAt(gate.host, "write")]).build({ names: ["base"] });
    const more = sent() - all;
    assert(more <= 1, `${more} of ${all} parts were sent again`);
  });

  it("takes no tree that is not what its record says, or that nobody has signed", async () => {
    await using other = await startRegistry();
    await using gate = await startFaultProxy(other);
    await writeFiles(1);
    await Deno.writeTextFile(dir.join("key"), "x".repeat(32));
    await Deno.writeTextFile(dir.join("other.key"), "y".repeat(32));
    await Deno.writeTextFile(dir.join("short.key"), "x");
    await machine([cacheAt(other.host, "write", "other.key")]).build();
    const told = collect();
    const careful = await machine([cacheAt(other.host, "read", "key")]).build(told);
    assertEquals(statuses(careful.stages), { base: "ran", os: "ran" });
    assertEquals(told.notices.length, 1);
    assertStringIncludes(told.notices[0] ?? "", "it is not signed with the key of this cache");
    const same = await machine([cacheAt(other.host, "read", "other.key")]).build();
    assertEquals(statuses(same.stages), { base: "cached", os: "cached" });
    gate.rules.push({ match: /^GET .*\/blobs\//, fault: { flipBit: 20 } });
    const lied = collect();
    const liar = machine([cacheAt(gate.host)]);
    const { stages } = await liar.build(lied);
    assertEquals(statuses(stages), { base: "ran", os: "ran" });
    assertEquals(lied.notices.length, 1);
    assertEquals((await liar.verify()).findings, []);
    const short = machine([cacheAt(other.host, "read", "short.key")]);
    const error = await assertRejects(() => short.build(), RunError);
    assertStringIncludes(error.message, "it has 1 bytes, and at least 32 are needed");
  });

  it("gets a tree in place of one that is wrong, as of another key", async () => {
    await using other = await startRegistry();
    await writeFiles(0);
    await Deno.writeTextFile(dir.join("key"), "x".repeat(32));
    await Deno.writeTextFile(dir.join("old.key"), "y".repeat(32));
    await machine([cacheAt(other.host, "write", "old.key")]).build();
    const { stages } = await machine([cacheAt(other.host, "write", "key")]).build();
    assertEquals(statuses(stages), { base: "ran", os: "ran" });
    const told = collect();
    const again = await machine([cacheAt(other.host, "read", "key")]).build(told);
    assertEquals(statuses(again.stages), { base: "cached", os: "cached" });
    assertEquals(told.notices, []);
  });

  it("is written to by machines that make the same tree at the same time", async () => {
    await using other = await startRegistry();
    await using gate = await startFaultProxy(other);
    await writeFiles(0);
    await machine([cacheAt(other.host, "write")]).build({ names: ["base"] });
    // When it asks, nothing is there; when it has written, another has done so too.
    gate.rules.push({ match: /^GET .*\/manifests\/tree-/, times: 2, fault: { status: 404 } });
    gate.rules.push({ match: /^PUT .*\/manifests\/tree-/, fault: { status: 201 } });
    const told = collect();
    const { stages } = await machine([cacheAt(gate.host, "write")]).build({
      ...told,
      names: ["base"],
    });
    assertEquals(statuses(stages), { base: "ran" });
    assertEquals(told.notices, []);
    assertEquals(gate.requests.filter(({ path }) => path.includes("/tree-")).length, 5);
  });

  it("is asked by a plan, which says what comes from there and how much that is", async () => {
    await using other = await startRegistry();
    await using gate = await startFaultProxy(other);
    await writeFiles(2);
    await Deno.writeTextFile(dir.join("key"), "x".repeat(32));
    const plan = (...cache: Cache[]) => machine(cache).plan();
    const before = await plan(cacheAt(gate.host));
    assertEquals(statuses(before.stages), { base: "run", os: "run" });
    await machine([cacheAt(other.host, "write")]).build();
    const from = gate.requests.length;
    const { stages: [base, os], bytes } = await plan(cacheAt("127.0.0.1:9"), cacheAt(gate.host));
    const at = { status: "fetch", from: `${gate.host}/acme/cache` } as const;
    assertEquals(base, { name: "base", type: "copy-tree", ...at });
    assertEquals(os, { name: "os", type: "exec", ...at, bytes });
    // The record, and no part of the tree.
    const blobs = (from: number) =>
      gate.requests.slice(from).filter(({ method, path }) =>
        method === "GET" && path.includes("/blobs/")
      );
    assertEquals(blobs(from).length, 1);
    const next = gate.requests.length;
    await machine([cacheAt(gate.host)]).build();
    assertEquals(blobs(next).reduce((sum, { bytes }) => sum + bytes, 0), bytes);
    const unsigned = await plan(cacheAt(gate.host, "read", "key"));
    assertEquals(statuses(unsigned.stages), { base: "run", os: "run" });
    assertEquals(unsigned.bytes, 0);
  });

  it("that is away is told of once, and stages run", async () => {
    await writeFiles(0);
    const told = collect();
    const { stages } = await machine([cacheAt("127.0.0.1:9", "write")]).build(told);
    assertEquals(statuses(stages), { base: "ran", os: "ran" });
    assertEquals(told.notices.length, 1);
  });
});
