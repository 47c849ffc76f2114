import { assertEquals, assertRejects } from "@std/assert";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { ensureDirInTree, resolveInTree } from "../../src/lib/fs/tree_path.ts";
import { fixture } from "../support/fixture.ts";

const { dir } = await fixture({ files: { "tree/file": "" } });
const tree = dir.join("tree");

beforeEach(async () => {
  await Deno.mkdir(dir.join("tree/usr/lib"), { recursive: true });
  const links = {
    lib: "usr/lib",
    var: "/usr/var",
    out: "../../../../../../etc",
    host: "/etc",
    chain: "usr/../out/x",
    round: "about",
    about: "/round/x",
    "usr/lib/up": "../../../..//./lib",
  };
  for (const [link, target] of Object.entries(links)) {
    await Deno.symlink(target, dir.join("tree", link));
  }
});

describe("a path in a tree", () => {
  const cases = {
    "/": "",
    "/usr/lib": "/usr/lib",
    "//usr/./lib/": "/usr/lib",
    "/lib/modules": "/usr/lib/modules",
    "/var/lib/containers": "/usr/var/lib/containers",
    "/out/passwd": "/etc/passwd",
    "/host/passwd": "/etc/passwd",
    "/chain/y": "/etc/x/y",
    "/usr/lib/up/z": "/usr/lib/z",
    "/../../etc/passwd": "/etc/passwd",
    "/not/there/../yet": "/not/yet",
    "/file/below": "/file/below",
  };
  for (const [path, found] of Object.entries(cases)) {
    it(`${path} is ${found || "the tree"}`, async () => {
      assertEquals(await resolveInTree(tree, path), tree + found);
    });
  }

  it("does not go round in circles", async () => {
    await assertRejects(() => resolveInTree(tree, "/round"), Deno.errors.FilesystemLoop, "/round");
  });

  it("is made a folder, inside the tree", async () => {
    assertEquals(await ensureDirInTree(tree, "/var/lib"), `${tree}/usr/var/lib`);
    assertEquals(await ensureDirInTree(tree, "/out/deep/er"), `${tree}/etc/deep/er`);
    assertEquals((await Deno.stat(`${tree}/etc/deep/er`)).isDirectory, true);
    await ensureDirInTree(tree, "/var/lib");
    await assertRejects(() => ensureDirInTree(tree, "/file/below"));
  });
});
