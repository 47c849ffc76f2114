import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { InterruptedError, StoreBusyError, StoreError } from "@stowage/stowage";
import { type HoldOptions, ownStore, shareStore } from "../../src/store/hold.ts";
import { list } from "../sources/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";

const { dir, store } = await fixture();
let told: string[];

beforeEach(async () => {
  told = [];
  await Deno.mkdir(`${store}/sources`, { recursive: true });
});

function options(wait: number, signal = new AbortController().signal): HoldOptions {
  return { wait, signal, hint: "wait", onWait: (holders) => told.push(holders) };
}

const share = (wait = 60_000, isMade = false, path = store) =>
  shareStore(path, { ...options(wait), isMade });
const own = (wait = 60_000, path = store) => ownStore(path, options(wait));

describe("the lock of a store", () => {
  it("is shared by runs, and leaves no trace", async () => {
    using one = await share();
    using two = await share();
    assert(one && two);
    assertEquals([await list(store), await list(`${store}/sources`), told], [["sources"], [], []]);
  });

  it("is had alone by what removes things, which names who has it before", async () => {
    const held = await share();
    const error = await assertRejects(() => own(30), StoreBusyError);
    assertEquals(error.holders.map(({ pid }) => pid), [Deno.pid]);
    assert(error.message.includes(`(process ${Deno.pid})`), error.message);
    assertEquals(told.length, 1);
    held?.close();
    using alone = await own(30);
    assert(alone);
    await assertRejects(() => share(30), StoreBusyError);
    await assertRejects(() => own(30), StoreBusyError);
  });

  it("is of a folder, and says so where something else is in its place", async () => {
    await Deno.symlink("nowhere", dir.join("link"));
    await Deno.writeTextFile(dir.join("file"), "");
    const whys = { link: /a symbolic link that leads nowhere/, file: /it is no folder/ };
    for (const [name, why] of Object.entries(whys)) {
      const sharing = shareStore(dir.join(name), { ...options(30), isMade: true });
      const error = await assertRejects(() => sharing, StoreError);
      assertMatch(error.message, why);
      assertMatch(error.hint ?? "", /choose another store/);
    }
    await assertRejects(() => ownStore(dir.join("file"), options(30)), StoreError, "no folder");
  });

  it("is had when the others have let go", async () => {
    const held = await share();
    const { promise: waits, resolve } = Promise.withResolvers<string>();
    const waiting = ownStore(store, { ...options(60_000), onWait: resolve });
    const isFirst = await Promise.race([waits.then(() => "waits"), waiting.then(() => "has it")]);
    assertEquals(isFirst, "waits");
    held?.close();
    using alone = await waiting;
    assert(alone);
  });

  it("lets those who come later wait behind what removes things", async () => {
    const first = await share();
    const { promise: waits, resolve } = Promise.withResolvers<string>();
    const removing = ownStore(store, { ...options(60_000), onWait: resolve });
    await waits; // it is the next
    await assertRejects(() => share(30), StoreBusyError);
    first?.close();
    const alone = await removing;
    const second = share();
    alone?.close();
    (await second)?.close();
  });

  it("stops waiting when it is told to", async () => {
    using _held = await share();
    const controller = new AbortController();
    const waiting = ownStore(store, options(60_000, controller.signal));
    controller.abort("enough");
    const error = await assertRejects(() => waiting, InterruptedError);
    assertEquals(error.cause, "enough");
  });

  it("is made with the store where that is to be, and is none where there is no store", async () => {
    const fresh = dir.join("fresh/store");
    assertEquals([await share(10, false, fresh), await own(10, fresh)], [undefined, undefined]);
    assertEquals(await list(dir.path), ["store"]);
    using held = await share(1000, true, fresh);
    assert(held);
    await assertRejects(() => own(30, fresh), StoreBusyError);
  });

  it("is there for a store that cannot be written", async () => {
    await run("mount", ["--bind", store, store]);
    await run("mount", ["-o", "remount,bind,ro", store]);
    using held = await share(1000, true);
    assert(held);
    await assertRejects(() => own(30), StoreBusyError);
  });

  it("shows no more of a command line than the program and the command", async () => {
    const args = [
      "-c",
      `exec -a /opt/bin/stowage flock --shared '${store}' sh -c 'echo; read x' -- \\
      --password hunter2 fetch app`,
    ];
    const child = new Deno.Command("bash", { args, stdin: "piped", stdout: "piped" }).spawn();
    const reader = child.stdout.getReader();
    await reader.read(); // it is locked
    const { holders } = await assertRejects(() => own(30), StoreBusyError);
    assertEquals(holders, [{ pid: child.pid, command: "stowage fetch" }]);
    await child.stdin.close();
    await reader.cancel();
    await child.status;
  });
});
