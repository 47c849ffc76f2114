import { assertEquals, assertRejects } from "@std/assert";
import { dirname } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { stowage, UsageError } from "@stowage/stowage";
import { isStore } from "../../src/store/own_folders.ts";
import { workspaceName } from "../../src/store/workspace.ts";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";

const { dir } = await fixture();

/** Makes a folder with empty files in it; a name that ends with a slash is a folder's. */
async function folderOf(paths: readonly string[]): Promise<string> {
  const folder = dir.join("folder");
  for (const path of paths) {
    const place = `${folder}/${path}`;
    await Deno.mkdir(path.endsWith("/") ? place : dirname(place), { recursive: true });
    if (!path.endsWith("/")) await Deno.writeTextFile(place, "");
  }
  return folder;
}

const HEX = "a".repeat(64);

describe("a folder with things of others", () => {
  const kinds = {
    "a project with a tmp of its own": [`tmp/${crypto.randomUUID()}/precious`, "quarantine/mail"],
    "a tmp alone": [`tmp/${crypto.randomUUID()}/precious`],
    "an OCI layout": ["oci-layout", "index.json", `blobs/sha256/${HEX}`],
    "a pool of blobs": [`blobs/sha256/${HEX}`],
    "a project with a pool": ["main.c", "blobs/partial/", `blobs/sha256/${HEX}`],
    "a project with sources": ["sources/main.c", `trees/${HEX}/tree/`],
    "a folder with archives": [`archives/${HEX}/x`, `trees/${HEX}/tree/`],
  };
  for (const [kind, paths] of Object.entries(kinds)) {
    it(`is no store, and stays as it is: ${kind}`, async () => {
      const store = await folderOf(paths);
      const before = await run("find", [store]);
      const { fetch, build, plan, list, verify, gc } = stowage({}, { store, root: dir.path });
      const dryRun = () => gc({ all: true, dryRun: true });
      for (const use of [fetch, build, plan, list, verify, dryRun, () => gc({ all: true })]) {
        await assertRejects(() => use(), UsageError, "nothing in that folder is a store's");
      }
      assertEquals(await run("find", [store]), before);
    });
  }
});

describe("isStore()", () => {
  const stores = {
    "osbuild's": ["sources/org.osbuild.curl/", "objects/", "stage/", "tmp/tmpk2x_9aq/"],
    "osbuild's, without sources": ["cache.info", "cache.lock", "objects/", "stage/", "tmp/x"],
    "an old osbuild's": ["objects/x/", "refs/", "tmp/"],
    "stowage's": ["sources/org.osbuild.containers/", "blobs/", "notes"],
    "stowage's, without its sources": [`blobs/sha256/${HEX}`, "blobs/partial/", "tmp/", "trees/"],
    "a new disk": ["lost+found/"],
    "what a killed run has begun": ["sources/", `tmp/${workspaceName()}/`],
  };
  for (const [kind, paths] of Object.entries(stores)) {
    it(`knows a store: ${kind}`, async () => {
      assertEquals(await isStore(await folderOf(paths)), true);
    });
  }
});
