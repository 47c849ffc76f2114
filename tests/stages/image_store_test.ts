import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { parse } from "@std/toml/parse";
import { copyTree, docker, images, install, StageError, tree } from "@stowage/stowage";
import { addImageStore } from "../../src/stages/run/image_store.ts";
import { listTree, mustBuild, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { busyboxLayer, nginxLikeLayer, pushImage, run, startRegistry } from "../support/mod.ts";

const STORE = "/usr/share/containers/storage";
const CONF = "etc/containers/storage.conf";
const VENDOR = "usr/share/containers/storage.conf";

const { dir } = await fixture();

async function write(path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(dir.join(path)), { recursive: true });
  await Deno.writeTextFile(dir.join(path), text);
}

const add = (storage = STORE, driver = "overlay") => addImageStore(dir.path, storage, driver, "os");
const conf = () => Deno.readTextFile(dir.join(CONF));

describe("addImageStore()", () => {
  it("takes overlay2 for overlay, as engines do", async () => {
    await write(CONF, '[storage]\ndriver = "overlay2"\n');
    await add();
    assertStringIncludes(await conf(), `additionalimagestores = ["${STORE}"]`);
  });

  it("makes a storage.conf, and the locks that a read-only storage needs", async () => {
    await add();
    assertEquals(parse(await conf()), {
      storage: {
        driver: "overlay",
        runroot: "/run/containers/storage",
        graphroot: "/var/lib/containers/storage",
        options: { additionalimagestores: [STORE] },
      },
    });
    assertEquals((await listTree(dir.join(STORE))).filter((path) => path.endsWith(".lock")), [
      ...["overlay-images/images.lock", "overlay-layers/layers.lock"],
    ]);
    await add("/srv/vfs", "overlay");
    assertStringIncludes(await conf(), `additionalimagestores = ["/srv/vfs", "${STORE}"]`);
  });

  for (const path of [CONF, VENDOR, `${STORE.slice(1)}/overlay-images/images.lock`]) {
    it(`does not wait for who writes to a pipe at ${path}`, async () => {
      await Deno.mkdir(dirname(dir.join(path)), { recursive: true });
      await run("mkfifo", [dir.join(path)]);
      await assertRejects(() => add(), StageError, "no regular file");
    });
  }

  const list = `additionalimagestores = ["${STORE}"]`;
  const edits: Record<string, readonly [before: string, after: string]> = {
    "other settings and comments": [
      '# ours\n[storage]\ndriver = "overlay" # yes\n[storage.options] # more\nsize = "1G"\n[x]\n',
      `# ours\n[storage]\ndriver = "overlay" # yes\n[storage.options] # more\n${list}\n` +
      'size = "1G"\n[x]\n',
    ],
    "no options": ["[storage]\n", `[storage]\n\n[storage.options]\n${list}\n`],
    "nothing": ["", `\n\n[storage.options]\n${list}\n`],
    "only other options": [
      '[storage.options.overlay]\nmountopt = "nodev"\n',
      `[storage.options]\n${list}\n\n[storage.options.overlay]\nmountopt = "nodev"\n`,
    ],
    "an empty list": [
      "[storage.options]\nadditionalimagestores = [\n]\nx = 1\n",
      `[storage.options]\n${list}\nx = 1\n`,
    ],
    "a list in one line": [
      '[storage.options]\n  additionalimagestores = ["/a"] # why\n',
      `[storage.options]\n  additionalimagestores = ["${STORE}", "/a"] # why\n`,
    ],
    "a list in several lines": [
      '[storage.options]\nadditionalimagestores = [ # these\n  "/a", # one\n  "/b",\n]\n',
      `[storage.options]\nadditionalimagestores = ["${STORE}",  # these\n  "/a", # one\n  "/b",\n]\n`,
    ],
    "the store itself": [
      `[storage.options]\nadditionalimagestores = ["/a", "${STORE}"]\n`,
      `[storage.options]\nadditionalimagestores = ["/a", "${STORE}"]\n`,
    ],
    "an example in a comment": [
      '[storage.options]\n# additionalimagestores = ["/a"]\n',
      `[storage.options]\n${list}\n# additionalimagestores = ["/a"]\n`,
    ],
  };
  for (const [what, [before, after]] of Object.entries(edits)) {
    it(`edits a storage.conf with ${what}`, async () => {
      await write(CONF, before);
      await add();
      assertEquals(await conf(), after);
      await add();
      assertEquals(await conf(), after);
    });
  }

  it("starts from the vendor's, which stays as it is", async () => {
    const vendor = '[storage]\ndriver = "overlay"\ngraphroot = "/data"\n';
    await write(VENDOR, vendor);
    await add();
    assertEquals(await conf(), `${vendor}\n[storage.options]\n${list}\n`);
    assertEquals(await Deno.readTextFile(dir.join(VENDOR)), vendor);
  });

  it("leaves the vendor's alone where that has it already", async () => {
    await write(VENDOR, `[storage.options]\n${list}\n`);
    await add();
    await assertRejects(conf, Deno.errors.NotFound);
  });

  it("counts more than the files that newer engines read after storage.conf", async () => {
    const vendor = "usr/share/containers/storage.rootful.conf.d/00-vendor.conf";
    await write(vendor, '[storage.options]\nadditionalimagestores = ["/usr/lib/other"]\n');
    await write("etc/containers/storage.conf.d/10.conf", '[storage.options]\nsize = "1g"\n');
    const own = () =>
      Deno.readTextFile(dir.join("etc/containers/storage.rootful.conf.d/zz-stowage.conf"));
    await add();
    assertEquals(
      await own(),
      `[storage.options]\nadditionalimagestores = ["${STORE}","/usr/lib/other"]\n`,
    );
    assertStringIncludes(await conf(), list);
    await add("/srv");
    assertStringIncludes(await own(), `= ["/srv","${STORE}","/usr/lib/other"]`);
    await write("etc/containers/storage.conf.d/zzz.conf", '[storage]\ndriver = "vfs"\n');
    await assertRejects(() => add(), StageError, 'storage.conf.d/zzz.conf has driver "vfs"');
    await write(
      "etc/containers/storage.conf.d/zzz.conf",
      list.replace(STORE, "/a").replace(/^/, "[storage.options]\n"),
    );
    await assertRejects(() => add(), StageError, "zzz.conf says which storages there are");
  });

  const refused: Record<string, readonly [text: string, message: string]> = {
    "is no TOML": ["[storage\n", "is not as containers-storage.conf(5) has it"],
    "has another type": ["[storage.options]\nadditionalimagestores = 1\n", "is not as containers-"],
    "has its options in one line": ["[storage]\noptions = { size = '1' }\n", "cannot add to"],
    "has the list elsewhere, too": [
      '[other]\nadditionalimagestores = ["/x"]\n[storage.options]\nadditionalimagestores = ["/y"]\n',
      "cannot add to",
    ],
    "has another driver": [
      '[storage]\ndriver = "btrfs"\n',
      'has driver "btrfs", and not "overlay"',
    ],
  };
  it("asks for no driver that install does not have", async () => {
    const hintOf = async (driver: string) => {
      await write(CONF, `[storage]\ndriver = "${driver}"\n`);
      return (await assertRejects(() => add(), StageError)).hint ?? "";
    };
    assertStringIncludes(await hintOf("vfs"), 'set driver of its destination to "vfs"');
    assertStringIncludes(await hintOf("btrfs"), "leave additionalImageStore out");
  });

  for (const [what, [text, message]] of Object.entries(refused)) {
    it(`leaves one as it is that ${what}`, async () => {
      await write(CONF, text);
      const error = await assertRejects(() => add(), StageError, message);
      assertEquals([error.item, await conf()], ["os", text]);
    });
  }

  for (
    const target of ["/usr/lib/vendor/storage.conf", "../../../../usr/lib/vendor/storage.conf"]
  ) {
    it(`writes in the tree where a link leads that leads nowhere: ${target}`, async () => {
      await Deno.mkdir(dir.join("tree/etc/containers"), { recursive: true });
      await Deno.symlink(target, dir.join("tree", CONF));
      await addImageStore(dir.join("tree"), STORE, "overlay", "os");
      assertEquals(await Deno.readLink(dir.join("tree", CONF)), target);
      assertStringIncludes(
        await Deno.readTextFile(dir.join("tree/usr/lib/vendor/storage.conf")),
        `additionalimagestores = ["${STORE}"]`,
      );
      assertEquals(await listTree(dir.path).then(([first]) => first), "tree");
    });
  }

  it("follows links inside the tree only", async () => {
    await Deno.mkdir(dir.join("tree"));
    await Deno.symlink(dir.join("outside"), dir.join("tree/etc"));
    await addImageStore(dir.join("tree"), STORE, "overlay", "os");
    await assertRejects(() => Deno.lstat(dir.join("outside")), Deno.errors.NotFound);
    assertStringIncludes(
      await Deno.readTextFile(join(dir.join("tree"), dir.path, "outside/containers/storage.conf")),
      STORE,
    );
  });
});

describe("an additional image store", () => {
  for (const driver of ["overlay", "vfs"] as const) {
    it(`serves podman from a read-only file system: ${driver}`, async () => {
      await using registry = await startRegistry();
      const layers = [await busyboxLayer(), await nginxLikeLayer()];
      const web = await pushImage(registry, "apps/web:1", { layers });
      await write("rootfs/etc/hostname", "edge\n");
      const build = await mustBuild({
        sources: { web: docker(web.reference, { tlsVerify: false }) },
        inputs: { rootfs: tree("rootfs"), apps: images({ web: "localhost/web:1" }) },
        stages: {
          base: copyTree({ inputs: ["rootfs"] }),
          os: install({
            ...{ inputs: ["apps"], on: "base", additionalImageStore: true },
            destination: { type: "containers-storage", path: STORE, driver },
          }),
        },
      }, { root: dir.path, store: dir.join("store") });
      const os = treeOf(build, "os");
      assertEquals(await Deno.readTextFile(join(os, "etc/hostname")), "edge\n");

      const store = dir.join("mounted");
      await Deno.mkdir(store);
      await run("mount", ["--bind", join(os, STORE), store]);
      await run("mount", ["-o", "remount,bind,ro", store]);
      // As on the machine that the tree is for, but for where its root is.
      const settings = (await Deno.readTextFile(join(os, CONF)))
        .replace(STORE, store)
        .replace("/run/", `${dir.path}/run/`)
        .replace("/var/", `${dir.path}/var/`);
      await write("storage.conf", settings);
      const podman = (...args: string[]) =>
        run("podman", ["--tmpdir", dir.join("tmp"), ...args], {
          env: { CONTAINERS_STORAGE_CONF: dir.join("storage.conf") },
        });
      const listed = await podman("images", "--no-trunc", "--format", "{{.Id}} {{.ReadOnly}}");
      assertEquals(listed.trim(), `${web.id.replace("sha256:", "")} true`);
      await podman("create", "--name=web", "--network=none", "localhost/web:1", "true");
      const mounted = (await podman("mount", "web")).trim();
      const page = await Deno.readTextFile(join(mounted, "usr/share/nginx/html/index.html"));
      assertStringIncludes(page, "Welcome to nginx");
    });
  }
});
