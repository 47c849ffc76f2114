import { assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  ContentError,
  docker,
  exec,
  fromDir,
  images,
  install,
  StageError,
} from "@stowage/stowage";
import { assertClean, idsOf, listTree, mustBuild, mustFail, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { busyboxLayer, copyTo, nginxLikeLayer, pushImage, pushIndex } from "../support/mod.ts";

const http = { tlsVerify: false };

const { dir, at, registry } = await fixture({ registry: true });
const layers = [await busyboxLayer(), await nginxLikeLayer()];
const web = await pushImage(registry, "apps/web:1", { layers });
const tool = await pushImage(registry, "apps/tool:1", { layers: layers.slice(0, 1) });
const index = await pushIndex(registry, "apps/web:many", [web]);

const sources = () => ({
  web: docker(web.reference, http),
  tool: docker(tool.reference, http),
});

/** A stage that runs a script on both images. */
const look = (script: string): Config => ({
  sources: sources(),
  inputs: { apps: images({ web: "localhost/web", tool: "localhost/tool" }) },
  stages: { look: exec({ inputs: ["apps"], command: ["sh", "-c", script] }) },
});

describe("images()", () => {
  it("gives each image as a dir, in the order of their names", async () => {
    const script =
      'IFS="\n"; for image in $STOWAGE_INPUT_APPS; do cat "$image/manifest.json"; done';
    const build = await mustBuild(look(`{ ${script}; } >all`), at);
    const all = await Deno.readTextFile(join(treeOf(build, "look"), "all"));
    assertEquals(all, tool.manifest + web.manifest);
    await assertClean(at.store);
  });

  const attempts = {
    "a new file": "touch $image/new",
    "a changed file": "echo x >>$image/manifest.json",
    "no file": "rm $image/manifest.json",
    "another mode": "chmod 600 $image/manifest.json",
    "another folder": "mv $image $image.old",
  };
  for (const [what, script] of Object.entries(attempts)) {
    it(`lets no program make of it ${what}`, async () => {
      const full = `image=$(echo "$STOWAGE_INPUT_APPS" | head -n 1); ${script}`;
      const { error } = await mustFail(StageError, "stage/look", look(full), at);
      assertStringIncludes(error.message, "Read-only file system");
      await assertClean(at.store);
      const files = await listTree(join(at.store, "sources/org.osbuild.containers", tool.id));
      assertEquals(files.length, 4 + tool.layers.length + 1, files.join());
      await mustBuild(look("true"), { ...at, offline: true });
    });
  }

  it("means the same whatever sources and inputs are called, and wherever they are", async () => {
    await copyTo(registry, web, `dir:${dir.join("web")}`);
    const config = (name: string, source: Config["sources"], as: string[]): Config => ({
      sources: source ?? {},
      inputs: {
        [name]: {
          type: "images",
          images: Object.fromEntries([[Object.keys(source ?? {})[0], as]]),
        },
      },
      stages: { os: { type: "docker-archive", inputs: [name], compression: "none" } },
    });
    const first = config("apps", { web: docker(web.reference, http) }, ["localhost/a", "b:1"]);
    const other = config("x", { y: fromDir("web") }, ["b:1", "localhost/a:latest"]);
    const third = config("apps", { web: docker(web.reference, http) }, ["localhost/a"]);
    const id = async (config: Config) => idsOf(await mustBuild(config, at))["os"];
    assertEquals(await id(first), await id(other));
    assertNotEquals(await id(first), await id(third));
  });

  it("fetches again what is not whole any more", async () => {
    const pinned = {
      ...look("true"),
      sources: { ...sources(), web: docker(web.reference, { id: web.id, ...http }) },
    };
    const first = await mustBuild(pinned, at);
    const path = first.images.find(({ name }) => name === "web")?.path ?? "";
    await Deno.remove(join(path, web.layers[0]?.digest.replace("sha256:", "") ?? ""));
    const again = await mustBuild(pinned, at);
    assertEquals(again.images.map(({ status }) => status), ["fetched", "cached"]);
    assertEquals(again.stages[0]?.status, "cached");
  });

  it("keeps no index where there is none", async () => {
    const config: Config = {
      ...look("true"),
      sources: { ...sources(), web: docker(web.reference, { index: true, ...http }) },
    };
    const { error, skipped } = await mustFail(ContentError, "source/web", config, at);
    assertStringIncludes(error.message, "it is one image, not an index");
    assertStringIncludes(error.hint ?? "", "remove index: true from sources.web");
    assertEquals(skipped, ["input/apps", "stage/look"]);
  });

  for (const harm of ["gone", "spoilt"] as const) {
    it(`fetches again where its index is ${harm}`, async () => {
      const config: Config = {
        sources: {
          web: docker(index.reference, {
            ...{ index: true, digest: index.digest, platform: web.platform, ...http },
          }),
        },
        inputs: { apps: images({ web: "localhost/web" }) },
        stages: {
          os: install({ inputs: ["apps"], destination: { type: "dir", path: "/web" } }),
        },
      };
      await mustBuild(config, at);
      assertEquals((await mustBuild(config, at)).images[0]?.status, "cached");
      const path = join(at.store, "sources/org.osbuild.files", index.digest);
      if (harm === "gone") await Deno.remove(path);
      else await Deno.writeTextFile(path, "{}");
      const again = await mustBuild(config, at);
      assertEquals(again.images[0]?.index, { digest: index.digest, path });
      assertEquals(await Deno.readTextFile(path), index.manifest);
    });
  }
});
