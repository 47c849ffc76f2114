import { assert, assertEquals, assertRejects } from "@std/assert";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { type OciArchiveOptions, parsePlatform } from "../../config/mod.ts";
import { InterruptedError, StageError } from "../../src/errors/mod.ts";
import { ociArchive } from "../../src/stages/run/oci_archive.ts";
import type { GivenInput, StageContext } from "../../src/stages/stage.ts";
import { fixture } from "../support/fixture.ts";
import {
  containerStorage,
  digestOf,
  imagesInput,
  run,
  skopeo,
  stageContext,
  type StageContextOptions,
  type TestStage,
  treeInput,
} from "../support/mod.ts";

const FILENAME = "app.oci.tar";

const { dir } = await fixture();

/** Makes folders by a shell script that runs in each of them. */
async function makeTrees(
  scripts: Readonly<Record<string, string>>,
): Promise<GivenInput[]> {
  const inputs: GivenInput[] = [];
  for (const [name, script] of Object.entries(scripts)) {
    await Deno.mkdir(dir.join(name));
    await run("sh", ["-euc", script], { cwd: dir.join(name) });
    inputs.push(treeInput(name, dir.join(name)));
  }
  return inputs;
}

/** Runs the stage on a context. */
async function archive(
  context: StageContext,
  options: Partial<OciArchiveOptions> = {},
): Promise<string> {
  const inputs = context.inputs.map(({ name }) => name);
  await ociArchive({ type: "oci-archive", inputs, filename: FILENAME, ...options }, context);
  return join(context.tree, options.filename ?? FILENAME);
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** What an archive says, its blobs verified. */
interface Layout {
  readonly index: {
    readonly manifests: readonly (Descriptor & { readonly annotations?: object })[];
  };
  readonly manifest: {
    readonly config: Descriptor;
    readonly layers: readonly Descriptor[];
    readonly annotations?: object;
  };
  readonly config: {
    readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
    readonly [key: string]: unknown;
  };
  blob(digest: string): string;
}

async function unpackLayout(path: string, dir: string): Promise<Layout> {
  await Deno.mkdir(dir);
  await run("tar", ["-xf", path, "-C", dir]);
  const blob = (digest: string) => join(dir, "blobs", digest.replace(":", "/"));
  const read = async ({ digest, size }: Descriptor) => {
    const bytes = await Deno.readFile(blob(digest));
    assertEquals([await digestOf(bytes), bytes.length], [digest, size]);
    return bytes;
  };
  const parse = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));
  const index = parse(await Deno.readFile(join(dir, "index.json")));
  const manifest = parse(await read(index.manifests[0]));
  for (const layer of manifest.layers) await read(layer);
  const config = parse(await read(manifest.config));
  return { index, manifest, config, blob };
}

/** Runs the stage, and unpacks the image as a runtime would. */
async function unpackImage(
  stage: TestStage,
  options: Partial<OciArchiveOptions> = {},
): Promise<string> {
  const path = await archive(stage, options);
  await skopeo("copy", "--quiet", `oci-archive:${path}`, `oci:${stage.dir.join("oci")}:image`);
  await run("umoci", ["unpack", "--image", `${stage.dir.join("oci")}:image`, stage.dir.join("b")]);
  return stage.dir.join("b/rootfs");
}

describe("ociArchive()", () => {
  it("makes layers of several gzip members, which skopeo, umoci and podman read", async () => {
    const inputs = await makeTrees({ large: "head -c 9000000 /dev/urandom >large" });
    await using stage = await stageContext({ inputs });
    const rootfs = await unpackImage(stage, { level: 1 });
    await run("cmp", [`${rootfs}/large`, dir.join("large/large")]);
    await using storage = await containerStorage();
    await storage.podman("load", "--quiet", "--input", join(stage.tree, FILENAME));
  });

  it("has a layer once that two inputs give", async () => {
    const random = "head -c 3000000 /dev/zero | openssl enc -aes-128-ctr -pass pass:x -nosalt";
    const inputs = await makeTrees({
      one: `${random} 2>/dev/null >same`,
      two: `${random} 2>/dev/null >same`,
    });
    await using stage = await stageContext({ inputs });
    const path = await archive(stage, { compression: "zstd" });
    const { index, manifest: { config, layers } } = await unpackLayout(path, dir.join("twice"));
    assertEquals(layers[0], layers[1]);
    const blobs = [layers[0], config, index.manifests[0]];
    assertEquals(
      (await run("tar", ["-tf", path])).split("\n"),
      [
        ...["blobs/", "blobs/sha256/"],
        ...blobs.map((blob) => `blobs/${blob?.digest.replace(":", "/")}`),
        ...["index.json", "oci-layout", ""],
      ],
    );
    assert((await Deno.stat(path)).size < 3_100_000);
  });

  it("makes an image that has what the stage says", async () => {
    const inputs = await makeTrees({ app: "echo app >app" });
    await using stage = await stageContext({ inputs, epoch: 1_700_000_000 });
    const path = await archive(stage, {
      platform: "linux/arm/v7",
      name: "quay.io/acme/app:1.4",
      config: {
        WorkingDir: "/srv",
        Cmd: ["--verbose"],
        Entrypoint: ["/app"],
        Env: ["B=2", "A=1"],
        ExposedPorts: ["443/tcp", "80/tcp"],
        User: "12:34",
        Labels: { b: "2", a: "1" },
        StopSignal: "SIGINT",
        Volumes: ["/var/lib/app"],
      },
      annotations: { "acme.b": "2", "acme.a": "1" },
    });
    const { index, manifest, config } = await unpackLayout(path, dir.join("layout"));
    const created = "2023-11-14T22:13:20Z";
    assertEquals(config, {
      created,
      architecture: "arm",
      os: "linux",
      variant: "v7",
      config: {
        Cmd: ["--verbose"],
        Entrypoint: ["/app"],
        Env: ["B=2", "A=1"],
        ExposedPorts: { "443/tcp": {}, "80/tcp": {} },
        User: "12:34",
        Labels: { a: "1", b: "2" },
        StopSignal: "SIGINT",
        Volumes: { "/var/lib/app": {} },
        WorkingDir: "/srv",
      },
      rootfs: { type: "layers", diff_ids: config.rootfs.diff_ids },
      history: [{ created, created_by: "stowage oci-archive" }],
    });
    assertEquals(manifest.annotations, { "acme.a": "1", "acme.b": "2" });
    assertEquals(index.manifests[0]?.annotations, {
      "io.containerd.image.name": "quay.io/acme/app:1.4",
      "org.opencontainers.image.ref.name": "quay.io/acme/app:1.4",
    });
    const inspect = async (reference: string) => JSON.parse(await skopeo("inspect", reference));
    const image = await inspect(`oci-archive:${path}`);
    assertEquals(image, await inspect(`oci-archive:${path}:quay.io/acme/app:1.4`));
    assertEquals([image.Created, image.Architecture, image.Os], [created, "arm", "linux"]);
    assertEquals(image.Layers, manifest.layers.map(({ digest }) => digest));
    const { mode, mtime } = await Deno.stat(path);
    assertEquals([(mode ?? 0) & 0o7777, mtime?.toISOString()], [0o644, "2023-11-14T22:13:20.000Z"]);
  });

  it("is for this machine, has no name, and runs a shell, where the stage does not say", async () => {
    const inputs = await makeTrees({ app: "echo app >app" });
    await using stage = await stageContext({ inputs, platform: parsePlatform("ppc64el") });
    const { index, config, manifest } = await unpackLayout(await archive(stage), dir.join("out"));
    assertEquals([config.os, config.architecture], ["linux", "ppc64le"]);
    // As osbuild has it.
    assertEquals(config.config, {
      Cmd: ["sh"],
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    });
    assertEquals(config.created, "1970-01-01T00:00:00Z");
    assertEquals(index.manifests[0]?.annotations, undefined);
    assertEquals(manifest.annotations, undefined);
  });

  const compressions = { gzip: ["zcat"], zstd: ["zstd", "-dcq"], none: ["cat"] } as const;
  for (const compression of ["gzip", "zstd", "none"] as const) {
    it(`makes a layer of each input, in order, with ${compression}`, async () => {
      const inputs = await makeTrees({
        zulu: "echo 0 >who; head -c 3000000 /dev/urandom >large",
        alpha: "echo 1 >who",
        mike: ": ",
      });
      await using stage = await stageContext({ inputs });
      const { manifest, config, blob } = await unpackLayout(
        await archive(stage, { compression, level: 1 }),
        dir.join("layout"),
      );
      const suffix = compression === "none" ? "" : `+${compression}`;
      const files: string[] = [];
      for (const [index, { mediaType, digest }] of manifest.layers.entries()) {
        assertEquals(mediaType, `application/vnd.oci.image.layer.v1.tar${suffix}`);
        const [program, ...args] = compressions[compression];
        const plain = dir.join(`${index}.tar`);
        await run("sh", ["-c", `"$@" >"$0"`, plain, program, ...args, blob(digest)]);
        assertEquals(await digestOf(await Deno.readFile(plain)), config.rootfs.diff_ids[index]);
        files.push(await run("tar", ["-tf", plain]));
      }
      assertEquals(files, ["large\nwho\n", "who\n", ""]);
      assertEquals(
        config.history,
        Array(3).fill({
          created: "1970-01-01T00:00:00Z",
          created_by: "stowage oci-archive",
        }),
      );
    });

    it(`makes the same bytes each time with ${compression}`, async () => {
      const [one, two] = await makeTrees({
        one: "mkdir a b; echo 1 >a/x; echo 2 >b/y; seq 200000 >c; touch -d 2001-02-03 a/x",
        two: "seq 200000 >c; mkdir b a; echo 2 >b/y; echo 1 >a/x; touch -d 2011-12-13 b a/x",
      });
      assert(one && two);
      const digests: string[] = [];
      for (const { path } of [one, two] as readonly { path: string }[]) {
        await using stage = await stageContext({ inputs: [treeInput("app", path)], epoch: 99 });
        const umask = Deno.umask(digests.length ? 0o077 : 0o022);
        const labels = digests.length ? { a: "1", b: "2" } : { b: "2", a: "1" };
        try {
          const file = await archive(stage, { compression, config: { Labels: labels } });
          digests.push(await digestOf(await Deno.readFile(file)));
        } finally {
          Deno.umask(umask);
        }
      }
      assertEquals(digests[0], digests[1]);
    });

    it(`is loaded by podman, with its name, with ${compression}`, async () => {
      await using storage = await containerStorage();
      const inputs = await makeTrees({
        base: "mkdir d; echo 1 >d/old; echo 1 >gone; ln d/old hard; chown 12:34 hard",
        upper: ": >.wh.gone; mkdir d; echo 2 >d/new",
      });
      await using stage = await stageContext({ inputs });
      const path = await archive(stage, { compression, name: "acme/app:2", whiteouts: true });
      await storage.podman("load", "--quiet", "--input", path);
      const root = (await storage.podman("image", "mount", "docker.io/acme/app:2")).trim();
      const found = await run("find", [".", "-type", "f", "-printf", "%P %n %U:%G\n"], {
        cwd: root,
      });
      const files = found.trim().split("\n").toSorted();
      assertEquals(files, ["d/new 1 0:0", "d/old 2 12:34", "hard 2 12:34"]);
    });
  }

  it("keeps all that a tree has in the image", async () => {
    const long = "0123456789".repeat(20);
    const inputs = await makeTrees({
      base: `echo 1 >gone; mkdir opaque; echo 1 >opaque/old`,
      app: `
        echo tool >tool; chown 12:34 tool; chmod 4751 tool; ln tool hard; ln -s tool symlink
        setfattr -n user.mine -v value tool
        setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 tool
        setfacl -m u:4242:r tool
        mkdir -m 1777 tmp; mknod null c 1 3; mkfifo fifo
        mkdir -p ${long}/${long}; echo long >${long}/${long}/${long}
        : >-dash; : >"$(printf 'new\\nline')"; : >"$(printf 'latin\\351')"
        truncate -s 1M holes; printf x | dd of=holes bs=1 seek=500000 conv=notrunc status=none
        : >.wh.gone; mkdir opaque; : >opaque/.wh..wh..opq; echo 2 >opaque/new`,
    });
    await using stage = await stageContext({ inputs });
    const root = await unpackImage(stage, { whiteouts: true });
    const list = await run("find", [".", "-mindepth", "1", "-printf", "%P %M %U:%G %n %s\n"], {
      cwd: root,
      env: { LC_ALL: "C" },
    });
    const lines = list.split("\n").filter((line) => line && !/^\S+ d/.test(line));
    assertEquals(
      lines.toSorted(),
      [
        "-dash -rw-r--r-- 0:0 1 0",
        `${long}/${long}/${long} -rw-r--r-- 0:0 1 5`,
        "fifo prw-r--r-- 0:0 1 0",
        "hard -rwsr-x--x 12:34 2 5",
        "holes -rw-r--r-- 0:0 1 1048576",
        "latin\uFFFD -rw-r--r-- 0:0 1 0",
        "line -rw-r--r-- 0:0 1 0",
        "new",
        "null crw-r--r-- 0:0 1 0",
        "opaque/new -rw-r--r-- 0:0 1 2",
        "symlink lrwxrwxrwx 0:0 1 4",
        "tool -rwsr-x--x 12:34 2 5",
      ].toSorted(),
    );
    assertEquals(
      await run("stat", ["-c", "%a %t:%T", "tmp", "null"], { cwd: root }),
      [
        "1777 0:0\n644 1:3\n",
      ].join(),
    );
    const attributes = await run("getfattr", ["-d", "-m", "user|capability", "tool"], {
      cwd: root,
    });
    assert(attributes.includes('user.mine="value"'), attributes);
    assert(attributes.includes("security.capability=0sAQAAAgAgAAAAAAAAAAAAAAAAAAA="), attributes);
    assert((await run("getfacl", ["-n", "tool"], { cwd: root })).includes("user:4242:r--"));
    const [from, to] = [dir.join("app/holes"), join(root, "holes")];
    assertEquals(
      await digestOf(await Deno.readFile(to)),
      await digestOf(await Deno.readFile(from)),
    );
  });

  it("refuses what a layer would have another meaning for", async () => {
    const refuse = async (
      trees: Readonly<Record<string, string>>,
      more: { readonly whiteouts?: boolean } = {},
    ): Promise<string> => {
      await Deno.remove(dir.join("trees"), { recursive: true }).catch(() => {});
      await using stage = await stageContext({ inputs: await makeTrees(trees) });
      const { message } = await assertRejects(() => archive(stage, more), StageError);
      assertEquals(await Array.fromAsync(Deno.readDir(stage.tree)), []);
      return message.replace('Cannot run stage "stage": ', "");
    };
    assertEquals(
      await refuse({ w1: "mkdir etc; : >etc/.wh.notes" }),
      'input "w1" has "etc/.wh.notes": in a layer, a name that begins with ".wh." deletes a file',
    );
    for (const name of ["etc/.wh.", "etc/.wh..", "etc/.wh..."]) {
      const input = `wn${name.length}`;
      assertEquals(
        await refuse({ [input]: `mkdir etc; : >${name}` }, { whiteouts: true }),
        `input "${input}" has "${name}", which names nothing: engines delete the folder then`,
      );
    }
    const odd = { w2: "mkdir -p etc/.wh.a/b", w3: "mkdir etc; ln -s b etc/.wh.a" };
    for (const [name, script] of Object.entries(odd)) {
      assertEquals(
        await refuse({ [name]: script }, { whiteouts: true }),
        `input "${name}" has "etc/.wh.a", which is no file: a file of such a name deletes another`,
      );
    }
    const storage = (path: string) =>
      `has the storage of an engine, with deleted files at "${path}": as a layer, they would be there again`;
    assertEquals(
      await refuse({ s1: "mkdir diff; mknod diff/gone c 0 0" }),
      `input "s1" ${storage("diff/gone")}`,
    );
    for (const name of ["trusted.overlay", "user.overlay", "user.fuseoverlayfs"]) {
      const script = `mkdir -p diff/opq; setfattr -n ${name}.opaque -v y diff/opq`;
      assertEquals(await refuse({ [name]: script }), `input "${name}" ${storage("diff/opq")}`);
    }
    assertEquals(
      await refuse({ l1: "mkdir -p usr/lib; ln -s usr/lib lib", l2: "mkdir lib; : >lib/x" }),
      'input "l2" has a folder where input "l1" has a link: "lib" would hide what is there',
    );
    assertEquals(
      await refuse({ f1: "mkdir -p etc/ssl", f2: "mkdir etc; : >etc/ssl" }),
      'input "f2" has a file where input "f1" has a folder: "etc/ssl" would hide what is there',
    );
    assertEquals(
      await refuse({ g1: "mkdir etc; : >etc/ssl", g2: "mkdir -p etc/ssl" }),
      'input "g2" has a folder where input "g1" has a file: "etc/ssl" would hide what is there',
    );
    assertEquals(
      await refuse({
        h1: "mkdir -p usr/lib; ln -s /usr/./lib lib; ln -s ../lib usr/lib64; ln -s usr/lib64 lib64",
        h2: ": >lib64",
      }),
      'input "h2" has a file where input "h1" has a link: "lib64" would hide what is there',
    );
  });

  it("lets a layer have other files, and what a whiteout has made room for", async () => {
    const inputs = await makeTrees({
      one: ": >file; ln -s file link; ln -s none none; mkdir -p a/b c; : >a/b/x; : >c/x",
      two: "ln -s none file; : >link; : >none; : >.wh.a; : >a; mkdir -p c/x; : >c/.wh..wh..opq",
    });
    await using stage = await stageContext({ inputs });
    await archive(stage, { whiteouts: true });
    assertEquals((await Array.fromAsync(Deno.readDir(stage.tree))).length, 1);
  });

  it("tells what a layer cannot have", async () => {
    const attributes = ["security.selinux", "trusted.x", "user.a=b", "user.kept"];
    const set = attributes.map((name) => `setfattr -n ${name} -v x $file`).join("; ");
    const inputs = await makeTrees({
      app: `for file in 1 2 3 4 5; do : >$file; ${set}; setfattr -n user.empty $file; done`,
    });
    const socket = Deno.listen({ transport: "unix", path: dir.join("app/so") });
    await using stage = await stageContext({ inputs });
    await archive(stage);
    socket.close();
    const files = '"1", "2", "3" and 2 more';
    assertEquals(
      stage.lines.filter((line) => line.includes("leaves out")).toSorted(),
      [
        '"stage" leaves out sockets of input "app", which no layer can have: "so"',
        ...["security.selinux", "trusted.x", "user.a=b", "user.empty"].map((name) =>
          `"stage" leaves out the attribute "${name}" of input "app", which no layer can have: ${files}`
        ),
      ],
    );
  });

  it("puts the archive into the tree that it continues, over what is there", async () => {
    const inputs = await makeTrees({ app: "echo app >app" });
    await using stage = await stageContext({ inputs });
    await Deno.writeTextFile(join(stage.tree, "kept"), "kept");
    await Deno.writeTextFile(dir.join("outside"), "kept");
    await Deno.symlink(dir.join("outside"), join(stage.tree, FILENAME));
    const path = await archive(stage);
    assertEquals((await Deno.lstat(path)).isFile, true);
    assertEquals((await Deno.stat(path)).mtime, new Date(0));
    assertEquals(await Deno.readTextFile(dir.join("outside")), "kept");
    const names = await Array.fromAsync(Deno.readDir(stage.tree), ({ name }) => name);
    assertEquals(names.toSorted(), [FILENAME, "kept"]);
    await skopeo("inspect", `oci-archive:${path}`);
  });

  it("refuses what it cannot make an image of", async () => {
    const [app] = await makeTrees({ app: "echo app >app" });
    assert(app);
    const fail = async (options: StageContextOptions, name = FILENAME): Promise<string> => {
      await using stage = await stageContext(options);
      await Deno.mkdir(join(stage.tree, "folder"));
      const error = await assertRejects(() => archive(stage, { filename: name }), StageError);
      const left = await Array.fromAsync(Deno.readDir(stage.tree), ({ name }) => name);
      assertEquals(left, ["folder"]);
      return error.message;
    };
    const prefix = 'Cannot run stage "stage": ';
    assertEquals(
      await fail({ inputs: [app, imagesInput("apps", [])] }),
      `${prefix}input "apps" gives images, not a tree`,
    );
    assertEquals(
      await fail({ inputs: [app] }, "folder"),
      `${prefix}the tree has a folder called "folder" already`,
    );
    const missing = await fail({ inputs: [app, treeInput("none", dir.join("none"))] });
    const [first, second] = missing.split("\n");
    assertEquals(first, `${prefix}tar exited with 2 at the layer of input "none"`);
    assert(second?.includes("No such file or directory"), missing);
  });

  it("leaves nothing in the tree when it is interrupted", async () => {
    const inputs = await makeTrees({
      one: "echo 1 >one",
      two: "head -c 8000000 /dev/urandom >two",
    });
    for (const lines of [0, 1, 2, 3]) {
      const controller = new AbortController();
      await using stage = await stageContext({ inputs, signal: controller.signal });
      let left = lines;
      if (left === 0) controller.abort();
      const log = () => void (--left === 0 && controller.abort());
      await assertRejects(() => archive({ ...stage, log }), InterruptedError);
      assertEquals(await Array.fromAsync(Deno.readDir(stage.tree)), []);
      assertEquals(await exists(join(stage.tree, FILENAME)), false);
    }
  });
});
