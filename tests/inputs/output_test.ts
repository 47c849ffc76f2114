import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  exec,
  install,
  ociArchive,
  output,
  type OutputInput,
  StageError,
  tree,
} from "@stowage/stowage";
import { type Build, mustBuild, mustFail, statusOf, treeOf } from "../build/fixture.ts";
import { openStorage } from "../stages/storage.ts";
import { fixture } from "../support/fixture.ts";
import { digestOf, skopeo } from "../support/mod.ts";

const { dir, at } = await fixture({ files: { "files/motd": "hello\n" } });

/** An archive of ./files, and a storage that it is installed into. */
function config(input: OutputInput<"App_1">, options: object = {}): Config {
  return {
    inputs: { files: tree("files"), app: input },
    stages: {
      App_1: ociArchive({ inputs: ["files"], filename: "app.tar", ...options }),
      os: install({
        inputs: ["app"],
        destination: { type: "containers-storage", path: "/c", driver: "vfs" },
      }),
    },
  };
}

async function namesIn(build: Build): Promise<string[]> {
  await using storage = await openStorage(join(treeOf(build, "os"), "c"), "vfs");
  return Object.keys(await storage.images()).sort();
}

describe("output()", () => {
  it("gives the archive that a stage made, which is installed as it is", async () => {
    const build = await mustBuild(config(output("App_1"), { platform: "linux/arm64" }), at);
    const archive = join(treeOf(build, "App_1"), "app.tar");
    await using storage = await openStorage(join(treeOf(build, "os"), "c"), "vfs");
    const config_ = await skopeo("inspect", "--config", "--raw", `oci-archive:${archive}`);
    assertEquals(await storage.images(), { "localhost/app-1:latest": await digestOf(config_) });
    const mounted = await storage.mount("localhost/app-1");
    assertEquals(await Deno.readTextFile(join(mounted, "motd")), "hello\n");
    assertEquals(
      statusOf(await mustBuild(config(output("App_1"), { platform: "linux/arm64" }), at)),
      {
        ...{ App_1: "cached", os: "cached" },
      },
    );
  });

  const names: Record<string, readonly [OutputInput<"App_1">, object, string[]]> = {
    "the archive's own": [output("App_1"), { name: "acme/app:2" }, ["docker.io/acme/app:2"]],
    "what it says": [
      output("App_1", { as: ["localhost/a:1", "localhost/b"] }),
      { name: "acme/app:2" },
      ["localhost/a:1", "localhost/b:latest"],
    ],
  };
  for (const [what, [input, options, expected]] of Object.entries(names)) {
    it(`calls the image ${what}`, async () => {
      assertEquals(await namesIn(await mustBuild(config(input, options), at)), expected);
    });
  }

  it("runs what reads it again when the archive is another one, and nothing when not", async () => {
    await mustBuild(config(output("App_1")), at);
    await Deno.writeTextFile(dir.join("files/motd"), "other\n");
    assertEquals(statusOf(await mustBuild(config(output("App_1")), at)), {
      ...{ App_1: "ran", os: "ran" },
    });
    assertEquals(statusOf(await mustBuild(config(output("App_1")), at)), {
      ...{ App_1: "cached", os: "cached" },
    });
  });

  /** Stages that make a tree by a script, beside an archive, and install from it. */
  const scripted = (script: string, name?: string): Config => ({
    inputs: {
      files: tree("files"),
      app: output("made", name === undefined ? {} : { name }),
    },
    stages: {
      archive: ociArchive({ inputs: ["files"], filename: "app.tar" }),
      made: exec({ on: "archive", command: ["sh", "-c", script] }),
      os: install({ inputs: ["app"], destination: { type: "oci-archive", path: "/x" } }),
    },
  });

  it("chooses the first regular file by name, or the one that is named", async () => {
    const script = "mv app.tar m.tar && mkdir a && ln -s m.tar b && touch z Z";
    await mustBuild(scripted(script, "m.tar"), at);
    const { error } = await mustFail(StageError, "input/app", scripted(script), at);
    assertStringIncludes(error.message, '"Z" of stage "made" is no OCI archive');
    assertStringIncludes(error.hint ?? "", "inputs.app.name");
    await mustBuild(scripted("mkdir a && mv app.tar b && touch c"), at);
  });

  const missing = {
    "no file": ["mkdir a && rm app.tar", undefined, "has no file at its root", "it has a/"],
    "nothing at all": ["rm app.tar", undefined, "has no file at its root", "it has nothing"],
    "no file of that name": ["mkdir a", "b.tar", 'has no file "b.tar"', "it has a/, app.tar"],
    "a folder of that name": ["mkdir a", "a", 'has no file "a"', "it has a/, app.tar"],
    "a link of that name": ["ln -s app.tar a", "a", 'has no file "a"', "it has a/, app.tar"],
  } as const;
  for (const [what, [script, name, message, hint]] of Object.entries(missing)) {
    it(`says what there is where there is ${what}`, async () => {
      const { error, skipped } = await mustFail(
        StageError,
        "input/app",
        scripted(script, name),
        at,
      );
      assertStringIncludes(error.message, `the tree of stage "made" ${message}`);
      assertEquals([error.hint, skipped], [hint, ["stage/os"]]);
    });
  }

  it("is read in a store whose path has what skopeo takes for separators", async () => {
    const build = await mustBuild(config(output("App_1")), { ...at, store: dir.join("a:b+c@[d]") });
    assert(treeOf(build, "os"));
  });
});
