import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { beforeEach, describe, it } from "@std/testing/bdd";
import type { RunEvent } from "@stowage/stowage";
import { Trees } from "../../src/store/trees.ts";
import { fingerprint } from "../../src/tools/tree.ts";
import { list } from "../sources/fixture.ts";
import { fixture } from "../support/fixture.ts";

const ID = "a".repeat(64);

const { dir } = await fixture();
let trees: Trees;
let events: RunEvent[];

beforeEach(() => {
  events = [];
  trees = new Trees(dir.join("trees"), dir.join("quarantine"), (event) => events.push(event));
});

/** Keeps a tree with one file. */
async function keep(
  text: string,
  print: (tree: string) => Promise<string> = fingerprint,
) {
  const folder = dir.join(crypto.randomUUID());
  await Deno.mkdir(join(folder, "tree"), { recursive: true });
  await Deno.writeTextFile(join(folder, "tree", "file"), text);
  const record = { stage: "os", type: "exec", made: "2024-01-01T00:00:00Z" };
  const print0 = await fingerprint(join(folder, "tree"));
  return await trees.commit(folder, ID, { ...record, fingerprint: print0 }, print);
}

async function read(): Promise<string> {
  return await Deno.readTextFile(join(trees.treePath(ID), "file"));
}

describe("trees", () => {
  it("are found again", async () => {
    assertEquals(await trees.find(ID, fingerprint), undefined);
    const tree = await keep("one");
    assertEquals([tree, await trees.find(ID, fingerprint)], [trees.treePath(ID), tree]);
    assertEquals(await list(dir.join("trees")), [ID]);
    assertEquals(await list(dir.join("trees", ID)), ["stage.json", "tree"]);
  });

  it("stay where another process was first", async () => {
    await keep("one");
    assertEquals(await keep("two"), trees.treePath(ID));
    assertEquals([await read(), await list(dir.join("quarantine"))], ["one", []]);
  });

  const harm: Record<string, (entry: string) => Promise<unknown>> = {
    "a file was changed": (entry) => Deno.writeTextFile(join(entry, "tree/file"), "spoilt"),
    "a file was removed": (entry) => Deno.remove(join(entry, "tree/file")),
    "a file was added": (entry) => Deno.writeTextFile(join(entry, "tree/more"), ""),
    "a mode was changed": (entry) => Deno.chmod(join(entry, "tree/file"), 0o600),
    "an owner was changed": (entry) => Deno.chown(join(entry, "tree/file"), 1, 1),
    "the tree is gone": (entry) => Deno.remove(join(entry, "tree"), { recursive: true }),
    "the tree is a file": async (entry) => {
      await Deno.remove(join(entry, "tree"), { recursive: true });
      await Deno.writeTextFile(join(entry, "tree"), "");
    },
    "the record is gone": (entry) => Deno.remove(join(entry, "stage.json")),
    "the record is cut": (entry) => Deno.truncate(join(entry, "stage.json"), 20),
    "all of it is a file": async (entry) => {
      await Deno.remove(entry, { recursive: true });
      await Deno.writeTextFile(entry, "");
    },
    "all of it is elsewhere, behind a link": async (entry) => {
      await Deno.rename(entry, dir.join("elsewhere"));
      await Deno.symlink(dir.join("elsewhere"), entry);
    },
  };
  for (const [what, spoil] of Object.entries(harm)) {
    it(`are not believed where ${what}, and make room for a new one`, async () => {
      await keep("one");
      await spoil(dir.join("trees", ID));
      assertEquals(await trees.find(ID, fingerprint), undefined);
      await keep("two", fingerprint);
      assertEquals(
        events.map((event) => event.type === "damaged" && [event.kind, event.id, event.quarantine]),
        [["tree", ID, dir.join("quarantine", (await list(dir.join("quarantine")))[0] ?? "")]],
      );
      assertEquals(await trees.find(ID, fingerprint), trees.treePath(ID));
      assertEquals([await read(), (await list(dir.join("quarantine"))).length], ["two", 1]);
    });
  }

  it("are set aside once, whoever finds out", async () => {
    await keep("one");
    await Deno.remove(join(trees.treePath(ID), "file"));
    await Promise.all(Array.from({ length: 8 }, () => keep("two")));
    assertEquals([await read(), (await list(dir.join("quarantine"))).length], ["two", 1]);
  });
});
