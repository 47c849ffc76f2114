/** What osbuild's own tests expect of its sources and stages, and what comes of the same here. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { parse } from "@std/toml/parse";
import {
  ContentError,
  FetchError,
  importConfig,
  ImportError,
  type ImportResult,
} from "@stowage/stowage";
import { listTree, mustBuild, mustFail, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, run } from "../support/mod.ts";

const { dir, registry, at } = await fixture({ registry: true });
const app = await pushImage(registry, "osbuild/hello:1", {
  layers: [
    await fileLayer({ "file1": "base", "file2": "2", "dir1/file3": "3", "dir2/file4": "4" }),
    await fileLayer({ "file1": "final" }),
  ],
});
const OTHER = `sha256:${"a".repeat(64)}`;
const name = `${registry.host}/osbuild/hello`;
const image = { name, digest: app.digest, "tls-verify": false };

async function importManifest(
  pipelines: Readonly<Record<string, readonly unknown[]>>,
  items: Readonly<Record<string, unknown>> = {},
): Promise<ImportResult> {
  const path = dir.join("manifest.json");
  const manifest = {
    version: "2",
    pipelines: Object.entries(pipelines).map(([name, stages]) => ({ name, stages })),
    sources: { "org.osbuild.skopeo": { items } },
  };
  await Deno.writeTextFile(path, JSON.stringify(manifest));
  return await importConfig("osbuild", [path], { platform: "linux/amd64" });
}

const images = {
  type: "org.osbuild.containers",
  origin: "org.osbuild.source",
  references: { [app.id]: { name: "localhost/some-name:latest" } },
};
const stage = (type: string, options: unknown) => ({ type: `org.osbuild.${type}`, options });
const reading = (type: string, options: unknown) => ({
  ...stage(type, options),
  inputs: { images },
});
const skopeo = (options: unknown) => reading("skopeo", options);
const conf = (options: unknown) => stage("containers.storage.conf", options);
const unit = (options: unknown) => stage("containers.unit.create", options);

/** What osbuild's schemas refuse has no translation; what they take has one. */
async function assertTaken(cases: readonly (readonly [stage: unknown, isTaken: boolean])[]) {
  const items = { [app.id]: { image } };
  const pipelines = Object.fromEntries(cases.map(([stage], at) => [`p${at}`, [stage]]));
  const { left } = await importManifest(pipelines, items);
  const refused = new Set(left.map(({ path }) => /^pipelines\[(\d+)\]/.exec(path)?.[1]));
  assertEquals(
    cases.map((_, at) => !refused.has(String(at))),
    cases.map(([, isTaken]) => isTaken),
    JSON.stringify(left, null, 1),
  );
}

describe("sources/test/test_skopeo_source.py", () => {
  it("cases: success, empty, missing_image, invalid_digest", async () => {
    const fetch = async (items: Readonly<Record<string, unknown>>) => {
      const { config, lock } = await importManifest({}, items);
      return [config, { ...at, lock, frozen: true }] as const;
    };
    const found = await mustBuild(...await fetch({ [app.id]: { image } }));
    assertEquals(found.images.map(({ id, status }) => [id, status]), [[app.id, "fetched"]]);
    await assertRejects(() => fetch({}), ImportError, "Cannot find any image");
    const wrong = { image: { ...image, name: `${registry.host}/osbuild/wrong` } };
    const [missing, options] = await fetch({ [app.id]: wrong });
    const fresh = { ...options, store: dir.join("fresh") };
    await mustFail(FetchError, "source/wrong", missing, fresh);
    const { error } = await mustFail(
      ContentError,
      "source/hello",
      ...await fetch({ [OTHER]: { image } }),
    );
    assertEquals([error.expected, error.actual], [OTHER, app.id]);
  });
});

describe("stages/test/test_skopeo.py", () => {
  it("test_schema_validation_skopeo", async () => {
    await assertTaken([
      [skopeo({}), false],
      [skopeo({ destination: {} }), false],
      [skopeo({ destination: { type: "foo" } }), false],
      [skopeo({ destination: { type: "oci" } }), false],
      [skopeo({ destination: { type: "dir" } }), false],
      [skopeo({ destination: { type: "os-archive" } }), false],
      [skopeo({ destination: { type: "dir", path: "/foo" }, "remove-signatures": "Yes" }), false],
      [skopeo({ destination: { type: "oci", path: "/foo" } }), true],
      [skopeo({ destination: { type: "oci-archive", path: "/foo" } }), true],
      [skopeo({ destination: { type: "dir", path: "/foo" } }), true],
      [skopeo({ destination: { type: "dir", path: "/foo" }, "remove-signatures": true }), true],
      [skopeo({ destination: { type: "containers-storage" } }), true],
    ]);
  });
});

describe("stages/test/test_containers_storage_conf.py", () => {
  it("test_schema_validation_containers_storage_conf", async () => {
    const of = (storage: unknown) => conf({ config: { storage } });
    const pull = (pull_options: unknown) => of({ options: { pull_options } });
    const options = {
      additionalimagestores: ["/path/to/store"],
      pull_options: {
        enable_partial_images: "true",
        use_hard_links: "false",
        convert_images: "false",
      },
      overlay: { mountopt: "metadata" },
    };
    const all = { graphroot: "/some", runroot: "/other", transient_store: true, options };
    await assertTaken([
      [conf({ comment: ["a"], config: { storage: { ...all, driver: "vfs" } } }), true],
      [of({ transient_store: "true" }), false],
      [pull({ use_hard_links: "foobar" }), false],
      [pull({ use_hard_links: true }), false],
      // osbuild reads this file of the machine that builds.
      [conf({ filebase: "/some/path", config: { storage: all } }), false],
    ]);
  });
});

describe("stages/test/test_containers_unit_create.py", () => {
  it("test_schema_validation and test_name_config_match", async () => {
    const of = (filename: string, config: unknown) => unit({ filename, config });
    const Container = { Image: "img" };
    await assertTaken([
      [of("foo.container", { Unit: {}, Service: {}, Container, Install: {} }), true],
      [of("foo.volume", { Unit: {}, Volume: {}, Install: {} }), true],
      [of("foo.network", { Network: {} }), true],
      [unit({ config: { Unit: {}, Container, Install: {} } }), false],
      [unit({ filename: "foo.container" }), false],
      [of("foo.container", { Unit: {}, Install: {} }), false],
      [of("foo.container", { Network: {}, Volume: {} }), false],
      [of("foo.container", { Unit: {}, Volume: {}, Install: {} }), false],
      [of("cats.volume", { Unit: {}, Network: {}, Install: {} }), false],
    ]);
  });
});

describe("what osbuild's stages make", () => {
  it("is there, as its tests look for it", async () => {
    const Unit = {
      Description: "Create directory",
      DefaultDependencies: false,
      ConditionPathExists: ["|!/etc/myfile"],
      Wants: ["basic.target", "sysinit.target"],
    };
    const Environment = [{ key: "DEBUG", value: "1" }, { key: "TRACE", value: "1" }];
    const config = {
      Unit,
      Container: { Image: "img", Environment, SecurityLabelType: "spc_t", Tmpfs: "/test.tmp" },
      Install: { WantedBy: ["local-fs.target"] },
    };
    const to = (type: string) => skopeo({ destination: { type, path: `/some/${type}` } });
    const storage = { type: "containers-storage", "storage-driver": "vfs" };
    const { config: imported, lock, left } = await importManifest({
      deploy: [reading("container-deploy", {})],
      exclude: [reading("container-deploy", { exclude: ["file2", "dir2/"] })],
      dir: [to("dir"), to("oci-archive"), to("oci")],
      tree: [skopeo({ destination: storage })],
      conf: ["/etc", "/usr/share"].map((at) =>
        conf({
          filename: `${at}/containers/storage.conf`,
          config: { storage: { transient_store: true, runroot: "/foo" } },
        })
      ),
      units: ["usr", "etc"].map((at) =>
        unit({ filename: "create-directory.container", "unit-path": at, config })
      ),
    }, { [app.id]: { image } });
    assertEquals(left, []);
    const build = await mustBuild(imported, { ...at, lock, frozen: true });
    const read = (stage: string, path: string) =>
      Deno.readTextFile(`${treeOf(build, stage)}/${path}`);

    // test_container_deploy_integration, test_container_deploy_exclude
    assertEquals(await read("deploy", "file1"), "final");
    assertEquals(await listTree(treeOf(build, "exclude")), ["dir1", "dir1/file3", "file1"]);

    // test_skopeo_copy_dir, test_skopeo_copy_oci_archive, test_skopeo_copy_oci
    const configOf = ({ config }: { config: { digest: string } }) => config.digest;
    assertStringIncludes(await read("dir", "some/dir/version"), "Directory Transport");
    assertEquals(configOf(JSON.parse(await read("dir", "some/dir/manifest.json"))), app.id);
    const archive = await run("tar", ["-tf", `${treeOf(build, "dir")}/some/oci-archive`]);
    assertStringIncludes(archive, "index.json");
    const { manifests: [{ digest }] } = JSON.parse(await read("dir", "some/oci/index.json"));
    const blob = `some/oci/blobs/${digest.replace(":", "/")}`;
    assertEquals(typeof configOf(JSON.parse(await read("dir", blob))), "string");

    // test_skopeo_with_localstorage
    const stored = "var/lib/containers/storage/vfs-images";
    const all: { id: string; names: string[] }[] = JSON.parse(
      await read("tree", `${stored}/images.json`),
    );
    const hex = app.id.slice("sha256:".length);
    assertEquals(all.map(({ id, names }) => [id, names]), [[hex, ["localhost/some-name:latest"]]]);
    assert((await Deno.stat(`${treeOf(build, "tree")}/${stored}/${hex}`)).isDirectory);

    // test_containers_storage_conf_integration
    for (const at of ["etc", "usr/share"]) {
      const { storage } = parse(await read("conf", `${at}/containers/storage.conf`));
      const { transient_store, runroot } = storage as Record<string, unknown>;
      assertEquals([transient_store, runroot], [true, "/foo"]);
    }

    // test_systemd_unit_create: the same lines, in an order of our own
    for (const at of ["usr/share", "etc"]) {
      const text = await read("units", `${at}/containers/systemd/create-directory.container`);
      assertEquals(text.split("\n\n").map((section) => section.trim().split("\n").sort()), [
        [
          ...["ConditionPathExists=|!/etc/myfile", "DefaultDependencies=false"],
          ...["Description=Create directory", "Wants=basic.target", "Wants=sysinit.target"],
          "[Unit]",
        ],
        [
          ...['Environment="DEBUG=1"', 'Environment="TRACE=1"', "Image=img"],
          ...["SecurityLabelType=spc_t", "Tmpfs=/test.tmp", "[Container]"],
        ],
        ["WantedBy=local-fs.target", "[Install]"],
      ]);
    }
  });
});
