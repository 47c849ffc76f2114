import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { Suspect } from "../../src/maintain/verify_suspect.ts";
import { jsonLines, STOWAGE } from "../cli/cli.ts";
import { list } from "../sources/fixture.ts";
import { run, smallFs } from "../support/mod.ts";
import { blobOf, flip, folderOf, poolPath, shopFixture, verify } from "./verify_fixture.ts";

const shop = await shopFixture();
const { dir, store } = shop;

const layer = (at: number) => shop.tool.layers[at]!.digest;

describe("verify, of a store that cannot be read or written,", () => {
  it("only tells of a read-only store, and of a full one", async () => {
    await using fs = await smallFs("32m");
    await run("cp", ["-a", store, fs.path]);
    await flip(poolPath(join(fs.path, "store"), layer(1)), 100);
    await fs.remount("ro");
    const { only } = await verify(join(fs.path, "store"));
    assertEquals([only.kind, only.quarantine], ["layer", undefined]);
    await fs.remount("rw");
    const filling = Deno.writeFile(join(fs.path, "filling"), new Uint8Array(40 * 2 ** 20));
    await assertRejects(() => filling, Error, "No space left");
    const { only: again } = await verify(join(fs.path, "store"));
    assertEquals([again.kind, again.quarantine], ["layer", undefined]);
    await Deno.remove(join(fs.path, "filling"));
    assert((await verify(join(fs.path, "store"))).only.quarantine);
  });

  it("tells what it may not read, and goes on with the rest", async () => {
    const entry = join(folderOf(store, shop.tool), "..");
    const record = join(store, "blobs/diff-ids", layer(1).slice(7));
    const paths = [join(folderOf(store, shop.web), "manifest.json"), entry, record];
    const [archive = ""] = await list(join(store, "archives"));
    const [tree = ""] = await list(join(store, "trees"));
    for (const path of [...paths, join(store, "archives", archive), join(store, "trees", tree)]) {
      await Deno.chmod(path, 0);
    }
    await flip(blobOf(store, shop.guest, shop.guest.layers[0]!.digest));
    // Root without its powers is as any user.
    const plain = ["--bounding-set", "-all", "--inh-caps", "-all", "--", "sh", STOWAGE];
    const said = await new Deno.Command("setpriv", {
      args: [...plain, "verify", "--json", "--store", store],
      cwd: dir.path,
    }).output();
    const found = jsonLines(new TextDecoder().decode(said.stdout));
    const kinds = found.filter(({ type }) => type === "damaged")
      .map(({ kind, problem }) => `${kind} ${problem}`);
    assertEquals(kinds.sort(), [
      "archive unreadable",
      "diff-id unreadable",
      "image unreadable",
      "layer content",
      "manifest unreadable",
      "tree unreadable",
    ]);
    assertEquals(said.code, 3);
    const listed = await new Deno.Command("setpriv", {
      args: [...plain, "ls", "--json", "--store", store],
      cwd: dir.path,
    }).output();
    assertEquals(listed.code, 0);
  });

  it("takes what cannot be read for damaged neither if it is forbidden nor if the disk fails", () => {
    for (const code of ["EIO", "EACCES"]) {
      const suspect = new Suspect();
      const path = poolPath(store, layer(1));
      suspect.addCheck({ kind: "blob", path, inode: "1", size: 1, digest: layer(1), entries: [] });
      const failure = Object.assign(new Error("Input/output error (os error 5)"), { code });
      const [judged] = suspect.judge(new Map([["", { failure }]]));
      assertEquals([judged?.problem, judged?.message], [
        "unreadable",
        "it cannot be read: Input/output error",
      ]);
    }
  });
});
