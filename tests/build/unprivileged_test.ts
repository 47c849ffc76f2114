import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  copyTree,
  docker,
  exec,
  images,
  install,
  ociArchive,
  output,
  tree,
  type TreeOptions,
  unpack,
} from "@stowage/stowage";
import { cleanEnv, jsonLines, type Said, STOWAGE, writeConfig } from "../cli/cli.ts";
import { fixture } from "../support/fixture.ts";
import { denoEnv, fileLayer, nginxLikeLayer, pushImage, run } from "../support/mod.ts";
import { assertClean, listTree } from "./fixture.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

const { dir, registry } = await fixture({
  files: { "home/files/motd": "hello\n" },
  registry: true,
});
const web = await pushImage(registry, "apps/web:1", { layers: [await nginxLikeLayer()] });
const layer = await fileLayer({ "usr": { dir: true, mode: 0o555 }, "usr/motd": "hello\n" });
const plain = await pushImage(registry, "apps/plain:1", { layers: [layer] });
await Deno.chmod(dir.path, 0o755);

/** Builds as `nobody`, who has a folder for what lives as long as a session. */
function buildAsNobody(config: Config): Promise<Said> {
  const env = { XDG_RUNTIME_DIR: dir.join("home") };
  return runAsNobody(config, ["build", "--json", "--out", "out"], env);
}

/**
 * Runs stowage as `nobody`, who sees this checkout and Deno's folder in places that are open to all,
 * and may not look into `/run/containers`.
 */
async function runAsNobody(
  config: Config,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Said> {
  await Deno.writeTextFile(dir.join("home/images.config.json"), JSON.stringify(config));
  await run("chown", ["-R", "65534:65534", dir.join("home")]);
  for (const folder of ["deno", "checkout"]) {
    await Deno.mkdir(dir.join(folder), { recursive: true });
  }
  const { denoDir } = JSON.parse(await run(Deno.execPath(), ["info", "--json"]));
  const program = `deno-${Deno.version.deno}`;
  const script = `mount --bind "$1" deno && mount --bind "$2" checkout
    mount -t tmpfs -o mode=755 tmpfs checkout/.tools && touch "checkout/.tools/$3"
    mount --bind "$4" "checkout/.tools/$3" && shift 4
    mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 700 /run/containers
    cd home && exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"`;
  return await say("unshare", [
    ...["--mount", "--propagation", "private", "sh", "-euc", script, "sh"],
    ...[denoDir, ROOT, program, Deno.execPath()],
    ...["sh", dir.join("checkout/scripts/stowage"), ...args],
  ], {
    HOME: dir.join("home"),
    TMPDIR: dir.join("home"),
    ...denoEnv(),
    DENO_DIR: dir.join("deno"),
    ...env,
  });
}

async function say(program: string, args: string[], env: Record<string, string>): Promise<Said> {
  const { code, stdout, stderr } = await new Deno.Command("timeout", {
    args: ["60", program, ...args],
    cwd: dir.path,
    env,
    clearEnv: true,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** What became of each item of a build. */
function statusOf({ stdout, stderr }: Said): Record<string, unknown> {
  assert(stdout, stderr);
  const told = jsonLines(stdout).filter(({ type }) => type === "stage" || type === "failed");
  return Object.fromEntries(told.map((event) => [event["name"], event["status"] ?? event["type"]]));
}

describe("a build by another user than root", () => {
  const app = images({ plain: "localhost/plain" });
  const config = (): Config => ({
    sources: { plain: docker(plain.reference, { tlsVerify: false }) },
    inputs: { plain: app, files: tree("files"), app: output("app") },
    stages: {
      app: ociArchive({ inputs: ["files"], filename: "app.tar" }),
      tree: copyTree({ inputs: ["files"] }),
      archive: install({
        inputs: ["app"],
        destination: { type: "oci-archive", path: "/srv/app.tar" },
      }),
      dir: install({ inputs: ["plain"], destination: { type: "dir", path: "/srv/app" } }),
      oci: install({ inputs: ["plain"], destination: { type: "oci", path: "/srv/app" } }),
      vfs: install({
        inputs: ["plain", "app"],
        destination: { type: "containers-storage", driver: "vfs" },
      }),
      push: install({ inputs: ["pushed"], destination: { type: "docker", tlsVerify: false } }),
      closed: exec({ command: ["sh", "-c", "mkdir ro && touch ro/file && chmod 555 ro"] }),
      unpacked: unpack({ inputs: ["plain"] }),
    },
  });

  it("makes what needs no other owners, and leaves nothing behind", async () => {
    const given = config();
    const inputs = { ...given.inputs, pushed: images({ plain: `${registry.host}/pushed:1` }) };
    const first = await buildAsNobody({ ...given, inputs });
    const names = Object.keys(given.stages ?? {});
    assertEquals(statusOf(first), Object.fromEntries(names.map((name) => [name, "ran"])));
    assertEquals(first.code, 0, first.stderr);
    const again = await buildAsNobody({ ...given, inputs });
    const cached = names.map((name) => [name, name === "push" ? "ran" : "cached"]);
    assertEquals(statusOf(again), Object.fromEntries(cached));
    await assertClean(dir.join("home/.stowage"));
    const left = (await listTree(dir.join("home"))).filter((path) => !path.includes("/"));
    assertEquals(left.filter((name) => name.startsWith("stowage-")), []);
    const placed = (await listTree(dir.join("home/out"))).filter((path) => !path.includes("/"));
    assertEquals(placed, [".stowage.json", ...names.filter((name) => name !== "push")].sort());
  });

  it("says what to do about files of other owners", async () => {
    await Deno.mkdir(dir.join("theirs/d"), { recursive: true });
    await Deno.writeTextFile(dir.join("theirs/d/file"), "of root");
    const theirs = (options: TreeOptions = {}) => tree("../theirs", options);
    const said = await buildAsNobody({
      sources: { web: docker(web.reference, { tlsVerify: false }) },
      inputs: {
        apps: images({ web: "localhost/web" }),
        theirs: theirs(),
        given: theirs({ owner: 0, group: 0 }),
      },
      stages: {
        theirs: ociArchive({ inputs: ["theirs"], filename: "theirs.tar" }),
        given: copyTree({ inputs: ["given"] }),
        os: install({ inputs: ["apps"], destination: { type: "containers-storage" } }),
        unpacked: unpack({ inputs: ["apps"] }),
        closed: exec({
          command: [
            "sh",
            "-c",
            `for d in "$PWD" "$HOME"; do mkdir "$d/a"; touch "$d/a/b";
            chmod 555 "$d/a"; done; exit 1`,
          ],
        }),
        look: exec({
          inputs: ["apps"],
          command: ["sh", "-c", 'touch "$STOWAGE_INPUT_APPS/new"'],
        }),
      },
    });
    assertEquals([said.code, statusOf(said)], [1, {
      os: "failed",
      unpacked: "failed",
      closed: "failed",
      look: "failed",
      given: "ran",
      theirs: "failed",
    }]);
    assertStringIncludes(
      said.stdout,
      "belongs to another user or group, and this user cannot keep that",
    );
    assertStringIncludes(said.stdout, "run it as root, or install into an oci-archive");
    const why = "belongs to 101:101, and only root makes files of others";
    assertStringIncludes(said.stdout, why);
    assertStringIncludes(said.stdout, "Read-only file system");
    await assertClean(dir.join("home/.stowage"));
  });
});

describe("a user that may not look for credentials where skopeo does", () => {
  it("is told what to do, by the error and by doctor", async () => {
    const config = { sources: { web: docker(web.reference, { tlsVerify: false }) } };
    const fetched = await runAsNobody(config, ["fetch"]);
    assertEquals(fetched.code, 1);
    assertStringIncludes(
      fetched.stderr,
      "→ this user may not look for credentials there: set XDG_",
    );
    const found = await runAsNobody(config, ["doctor"]);
    assertEquals(found.code, 1);
    const said = "bad      credentials  this user may not look for /run/containers/65534/auth.json";
    assertStringIncludes(found.stdout, said);
    const env = { XDG_RUNTIME_DIR: dir.join("home") };
    const open = await runAsNobody(config, ["doctor"], env);
    assertStringIncludes(open.stdout, `none at ${dir.join("home")}/containers/auth.json`);
    assertEquals((await runAsNobody(config, ["fetch"], env)).code, 0);
  });
});

describe("a build where nothing can be mounted", () => {
  it("gives copies to programs that could change their inputs", async () => {
    const bin = dir.join("bin");
    await Deno.mkdir(bin);
    const script = 'IFS=:; for d in $PATH; do ln -s "$d"/* "$0" 2>/dev/null; done; rm "$0/unshare"';
    await run("sh", ["-c", script, bin]);
    const spoil = 'rm "$STOWAGE_INPUT_APPS"/* && echo x >"$STOWAGE_INPUT_FILES/motd" && touch done';
    const config: Config = {
      sources: { web: docker(web.reference, { tlsVerify: false }) },
      inputs: { apps: images({ web: "localhost/web" }), files: tree("home/files") },
      stages: {
        spoil: exec({ inputs: ["apps", "files"], command: ["sh", "-c", spoil] }),
        os: install({
          ...{ inputs: ["apps"], on: "spoil" },
          destination: { type: "containers-storage", driver: "vfs" },
        }),
      },
    };
    await writeConfig(dir, config);
    const build = () => say("sh", [STOWAGE, "build", "--json"], { ...cleanEnv(), PATH: bin });
    const said = await build();
    assertEquals(statusOf(said), { spoil: "ran", os: "ran" }, said.stdout + said.stderr);
    assertEquals(await Deno.readTextFile(dir.join("home/files/motd")), "hello\n");
    const image = join(dir.path, ".stowage/sources/org.osbuild.containers", web.id, "image");
    assertEquals(await Deno.readTextFile(join(image, "manifest.json")), web.manifest);
    assertEquals(statusOf(await build()), { spoil: "cached", os: "cached" });
    await assertClean(dir.join(".stowage"));
  });
});
