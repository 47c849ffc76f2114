import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  defineConfig,
  docker,
  exec,
  images,
  install,
  type Stage,
  StageError,
} from "@stowage/stowage";
import { assertClean, mustBuild, mustFail, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { busyboxLayer, fileLayer, nginxLikeLayer, pushImage, pushIndex } from "../support/mod.ts";
import { openStorage } from "./storage.ts";

const INDEX_HTML = "usr/share/nginx/html/index.html";

const { dir, at, registry } = await fixture({ registry: true });
const layers = [await busyboxLayer(), await nginxLikeLayer()];
const web = await pushImage(registry, "apps/web", { layers, platform: "linux/amd64" });
const arm = await pushImage(registry, "apps/web", { layers, platform: "linux/arm64" });
const index = await pushIndex(registry, "apps/web:1", [web, arm]);
const tool = await pushImage(registry, "apps/tool:1", { layers: layers.slice(0, 1) });

const http = { tlsVerify: false };
const AMD64 = { platform: "linux/amd64", ...http };

describe("install into a container storage", () => {
  for (const driver of ["overlay", "vfs"] as const) {
    it(`makes one that podman opens: ${driver}`, async () => {
      const build = await mustBuild(
        defineConfig({
          sources: { web: docker(index.reference, AMD64), tool: docker(tool.reference, http) },
          inputs: {
            apps: images([
              { source: "web", name: ["localhost/web:1", "localhost/web:latest"] },
              { source: "web", name: "registry.example/other" },
              { source: "tool" },
            ]),
          },
          stages: {
            os: install({ inputs: ["apps"], destination: { type: "containers-storage", driver } }),
          },
        }),
        at,
      );
      const root = join(treeOf(build, "os"), "var/lib/containers/storage");
      await using storage = await openStorage(root, driver);
      const names = ["localhost/web:1", "localhost/web:latest", "registry.example/other:latest"];
      assertEquals(await storage.images(), {
        ...Object.fromEntries(names.map((name) => [name, web.id])),
        [tool.reference]: tool.id,
      });
      const mounted = await storage.mount("localhost/web:1");
      const page = await Deno.readTextFile(join(mounted, INDEX_HTML));
      assertStringIncludes(page, "Welcome to nginx");
      const cache = await Deno.stat(join(mounted, "var/cache/nginx"));
      assertEquals([cache.uid, (cache.mode ?? 0) & 0o777], [101, 0o700]);
      await assertClean(at.store);
    });
  }

  it("puts images side by side that share layers with each other, and none with the first", async () => {
    const shared = await nginxLikeLayer();
    const apps = await Array.fromAsync([0, 1, 2, 3, 4], async (n) => {
      const own = await fileLayer({ [`app-${n}`]: "x" });
      return await pushImage(registry, `apps/app-${n}:1`, {
        layers: n === 0 ? [own] : [shared, own],
      });
    });
    const sources = apps.map(({ reference }, n) => [`app-${n}`, docker(reference, http)] as const);
    const names = (n: number) => [`localhost/app-${n}:1`, `localhost/app-${n}:latest`];
    const build = await mustBuild(
      defineConfig({
        sources: Object.fromEntries(sources),
        inputs: { apps: images(sources.map(([source], n) => ({ source, name: names(n) }))) },
        stages: { os: install({ inputs: ["apps"], destination: { type: "containers-storage" } }) },
      }),
      at,
    );
    const root = join(treeOf(build, "os"), "var/lib/containers/storage");
    await using storage = await openStorage(root, "overlay");
    const expected = apps.flatMap(({ id }, n) => names(n).map((name) => [name, id]));
    assertEquals(await storage.images(), Object.fromEntries(expected));
    const layers = JSON.parse(await Deno.readTextFile(join(root, "overlay-layers/layers.json")));
    assertEquals(layers.length, apps.length + 1);
  });

  it("keeps the list of an index, by whose digest the image is found too", async () => {
    const config = defineConfig({
      sources: { web: docker(index.reference, { platform: "linux/arm64", index: true, ...http }) },
      inputs: { apps: images({ web: "registry.example/web:1" }) },
      stages: {
        os: install({ inputs: ["apps"], destination: { type: "containers-storage", path: "/c" } }),
      },
    });
    const build = await mustBuild(config, at);
    const kept = join(at.store, "sources/org.osbuild.files", index.digest);
    assertEquals(await Deno.readTextFile(kept), index.manifest);
    await using storage = await openStorage(join(treeOf(build, "os"), "c"), "overlay");
    for (const digest of [index.digest, arm.digest]) {
      const format = ["--format", "{{.Id}} {{.Architecture}}"];
      const name = `registry.example/web@${digest}`;
      const said = await storage.podman("image", "inspect", ...format, name);
      assertEquals(said.trim(), `${arm.id.replace("sha256:", "")} arm64`);
    }

    await Deno.writeTextFile(kept, "spoilt");
    const pinned = defineConfig({
      ...config,
      sources: {
        web: docker(index.reference, {
          ...{ platform: "linux/arm64", index: true, digest: index.digest, ...http },
        }),
      },
    });
    const again = await mustBuild(pinned, at);
    assertEquals(again.stages[0]?.status, "cached");
    assertEquals(await Deno.readTextFile(kept), index.manifest);
  });

  it("gives an image the digests in its names, and the tags beside them", async () => {
    const names = [`localhost/a@${arm.digest}`, `localhost/b:1@${arm.digest}`];
    const config = defineConfig({
      sources: { web: docker(index.reference, { platform: "linux/arm64", ...http }) },
      inputs: { apps: images({ web: names }) },
      stages: { os: install({ inputs: ["apps"], destination: { type: "containers-storage" } }) },
    });
    const build = await mustBuild(config, at);
    const root = join(treeOf(build, "os"), "var/lib/containers/storage");
    await using storage = await openStorage(root, "overlay");
    const tagged = `localhost/b:1`;
    for (const name of [`localhost/a@${arm.digest}`, `localhost/b@${arm.digest}`, tagged]) {
      const id = await storage.podman("image", "inspect", "--format", "{{.Id}}", name);
      assertEquals(`sha256:${id.trim()}`, arm.id, name);
    }
    await assertRejects(() => storage.podman("image", "inspect", "localhost/a:latest"));
    const made = build.stages[0]?.images?.map(({ name }) => name);
    assertEquals(made, [names[0], `localhost/b@${arm.digest}`, tagged]);
  });

  it("holds an image of another platform than this machine's", async () => {
    const build = await mustBuild(
      defineConfig({
        sources: { web: docker(index.reference, { platform: "linux/arm64", ...http }) },
        inputs: { apps: images({ web: "localhost/web" }) },
        stages: {
          os: install({ inputs: ["apps"], destination: { type: "containers-storage" } }),
        },
      }),
      at,
    );
    const root = join(treeOf(build, "os"), "var/lib/containers/storage");
    await using storage = await openStorage(root, "overlay");
    assertEquals(await storage.images(), { "localhost/web:latest": arm.id });
  });

  it("leaves no device node behind", async () => {
    const config = defineConfig({
      sources: { tool: docker(tool.reference, http) },
      inputs: { apps: images({ tool: "localhost/tool" }) },
      stages: {
        base: exec({
          command: ["sh", "-c", "mkdir -p c/overlay && mknod c/overlay/backingFsBlockDev b 7 200"],
        }),
        os: install({
          ...{ inputs: ["apps"], on: "base" },
          destination: { type: "containers-storage", path: "/c" },
        }),
      },
    });
    const build = await mustBuild(config, { ...at, keepStages: true });
    const nodeIn = (name: string) =>
      Deno.lstat(join(treeOf(build, name), "c/overlay/backingFsBlockDev"))
        .then((info) => info.isBlockDevice, () => undefined);
    assertEquals([await nodeIn("base"), await nodeIn("os")], [true, undefined]);
  });

  const config = (links: Config["stages"], path: string, into?: string): Config => ({
    sources: { tool: docker(tool.reference, http) },
    inputs: { apps: images({ tool: "localhost/tool" }) },
    stages: {
      ...links,
      os: install({
        ...{ inputs: ["apps"], destination: { type: "containers-storage", path } },
        ...(into === undefined ? { on: "base" } : { into }),
      }),
    },
  });

  it("never follows a link out of the tree", async () => {
    const outside = dir.join("outside");
    await Deno.mkdir(outside);
    const script = `mkdir -p usr && ln -s '${outside}' c && ln -s ../../../../../..'${outside}' d`;
    const base = exec({ command: ["sh", "-c", script] });
    for (const path of ["/c/storage", "/d/storage"]) {
      const build = await mustBuild(config({ base }, path), at);
      const root = join(treeOf(build, "os"), outside, "storage");
      await using storage = await openStorage(root, "overlay");
      assertEquals(Object.keys(await storage.images()), ["localhost/tool:latest"]);
      assertEquals(await Array.fromAsync(Deno.readDir(outside)), []);
    }
    const round = exec({ command: ["ln", "-s", "c", "c"] });
    const { error } = await mustFail(StageError, "stage/os", config({ base: round }, "/c/s"), at);
    assertStringIncludes(error.message, 'too many links in "/c/s"');
  });

  it("changes the tree of another tool in place, each time", async () => {
    const into = dir.join("rootfs");
    await Deno.mkdir(join(into, "etc"), { recursive: true });
    await Deno.writeTextFile(join(into, "etc/hostname"), "edge\n");
    const given = config({}, "/c", "rootfs");
    const first = await mustBuild(given, { ...at, out: dir.join("out") });
    assertEquals([first.stages[0]?.tree, first.out], [undefined, {}]);
    assertEquals(await Deno.readTextFile(join(into, "etc/hostname")), "edge\n");
    await Deno.remove(join(into, "c"), { recursive: true });
    const again = await mustBuild(given, at);
    assertEquals(again.stages[0]?.status, "ran");
    await using storage = await openStorage(join(into, "c"), "overlay");
    assertEquals(await storage.images(), { "localhost/tool:latest": tool.id });
    await assertClean(at.store);
    const gone = await mustFail(StageError, "stage/os", config({}, "/c", "no-rootfs"), at);
    assertStringIncludes(gone.error.message, dir.join("no-rootfs"));
  });

  it("changes the tree of another tool in one stage after the other", async () => {
    const tree = dir.join("rootfs");
    await Deno.mkdir(tree);
    const { stages: { os } = {}, ...rest } = config({}, "/s1", "rootfs");
    assert(os?.type === "install" && os.destination.type === "containers-storage");
    const { destination } = os;
    const paths = ["/s1", "/s2", "/s3"];
    const stages = paths.map((path): [string, Stage] => [
      path.slice(1),
      { ...os, additionalImageStore: true, destination: { ...destination, path } },
    ]);
    await mustBuild({ ...rest, stages: Object.fromEntries(stages) }, { ...at, jobs: 3 });
    const conf = await Deno.readTextFile(join(tree, "etc/containers/storage.conf"));
    const [, list = ""] = /^additionalimagestores = (.*)$/m.exec(conf) ?? [];
    assertEquals(JSON.parse(list).toSorted(), paths);
  });

  it("says so where a file of the tree is in the way", async () => {
    const base = exec({ command: ["touch", "c"] });
    const { error } = await mustFail(StageError, "stage/os", config({ base }, "/c/storage"), at);
    assert(error.message.includes("'<tree>/c/storage'"), error.message);
    await assertClean(at.store);
  });
});
