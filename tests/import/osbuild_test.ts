import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { importConfig, ImportError, type ImportResult, type QuadletPairs } from "@stowage/stowage";
import { mustBuild, statusOf, treeOf } from "../build/fixture.ts";
import { stowage } from "../cli/cli.ts";
import { fixture } from "../support/fixture.ts";
import { busyboxLayer, pushImage, pushIndex, run } from "../support/mod.ts";

const { dir, registry, at } = await fixture({ registry: true });
const layers = [await busyboxLayer()];
const app = await pushImage(registry, "apps/app:1", {
  layers,
  platform: "linux/arm64",
  config: { Cmd: ["/bin/true"] },
});
const arm = await pushImage(registry, "apps/multi:arm", { layers, platform: "linux/arm64" });
const amd = await pushImage(registry, "apps/multi:amd", { layers, platform: "linux/amd64" });
const multi = await pushIndex(registry, "apps/multi:2", [arm, amd]);

const OTHER = `sha256:${"5".repeat(64)}`;
const name = (image: string) => `${registry.host}/apps/${image}`;
const item = (image: string, digest: string, more = {}) => ({
  image: { name: name(image), digest, "tls-verify": false, ...more },
});
const input = (references: unknown, type = "org.osbuild.containers") => ({
  type,
  origin: "org.osbuild.source",
  references,
});
const treeOfPipeline = (pipeline: string) => ({
  type: "org.osbuild.tree",
  origin: "org.osbuild.pipeline",
  references: [`name:${pipeline}`],
});

/** As image-builder writes it: packages, containers with their lists, an archive of a tree. */
const MANIFEST = {
  version: "2",
  pipelines: [
    { name: "build", stages: [{ type: "org.osbuild.rpm", options: { gpgkeys: ["k.aarch64"] } }] },
    {
      name: "os",
      build: "name:build",
      stages: [
        { type: "org.osbuild.rpm", options: { file: "bash-5.aarch64.rpm" } },
        {
          type: "org.osbuild.containers.storage.conf",
          options: {
            filename: "/etc/containers/storage.conf",
            config: { storage: { options: { additionalimagestores: ["/usr/share/storage"] } } },
          },
        },
        {
          type: "org.osbuild.skopeo",
          inputs: {
            images: input({
              [arm.id]: { name: `${name("multi")}:2` },
              [app.id]: { name: "app:1" },
            }),
            "manifest-lists": {
              ...input([multi.digest], "org.osbuild.files"),
            },
          },
          options: {
            destination: {
              type: "containers-storage",
              "storage-path": "/usr/share/storage",
              "storage-driver": "vfs",
            },
          },
        },
        {
          type: "org.osbuild.bootc.install-to-filesystem",
          inputs: { images: input([{ id: app.id, options: { name: "app" } }]) },
        },
      ],
    },
    { name: "tree", stages: [{ type: "org.osbuild.rpm" }] },
    {
      name: "container",
      stages: [{
        type: "org.osbuild.oci-archive",
        inputs: { "layer.1": treeOfPipeline("tree"), base: treeOfPipeline("tree2") },
        options: { architecture: "arm64", filename: "c.tar", config: { StopSiganl: "SIGINT" } },
      }],
    },
  ],
  sources: {
    "org.osbuild.curl": { items: {} },
    "org.osbuild.skopeo": {
      digests: {
        [arm.id]: item("multi", arm.digest),
        [app.id]: item("app", app.digest),
        [OTHER]: { image: { name: "host/Upper", digest: OTHER } },
      },
    },
    "org.osbuild.skopeo-index": {
      items: { [multi.digest]: { image: { name: name("multi"), "tls-verify": false } } },
    },
  },
};
MANIFEST.pipelines.splice(2, 0, { name: "tree2", stages: [{ type: "org.osbuild.locale" }] });

/** Imports a manifest. */
async function importManifest(manifest: unknown, options = {}): Promise<ImportResult> {
  const path = dir.join("manifest.json");
  await Deno.writeTextFile(path, JSON.stringify(manifest));
  return await importConfig("osbuild", [path], options);
}

/** Writes a text as the config, as its lock too, and has the command line look at it. */
async function checkText(text: string): Promise<void> {
  const file = dir.join("images.config.ts");
  await Deno.writeTextFile(file, text);
  const { code, stderr } = await stowage(["check"], { cwd: dir.path });
  assertEquals([code, stderr], [0, ""]);
}

describe("import osbuild", () => {
  it("makes the config that a person would write, and a lock of what the manifest has", async () => {
    const { text, lock, left } = await importManifest(MANIFEST);
    assertEquals(
      text,
      `import { defineConfig, docker, images, install, ociArchive, tree } from "@stowage/stowage";

// Left out, at
// sources["org.osbuild.skopeo"].digests["${OTHER}"].image.name:
// "host/Upper": it is no reference: expected a lower-case name, "host/upper"
// Left out, at pipelines[1].stages[3]: org.osbuild.bootc.install-to-filesystem: bootc installs
// itself: stowage has no such stage; osbuild can go on with it, as it finds the image

export default defineConfig({
  platform: "linux/arm64",
  sources: {
    multi: docker("${name("multi")}:2", { tlsVerify: false, index: true }),
    app: docker("${name("app")}", { tlsVerify: false }),
  },
  inputs: {
    containers: images({ multi: "${name("multi")}:2", app: "app:1" }),
    // Made by osbuild: osbuild --export tree2 --output-directory . MANIFEST
    tree2: tree("tree2"),
    // Made by osbuild: osbuild --export tree --output-directory . MANIFEST
    tree: tree("tree"),
  },
  stages: {
    // Of osbuild's pipeline "os"; it has stages without containers too: rpm
    os: install({
      inputs: ["containers"],
      destination: { type: "containers-storage", path: "/usr/share/storage", driver: "vfs" },
      additionalImageStore: true,
    }),
    container: ociArchive({
      inputs: ["tree2", "tree"],
      filename: "c.tar",
      platform: "linux/arm64",
      config: {
        Cmd: ["sh"],
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        StopSignal: "SIGINT",
      },
    }),
  },
});
`,
    );
    const platform = "linux/arm64";
    assertEquals(lock, {
      schema: 1,
      sources: {
        multi: {
          reference: `docker://${name("multi")}:2`,
          index: { digest: multi.digest },
          platforms: { [platform]: { digest: arm.digest, id: arm.id } },
        },
        app: {
          reference: `docker://${name("app")}:latest`,
          platforms: { [platform]: { digest: app.digest, id: app.id } },
        },
      },
    });
    assertEquals(left.map(({ path }) => path), [
      `sources["org.osbuild.skopeo"].digests["${OTHER}"].image.name`,
      "pipelines[1].stages[3]",
    ]);
    await checkText(text);
    await run("sh", ["scripts/deno", "fmt", "--check", "-q", dir.join("images.config.ts")]);
  });

  it("fetches and builds by the lock alone, whatever tags stand for", async () => {
    const { [app.id]: one, [arm.id]: two } = MANIFEST.sources["org.osbuild.skopeo"].digests;
    const { config, lock } = await importManifest({
      ...MANIFEST,
      pipelines: MANIFEST.pipelines.filter(({ name }) => name === "os"),
      sources: {
        ...MANIFEST.sources,
        "org.osbuild.skopeo": { items: { [app.id]: one, [arm.id]: two } },
      },
    });
    // There is no apps/app:latest.
    const build = await mustBuild(config, { ...at, lock, frozen: true });
    const ids = build.images.map(({ id, digest, index }) => [id, digest, index?.digest]);
    assertEquals(ids, [[app.id, app.digest, undefined], [arm.id, arm.digest, multi.digest]]);
    const conf = await Deno.readTextFile(`${treeOf(build, "os")}/etc/containers/storage.conf`);
    assertStringIncludes(conf, "/usr/share/storage");
    assertEquals(statusOf(await mustBuild(config, { ...at, lock, offline: true })), {
      os: "cached",
    });
  });

  it("sets what osbuild writes into storage.conf", async () => {
    const storage = { driver: "vfs", options: { overlay: { mountopt: "nodev" } } };
    const { config, left } = await importManifest({
      version: "2",
      pipelines: [{
        name: "os",
        stages: [{
          type: "org.osbuild.containers.storage.conf",
          options: { filename: "/usr/share/containers/storage.conf", config: { storage } },
        }],
      }],
    });
    assertEquals([config.stages, left], [{
      os: { type: "storage-conf", storage, path: "/usr/share/containers/storage.conf" },
    }, []]);
  });

  it("writes the quadlets that osbuild writes", async () => {
    const create = (options: object) => ({ type: "org.osbuild.containers.unit.create", options });
    const variables = (value: string) => ({
      Unit: { DefaultDependencies: false, ConditionPathExists: ["|!/etc/done"] },
      Container: { Image: "app:1", Environment: [{ key: "A", value }, { key: "B", value: "b c" }] },
      Install: { WantedBy: ["multi-user.target"] },
    });
    const { config, left } = await importManifest({
      version: "2",
      pipelines: [{
        name: "os",
        stages: [
          create({ filename: "app.container", config: variables("1") }),
          create({ filename: "raw.container", "unit-path": "etc", config: variables("%H") }),
          create({ filename: "net.network", config: { Network: {} } }),
          create({ filename: "x.container", config: { Container: { Image: "a", Exec: "a\nb" } } }),
          create({ filename: "x.network", config: { Network: { Subnet: true } } }),
          create({ filename: "x.volume", config: { Network: {} } }),
        ],
      }],
    });
    const unit = (Environment: QuadletPairs) => ({
      ...variables(""),
      Container: { Image: "app:1", Environment },
    });
    const all = { type: "quadlet", on: "os-raw.container" } as const;
    assertEquals(config.stages, {
      "os-app.container": {
        type: "quadlet",
        units: { "app.container": unit({ A: "1", B: "b c" }) },
      },
      "os-raw.container": {
        ...all,
        on: "os-app.container",
        to: "/etc/containers/systemd",
        units: { "raw.container": unit(['"A=%H"', '"B=b c"']) },
      },
      os: { ...all, units: { "net.network": { Network: {} } } },
    });
    assertEquals(
      left.map(({ path }) => path),
      [3, 4, 5].map((at) => `pipelines[0].stages[${at}].options`),
    );
  });

  it("unpacks what osbuild deploys", async () => {
    const deploy = (exclude?: string[], images = input({ [app.id]: { name: "app:1" } })) => ({
      type: "org.osbuild.container-deploy",
      inputs: { images },
      ...(exclude && { options: { exclude, "remove-signatures": true } }),
    });
    const two = input({ [app.id]: { name: "app:1" }, [arm.id]: { name: "multi:1" } });
    const { config, lock, left } = await importManifest({
      version: "2",
      pipelines: [
        { name: "build", stages: [deploy(["/etc", "usr/a b"]), deploy()] },
        { name: "odd", stages: [deploy(["/var/*"]), deploy(undefined, two)] },
      ],
      sources: { "org.osbuild.skopeo": { items: { [app.id]: item("app", app.digest) } } },
    }, { platform: "linux/arm64" });
    assertEquals(config.stages, {
      "build-unpacked": {
        type: "unpack",
        inputs: ["containers"],
        exclude: ["/etc", "usr/a b"],
        removeSignatures: true,
      },
      build: { type: "unpack", inputs: ["containers"], on: "build-unpacked" },
    });
    assertEquals(left.map(({ path, why }) => `${path}: ${why}`), [
      'pipelines[1].stages[0].options.exclude: stowage takes "/var/*" for a pattern',
      "pipelines[1].stages[1]: it does not read one image",
    ]);
    const build = await mustBuild(config, { ...at, lock, frozen: true });
    assertEquals((await Deno.stat(`${treeOf(build, "build")}/bin/busybox`)).isFile, true);
  });

  it("pins in the config what is for a platform that the manifest does not say", async () => {
    const manifest = {
      version: "2",
      sources: { "org.osbuild.skopeo": { items: { [app.id]: item("app", app.digest) } } },
    };
    const { config, lock } = await importManifest(manifest);
    const pins = { digest: app.digest, id: app.id };
    const docker = { type: "docker", reference: name("app"), tlsVerify: false } as const;
    assertEquals([config, lock.sources], [{ sources: { app: { ...docker, ...pins } } }, {}]);
    const named = await importManifest(manifest, { platform: "arm64" });
    assertEquals(named.config, { platform: "linux/arm64", sources: { app: docker } });
    assertEquals(named.lock.sources["app"]?.platforms, { "linux/arm64": pins });
  });

  it("reads other places, archives of stages and version 1", async () => {
    const storage = { "containers-transport": "containers-storage", "storage-location": "/srv/c" };
    const { config } = await importManifest({
      version: "2",
      pipelines: [
        {
          name: "tree",
          stages: [{ type: "org.osbuild.rpm" }, {
            type: "org.osbuild.skopeo",
            inputs: { images: input({ [app.id]: { name: "app:1" } }) },
            options: { destination: { type: "containers-storage" } },
          }],
        },
        {
          name: "app",
          stages: [{
            type: "org.osbuild.oci-archive",
            inputs: { base: treeOfPipeline("tree") },
            options: { architecture: "arm", variant: "v7", filename: "app.tar" },
          }],
        },
        {
          name: "os",
          stages: [{
            type: "org.osbuild.skopeo",
            inputs: {
              images: {
                ...input({ "name:app": { name: "app:2" } }),
                origin: "org.osbuild.pipeline",
              },
            },
            options: { destination: { type: "oci", path: "/c" }, "remove-signatures": true },
          }, {
            type: "org.osbuild.skopeo",
            inputs: {
              images: input({ [OTHER]: { name: "host:1" } }, "org.osbuild.containers-storage"),
            },
            options: { destination: { type: "containers-storage" } },
          }],
        },
      ],
      sources: {
        "org.osbuild.skopeo": { items: { [app.id]: item("app", app.digest, storage) } },
        "org.osbuild.containers-storage": { items: { [OTHER]: {} } },
      },
    });
    assertEquals(config.sources, {
      app: {
        ...{ type: "containers-storage", reference: name("app"), location: "/srv/c" },
        ...{ driver: "overlay", digest: app.digest, id: app.id },
      },
    });
    assertEquals(config.inputs, {
      containers: { type: "images", images: { app: "app:1" } },
      tree: { type: "tree", path: "tree" },
      "tree-tree": { type: "tree", stage: "tree" },
      app: { type: "output", stage: "app", as: "app:2" },
      host: { type: "host-image", name: "host:1", id: OTHER },
    });
    const { "tree-base": base, tree, app: image, "os-containers": first, os } = config.stages ?? {};
    assertEquals(base, { type: "copy-tree", inputs: ["tree"] });
    assertEquals([tree?.type, tree?.on, image?.inputs], ["install", "tree-base", ["tree-tree"]]);
    assertEquals(image?.type === "oci-archive" && image.platform, "linux/arm/v7");
    assertEquals([first?.inputs, os?.inputs, os?.on], [
      ["app"],
      ["host"],
      "os-containers",
    ]);
  });

  it("reads version 1, where an assembler makes the archive", async () => {
    const assembler = {
      name: "org.osbuild.oci-archive",
      options: { architecture: "amd64", filename: "x.tar" },
    };
    const stages = [{ name: "org.osbuild.rpm", options: { packages: ["a.x86_64.rpm"] } }];
    const build = { pipeline: { stages }, runner: "org.osbuild.fedora30" };
    const { config, left } = await importManifest({ pipeline: { build, stages, assembler } });
    assertEquals([left, config.platform], [[], "linux/amd64"]);
    assertEquals(config.inputs, { tree: { type: "tree", path: "tree" } });
    assertEquals(Object.keys(config.stages ?? {}), ["assembler"]);
  });

  it("says what it cannot translate, and with strict it is an error", async () => {
    const wrong = (type: string, options: unknown, inputs = {}) => ({ type, options, inputs });
    const images = input({ [app.id]: { name: "app" } });
    const destination = { type: "containers-storage" };
    const stages = [
      wrong("org.osbuild.skopeo", { destination: { type: "ftp" } }, { images }),
      wrong("org.osbuild.skopeo", { destination, "new-option": 1 }, { images }),
      wrong("org.osbuild.skopeo", { destination }, { images: input({ [OTHER]: { name: "a" } }) }),
      wrong("org.osbuild.oci-archive", { architecture: "arm64", filename: "a" }, {
        base: treeOfPipeline("gone"),
      }),
      wrong("org.osbuild.containers.storage.conf", { config: { storage: { driver: "aufs" } } }),
      wrong("org.osbuild.flatpak.build-import-bundle.oci", {}, { containers: images }),
      { ...wrong("org.osbuild.skopeo", { destination }, { images }), mounts: [{ name: "root" }] },
      wrong("org.osbuild.skopeo", { destination }, {
        images: input({ [app.id]: { name: "app" }, [arm.id]: {} }),
        other: { ...input({ [app.id]: {} }), type: "org.osbuild.files" },
      }),
    ];
    const manifest = {
      version: "2",
      pipelines: [{ name: "p", stages }],
      sources: {
        "org.osbuild.skopeo": {
          items: {
            [app.id]: item("app", app.digest),
            [arm.id]: item("multi", arm.digest),
            [amd.id]: item("multi", amd.digest),
          },
        },
        "org.osbuild.skopeo-index": {
          items: { [multi.digest]: { image: { name: name("multi") } } },
        },
      },
    };
    const { left, text, config } = await importManifest(manifest);
    assertEquals(left.map(({ path, what, why }) => [path, what, why.slice(0, 36)]), [
      [
        `sources["org.osbuild.skopeo-index"]["${multi.digest}"]`,
        "index",
        "it cannot be told which of the image",
      ],
      [
        "pipelines[0].stages[0].options",
        "org.osbuild.skopeo",
        'expected "containers-storage" or "oc',
      ],
      [
        "pipelines[0].stages[1].options",
        "org.osbuild.skopeo",
        "stowage does not know what is said a",
      ],
      ['sources["org.osbuild.skopeo"]', `image ${OTHER}`, "a stage reads it, and no source has "],
      ["pipelines[0].stages[2]", "org.osbuild.skopeo", "none of its images could be translat"],
      [
        "pipelines[0].stages[3]",
        "org.osbuild.oci-archive",
        "not all of its trees could be transl",
      ],
      [
        "pipelines[0].stages[4].options",
        "org.osbuild.containers.storage.conf",
        'expected "overlay" or "vfs" or "btrf',
      ],
      [
        "pipelines[0].stages[5]",
        "org.osbuild.flatpak.build-import-bundle.oci",
        "flatpak imports it: stowage has no s",
      ],
      ["pipelines[0].stages[6]", "org.osbuild.skopeo", "stowage has no words for its mounts"],
      [
        "pipelines[0].stages[7]",
        "org.osbuild.skopeo",
        "nothing says what image sha256:" + arm.id.slice(7, 12),
      ],
      [
        "pipelines[0].stages[7].inputs.other",
        "org.osbuild.skopeo",
        "stowage does not know this input",
      ],
    ]);
    for (const { path } of left) assertStringIncludes(text.replace(/\n\/\//g, ""), path);
    assertEquals(Object.keys(config.sources ?? {}), ["app", "multi", "apps-multi"]);
    const error = await assertRejects(
      () => importManifest(manifest, { strict: true }),
      ImportError,
    );
    assertEquals(error.left, left);
    assertStringIncludes(error.message, "\n  pipelines[0].stages[2]: org.osbuild.skopeo: none of");
  });

  for (
    const [what, text] of Object.entries({ "no JSON": "{", "another version": '{"version":"3"}' })
  ) {
    it(`refuses what is no manifest: ${what}`, async () => {
      await Deno.writeTextFile(dir.join("m"), text);
      const read = () => importConfig("osbuild", [dir.join("m")]);
      const error = await assertRejects(read, ImportError);
      assertStringIncludes(
        error.message,
        `Cannot read "${dir.join("m")}" as a manifest of osbuild: `,
      );
    });
  }
});

describe("stowage import", () => {
  it("writes a config and its lock, and nothing over what is there", async () => {
    await Deno.writeTextFile(dir.join("m.json"), JSON.stringify(MANIFEST));
    const args = ["import", "osbuild", "m.json", "--out", "sub/my.config.ts"];
    const first = await stowage(args, { cwd: dir.path });
    assertEquals([first.code, first.stdout], [0, ""]);
    assertStringIncludes(
      first.stderr,
      `Wrote ${dir.join("sub/my.lock.json")}\nLeft out:\n  sources`,
    );
    const checked = await stowage(["lock", "--check", "--offline", "-c", "sub/my.config.ts"], {
      cwd: dir.path,
    });
    assertEquals([checked.code, checked.stderr], [0, ""]);
    const again = await stowage(args, { cwd: dir.path });
    assertEquals(again.code, 2);
    assertStringIncludes(again.stderr, "it is there already");
  });

  it("prints the config, and refuses with --strict", async () => {
    await Deno.writeTextFile(dir.join("m.json"), JSON.stringify(MANIFEST));
    const printed = await stowage(["import", "osbuild", "m.json"], { cwd: dir.path });
    assertEquals(printed.stdout, (await importConfig("osbuild", [dir.join("m.json")])).text);
    const args = ["import", "osbuild", "m.json", "--strict", "--json"];
    const { code, stdout } = await stowage(args, { cwd: dir.path });
    const { error } = JSON.parse(stdout);
    assertEquals([code, error.code, error.left.length], [2, "IMPORT_FAILED", 2]);
    const unknown = await stowage(["import", "osbuld", "m.json"], { cwd: dir.path });
    assertEquals(unknown.code, 2);
    assertStringIncludes(unknown.stderr, 'did you mean "osbuild"?');
  });
});

describe("stowage export osbuild", () => {
  it("says of an imported config what the manifest has said", async () => {
    await Deno.writeTextFile(dir.join("m.json"), JSON.stringify(MANIFEST));
    const args = ["import", "osbuild", "m.json", "--out", "images.config.ts"];
    assertEquals((await stowage(args, { cwd: dir.path })).code, 0);
    const { code, stdout, stderr } = await stowage(["export", "osbuild"], { cwd: dir.path });
    assertEquals([code, stderr], [0, ""]);
    const { digests } = MANIFEST.sources["org.osbuild.skopeo"];
    const { [OTHER]: _, ...items } = digests;
    assertEquals(JSON.parse(stdout), {
      sources: {
        "org.osbuild.skopeo": { items },
        "org.osbuild.skopeo-index": MANIFEST.sources["org.osbuild.skopeo-index"],
      },
      inputs: {
        containers: {
          "manifest-lists": input([multi.digest], "org.osbuild.files"),
          images: input({
            [arm.id]: { name: `${name("multi")}:2` },
            [app.id]: { name: "docker.io/library/app:1" },
          }),
        },
      },
    });
  });

  it("says which names and manifests of one image osbuild has no room for", async () => {
    const source = (at: string, digest: string) => ({
      ...{ type: "docker", reference: `acme.io/${at}`, id: OTHER, digest },
    });
    const [one, two] = ["6", "7"].map((digit) => `sha256:${digit.repeat(64)}`);
    const config = {
      platform: "linux/amd64",
      sources: { a: source("a", one!), b: source("b", one!), c: source("c", two!) },
      inputs: { all: { type: "images", images: { a: "a:1", b: ["b:1", "b:2"], c: "c:1" } } },
    };
    await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify(config));
    const { stdout, stderr } = await stowage(["export", "osbuild"], { cwd: dir.path });
    const { sources, inputs } = JSON.parse(stdout);
    assertEquals(sources["org.osbuild.skopeo"].items, {
      [OTHER]: { image: { name: "acme.io/a", digest: one } },
    });
    assertEquals(inputs.all.images.references, { [OTHER]: { name: "docker.io/library/a:1" } });
    const words = stderr.replace(/\s+/g, " ");
    assertStringIncludes(words, "not docker.io/library/b:1, docker.io/library/b:2");
    assertStringIncludes(words, `with the manifest ${one} already`);
  });

  it("says which images osbuild finds on its machine", async () => {
    const host = (location?: string) => ({
      ...{ type: "host-image", name: "localhost/base:1", id: OTHER },
      ...(location && { location }),
    });
    const config = { inputs: { base: host(), other: host("/srv/c") } };
    await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify(config));
    const { stdout, stderr } = await stowage(["export", "osbuild"], { cwd: dir.path });
    assertEquals(JSON.parse(stdout), {
      sources: { "org.osbuild.containers-storage": { items: { [OTHER]: {} } } },
      inputs: {
        base: {
          images: input(
            { [OTHER]: { name: "localhost/base:1" } },
            "org.osbuild.containers-storage",
          ),
        },
      },
    });
    assertStringIncludes(stderr, "inputs.other");
  });

  it("refuses where nothing is pinned", async () => {
    await Deno.writeTextFile(
      dir.join("images.config.json"),
      JSON.stringify({ sources: { web: { type: "docker", reference: "nginx" } } }),
    );
    const { code, stderr } = await stowage(["export", "osbuild"], { cwd: dir.path });
    assertEquals(code, 2);
    assertStringIncludes(
      stderr,
      "sources.web: docker://docker.io/library/nginx:latest: nothing says",
    );
  });
});
