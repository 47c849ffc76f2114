import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { forThisFile } from "../support/fixture.ts";
import { makeLegacyEntry, tempDir } from "../support/mod.ts";
import { jsonLines, stowage, writeConfig } from "./cli.ts";
import { appsFixture, source } from "./fixture.ts";

const { dir: other, registry, web: [amd64, arm64], tool, index } = await appsFixture();
/** A config whose store has all images, for all tests. */
const dir = await forThisFile(tempDir());
const store = dir.join(".stowage");
await writeConfig(dir, {
  digests: "ignore",
  sources: {
    web: source(index.reference, { platforms: ["linux/amd64", "linux/arm64"], index: true }),
    tool: source(tool.reference, { platform: "linux/amd64" }),
  },
});
assertEquals((await stowage(["fetch", "--quiet"], { cwd: dir.path })).code, 0);
await makeLegacyEntry(store, registry, tool);

/** Images of a store, as `ls --json` prints them. */
async function list(...args: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await stowage(["ls", "--json", ...args], { cwd: dir.path });
  assertEquals([code, stderr], [0, ""]);
  const [result, ...others] = jsonLines(stdout);
  assertEquals(others, []);
  assert(Array.isArray(result?.["images"]));
  return result["images"];
}

describe("stowage ls", () => {
  it("tells names, sizes and what an image has alone", async () => {
    const images = await list();
    assertEquals(images.map(({ id }) => id), [tool, amd64, arm64].map(({ id }) => id).sort());
    const byId = new Map(images.map((image) => [image["id"], image]));
    const found = byId.get(arm64.id) ?? {};
    assertEquals(found["names"], ["web@linux/arm64"]);
    assertEquals(found["references"], [`docker://${index.reference}`]);
    assertEquals([found["platform"], found["complete"]], ["linux/arm64", true]);
    assertEquals(found["formats"], ["dir", "index"]);
    const manifest = arm64.manifest.length;
    assertEquals(found["size"], arm64.size + manifest);
    // Both have the same layers; only the config is its own.
    const layers = arm64.layers.reduce((sum, { size }) => sum + size, 0);
    assertEquals(found["own"], arm64.size - layers + manifest);
    assertEquals(found["digest"], arm64.digest);
    const [fetched, used] = [found["fetched"], found["used"]].map(String).map(Date.parse);
    assert(Math.abs((fetched ?? NaN) - Date.now()) < 120_000);
    assert(Math.abs((used ?? NaN) - Date.now()) < 120_000);
    assertEquals(byId.get(tool.id)?.["formats"], ["dir", "docker-archive"]);
  });

  it("shows them as a table", async () => {
    const { code, stdout, stderr } = await stowage(["ls", "tool"], { cwd: dir.path });
    assertEquals([code, stderr], [0, ""]);
    const [head = "", row = "", ...others] = stdout.trimEnd().split("\n");
    assertEquals(others, []);
    assertMatch(head, /^ID +NAME +PLATFORM +SIZE +OWN +FETCHED +USED +FORMAT$/);
    assertMatch(row, /^[0-9a-f]{12} +tool +linux\/amd64 .* ago .* ago +dir, docker-archive$/);
    assert(row.startsWith(tool.id.slice(7, 19)));
  });

  it("takes sources, their platforms, and ids as podman takes them", async () => {
    const idsOf = async (...names: string[]) => (await list(...names)).map(({ id }) => id).sort();
    assertEquals(await idsOf("web"), [amd64, arm64].map(({ id }) => id).sort());
    assertEquals(await idsOf("web@linux/arm64"), [arm64.id]);
    assertEquals(await idsOf(tool.id, tool.id.slice(7, 19), "tool"), [tool.id]);
    const { code, stderr } = await stowage(["ls", "tol"], { cwd: dir.path });
    assertEquals(code, 2);
    assertStringIncludes(stderr, 'did you mean "tool"?');
  });

  it("needs no config, and says so where there is no store", async () => {
    const { stdout } = await stowage(["ls", "--store", store], { cwd: other.path });
    assertEquals(stdout.trimEnd().split("\n").length, 4);
    assertStringIncludes(stdout, `docker://${tool.reference}`);
    const none = await stowage(["ls"], { cwd: other.path });
    assertStringIncludes(none.stderr, `Cannot find a store at "${other.join(".stowage")}"`);
    assertEquals([none.code, none.stdout], [2, ""]);
    const named = other.join("gone");
    const gone = [
      await stowage(["ls", "--store", "gone"], { cwd: other.path }),
      await stowage(["ls"], { cwd: other.path, env: { STOWAGE_STORE: named } }),
      await stowage(["verify", "--store", named], { cwd: other.path }),
    ];
    for (const { code, stderr } of gone) {
      assertEquals(code, 2);
      assertStringIncludes(stderr, `Cannot find a store at "${named}"\n  → look at --store`);
    }
    const wrong = await stowage(["ls", "--config", "gone.ts"], { cwd: other.path });
    assertEquals(wrong.code, 2);
  });
});

describe("a lock that cannot be read", () => {
  it("is in the way of what needs it, and not of ls and verify", async () => {
    const sources = { tool: source(tool.reference, { platform: "linux/amd64" }) };
    await writeConfig(other, { digests: "ignore", sources });
    const texts = {
      '{ "schema": 2 }': "it is of a later version; it is left out: use the version of stowage",
      "{\n<<<<<<< HEAD\n": "conflict markers of a merge; it is left out: resolve the conflict;",
    };
    for (const [text, told] of Object.entries(texts)) {
      await Deno.writeTextFile(other.join("images.lock.json"), text);
      for (const command of ["ls", "verify"]) {
        const said = await stowage([command, "tool", "--store", store], { cwd: other.path });
        assertEquals(said.code, 0);
        assertStringIncludes(said.stderr, told);
      }
      const gc = await stowage(["gc", "--dry-run", "--store", store], { cwd: other.path });
      assertEquals(gc.code, 4);
    }
  });
});

describe("a folder that is no store", () => {
  for (const command of ["ls", "verify"]) {
    it(`is not taken for one by ${command}, unless it is empty`, async () => {
      const look = () => stowage([command, "--store", other.path], { cwd: dir.path });
      assertEquals((await look()).code, 0);
      await Deno.mkdir(other.join("tmp"));
      assertEquals((await look()).code, 0);
      await Deno.mkdir(other.join("passwd"));
      const { code, stderr } = await look();
      assertEquals(code, 2);
      assertStringIncludes(stderr, `"${other.path}": nothing in that folder is a store's`);
    });
  }
});

describe("a source that wants all platforms", () => {
  it("means the images of all of them, by its name, and each by its platform", async () => {
    const run = (...args: string[]) =>
      stowage([...args, "--platform", "linux/amd64"], {
        cwd: other.path,
      });
    const idsOf = async (...args: string[]) => {
      const { images } = jsonLines((await run("ls", "--json", ...args)).stdout)[0] ?? {};
      assert(Array.isArray(images), args.join(" "));
      return images.map(({ id }) => id).sort();
    };
    const sources = { all: source(index.reference, { index: true }) };
    await writeConfig(other, { digests: "ignore", sources });
    const fetched = await run("fetch");
    assertMatch(fetched.stdout, /^all +fetched +linux\/amd64 .*\nall@linux\/arm64 +fetched/);
    assertStringIncludes(fetched.stdout, "\n2 images in the store, ");
    const both = [amd64.id, arm64.id].sort();
    for (const isLocked of [false, true]) {
      if (isLocked) assertEquals((await run("lock")).code, 0);
      assertEquals(await idsOf("all"), both);
      assertEquals(await idsOf("all@linux/arm64"), [arm64.id]);
    }
    const none = await run("ls", "all@linux/s390x");
    assertStringIncludes(none.stderr, "the store has no image of it");
    assertStringIncludes(none.stderr, "run `stowage fetch all`");
    const path = `sources/org.osbuild.containers/${arm64.id}/image/${arm64.id.slice(7)}`;
    await Deno.truncate(other.join(`.stowage/${path}`), 9);
    const verified = await run("verify", "all");
    assertEquals(verified.code, 3);
    assertStringIncludes(verified.stderr, `damaged  config of ${arm64.id.slice(7, 19)}`);
    const offline = await run("verify", "all", "--repair", "--offline");
    assertStringIncludes(offline.stderr, 'Cannot fetch "all@linux/arm64"');
    const repaired = await run("verify", "all", "--repair");
    assertMatch(repaired.stdout, /^1 missing, 1 repaired: 2 images/);
  });
});

describe("stowage verify", () => {
  it("says that all is well, with and without a config", async () => {
    for (const cwd of [dir.path, other.path]) {
      const { code, stdout, stderr } = await stowage(["verify", "--store", store], { cwd });
      assertEquals([code, stderr], [0, ""]);
      assertMatch(stdout, /^No problems found: 3 images, \d+ files hashed \(.*\)\n$/);
    }
  });

  it("tells what is not, where it is now, and exits with 3", async () => {
    const digest = tool.layers[1]?.digest.slice(7) ?? "";
    const path = `${store}/sources/org.osbuild.containers/${tool.id}/image/${digest}`;
    const bytes = await Deno.readFile(path);
    bytes[99]! ^= 1;
    for (const args of [[], ["--quiet"], ["--json"]]) {
      await Deno.writeFile(path, bytes);
      const said = await stowage(["verify", "tool", ...args], { cwd: dir.path });
      assertEquals(said.code, 3);
      if (args[0] === "--json") {
        const { findings, ...result } = jsonLines(said.stdout).at(-1) ?? {};
        assertEquals([result["type"], result["ok"], result["exitCode"]], ["result", false, 3]);
        assert(Array.isArray(findings) && findings[0].path === path);
        continue;
      }
      const short = tool.id.slice(7, 19);
      assertStringIncludes(said.stderr, `damaged  layer of ${short}: ${path}: it hashes to`);
      assertStringIncludes(said.stderr, `it is in ${store}/quarantine/sha256:${digest}-layer-`);
      assertMatch(said.stdout, args.length > 0 ? /^$/ : /^1 damaged: 1 image, \d+ files hashed/);
    }
    const missing = await stowage(["verify", "tool"], { cwd: dir.path });
    assertEquals(missing.code, 3);
    assertStringIncludes(missing.stderr, "missing  layer of");
    const again = await stowage(["fetch", "tool"], { cwd: dir.path });
    assertStringIncludes(again.stderr, "fetched  tool");
    assertEquals((await stowage(["verify"], { cwd: dir.path })).code, 0);
  });

  it("names the stage of a damaged tree, and says what makes it again", async () => {
    await Deno.mkdir(other.join("files"));
    await Deno.writeTextFile(other.join("files/motd"), "hello\n");
    await writeConfig(other, {
      inputs: { files: { type: "tree", path: "files" } },
      stages: { base: { type: "copy-tree", inputs: ["files"] } },
    });
    assertEquals((await stowage(["build"], { cwd: other.path })).code, 0);
    const [tree] = await Array.fromAsync(Deno.readDir(other.join(".stowage/trees")));
    await Deno.writeTextFile(other.join(`.stowage/trees/${tree?.name}/tree/motd`), "bye\n");
    const { code, stdout, stderr } = await stowage(["verify"], { cwd: other.path });
    assertEquals(code, 3);
    assertStringIncludes(stderr, "damaged  tree of stage base: ");
    assertMatch(stdout, /^1 damaged: .*\n {2}→ run `stowage build`, which makes again/);
  });

  it("repairs what it finds, tells from where, or why not", async () => {
    const { id } = amd64;
    const short = id.slice(7, 19);
    await Deno.truncate(
      `${store}/sources/org.osbuild.containers/${id}/image/${id.slice(7)}`,
      99,
    );
    for (const args of [[], ["--quiet"]]) {
      const offline = ["verify", short, "--repair", "--offline", ...args];
      const { code, stdout, stderr } = await stowage(offline, { cwd: dir.path });
      assertEquals(code, 3);
      assertStringIncludes(stderr, `left     config of ${short}: Cannot fetch "web@linux/amd64"`);
      assertMatch(stdout, args.length > 0 ? /^$/ : /^1 (damaged|missing), 1 not repaired: 1 image/);
    }
    const { code, stdout, stderr } = await stowage(["verify", "--repair"], { cwd: dir.path });
    assertEquals(code, 0);
    assertStringIncludes(stderr, `repaired config of ${short} from docker://`);
    assertMatch(stdout, /^1 missing, 1 repaired: 3 images, \d+ files hashed/);
  });
});
