import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import {
  BundleError,
  type Config,
  ContentError,
  fromDir,
  inspectBundle,
  InterruptedError,
  reject,
  RunError,
  type RunEvent,
  signedBy,
  stowage,
  ToolError,
  UsageError,
  verifyBundle,
} from "@stowage/stowage";
import { cleanEnv, jsonLines, STOWAGE, stowage as cli, writeConfig } from "../cli/cli.ts";
import { audit } from "../faults/audit.ts";
import { registriesOf, sign } from "../sources/trust_fixture.ts";
import {
  containerStorage,
  copyTo,
  digestOf,
  fileLayer,
  makeSigner,
  pushImage,
  pushIndex,
  run,
  skopeo,
  startRegistry,
  tempDir,
} from "../support/mod.ts";
import { cargoFixture } from "./fixture.ts";
import { withoutTime } from "../support/without_time.ts";

const cargo = await cargoFixture();
const { dir, at, registry, base, tool, web, index, from, served } = cargo;
const SOURCES = { web: from("library/web:1", { index: true }), tool: from("acme/tool:1") };
const open = (sources: Config["sources"] = SOURCES, options = {}) => cargo.open(sources, options);
/** The other side: another store, and no network. */
const there = (sources: Config["sources"] = SOURCES, options = {}) =>
  open(sources, { store: dir.join("there"), offline: true, ...options });
const hash = async (path: string) => (await run("sha256sum", [path])).slice(0, 64);
const names = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();

describe("a bundle", () => {
  it("carries images and indexes to a store without network, and on to its registry", async () => {
    const { lock } = await open().makeLock();
    const here = open(SOURCES, { lock });
    const site = dir.join("site.tar");
    const events: RunEvent[] = [];
    const made = await here.createBundle(site, {
      onEvent: (event) => events.push(withoutTime(event)),
    });
    assertEquals(made.pieces, [site]);
    assertEquals([made.sources.length, made.leftOut, made.signature], [2, 0, undefined]);
    assertEquals((await Deno.stat(site)).size, made.bytes);
    const carrying = events.findLast(({ type }) => type === "carrying");
    assert(carrying?.type === "carrying" && carrying.bytes === made.bytes);

    const far = there(SOURCES, { lock });
    const loaded = await far.loadBundle(site);
    assertEquals(loaded.lock, lock);
    assertEquals(loaded.images.map(({ status }) => status), Array(5).fill("fetched"));
    assertEquals(loaded.sources.map(({ name, digest }) => [name, digest]), [
      ["web", index.digest],
      ["tool", tool.digest],
    ]);
    const { images } = await far.fetch();
    assertEquals(images.map(({ id, status }) => [id, status]), [
      [web[0]?.id, "cached"],
      [tool.id, "cached"],
    ]);
    await using target = await startRegistry();
    const pushed = await far.push({ to: target.host, tlsVerify: false });
    assertEquals(pushed.images.map(({ missing }) => missing), [undefined, undefined]);
    assertEquals(await served(target, "library/web:1"), index.manifest);
    assertEquals(await served(target, "acme/tool:1"), tool.manifest);
    await using storage = await containerStorage();
    for (const digest of [index.digest, tool.digest]) {
      const path = digest === tool.digest ? "acme/tool" : "library/web";
      await storage.podman("pull", "-q", "--tls-verify=false", `${target.host}/${path}@${digest}`);
    }
    assertEquals((await far.verify()).findings, []);

    const again = await far.loadBundle(site);
    assertEquals(again.images.map(({ status }) => status), Array(5).fill("cached"));
    // Nor is a tag looked up that nothing pins.
    assertEquals((await there().fetch()).images.map(({ id }) => id), [web[0]?.id, tool.id]);
  });

  it("has the same bytes at any time, and is an OCI layout that skopeo reads", async () => {
    const [first, second] = [dir.join("a/site.tar"), dir.join("b/site.tar")];
    await Deno.mkdir(dir.join("a"));
    await Deno.mkdir(dir.join("b"));
    await open().createBundle(first);
    // Another store, which was filled in another order.
    const other = { store: dir.join("other") };
    await open(SOURCES, other).fetch({ names: ["tool"] });
    await open(SOURCES, other).createBundle(second);
    assertEquals(await hash(first), await hash(second));
    assertEquals(await names(dir.join("a")), ["site.tar", "site.tar.sums.json"]);
    const raw = async (name: string) =>
      await skopeo("inspect", "--raw", `oci-archive:${first}:${name}`);
    assertEquals(await raw("web"), index.manifest);
    assertEquals(await raw("tool"), tool.manifest);
    await skopeo("copy", "-q", `oci-archive:${first}:tool`, `dir:${dir.join("tool")}`);
    assertEquals(await Deno.readTextFile(dir.join("tool/manifest.json")), tool.manifest);
    const all = `dir:${dir.join("web")}`;
    await skopeo("copy", "-q", "--all", "--preserve-digests", `oci-archive:${first}:web`, all);
    const listed = (await run("tar", ["--list", "--verbose", "--file", first])).trim().split("\n");
    assert(
      listed.every((line) => /^-rw-r--r-- 0\/0 +\d+ 1970-01-01 /.test(line)),
      listed.join("\n"),
    );
    const { pieces } = JSON.parse(await Deno.readTextFile(`${first}.sums.json`));
    assertEquals(pieces[0].digest, `sha256:${await hash(first)}`);
  });

  it("says nothing of the machine that made it", async () => {
    const folder = dir.join("secret-place/folder");
    await Deno.mkdir(folder, { recursive: true });
    await copyTo(registry, tool, `dir:${folder}`);
    const site = dir.join("site.tar");
    await open({ plain: fromDir(folder) }).createBundle(site);
    assert(!new TextDecoder().decode(await Deno.readFile(site)).includes("secret-place"));
    const { sources, images } = await inspectBundle(site);
    assertEquals(sources.map(({ name, reference }) => [name, reference]), [["plain", undefined]]);
    assertEquals(images.map(({ origins }) => origins.map(({ reference }) => reference)), [[
      "dir:plain",
    ]]);
    await there({}).loadBundle(site);
    const known = there({ plain: fromDir(folder, { digest: tool.digest }) });
    assertEquals((await known.fetch()).images.map(({ status }) => status), ["cached"]);
  });

  it("leaves out what a receipt has, and names what is missing where that is not so", async () => {
    const far = there({ old: from("acme/tool:1") });
    const whole = dir.join("whole.tar");
    await open({ old: from("acme/tool:1") }).createBundle(whole);
    await far.loadBundle(whole);
    const receipt = dir.join("receipt.json");
    const held = await far.receipt({ out: receipt });
    assertEquals(held.manifests, [tool.digest]);
    assertEquals(held.layers, tool.layers.map(({ digest }) => digest).sort());
    assertEquals(JSON.parse(await Deno.readTextFile(receipt)), held);

    const changed = await pushImage(registry, "acme/tool:2", {
      layers: [base, await fileLayer({ "etc/name": "acme/tool:1 changed" })],
    });
    const sources = { old: from("acme/tool:2") };
    const delta = dir.join("delta.tar");
    const made = await open(sources).createBundle(delta, { since: [receipt] });
    assertEquals([made.leftOut, made.leftOutBytes], [1, base.size]);
    assert(made.bytes < 10_000, `the delta has ${made.bytes} bytes`);
    assertEquals((await verifyBundle(delta)).base, [{ digest: base.digest, size: base.size }]);

    const empty = there(sources, { store: dir.join("empty") });
    const error = await assertRejects(() => empty.loadBundle(delta), BundleError);
    assertEquals([error.code, error.items], ["BUNDLE_INCOMPLETE", [base.digest]]);
    assertEquals(await empty.list(), []);
    await far.loadBundle(delta);
    const { images } = await there(sources).fetch();
    assertEquals(images.map(({ id, status }) => [id, status]), [[changed.id, "cached"]]);
    // What not all of them have, all of them get.
    const nothing = dir.join("nothing.json");
    await Deno.writeTextFile(
      nothing,
      JSON.stringify({ schema: 1, manifests: [], indexes: [], layers: [] }),
    );
    const both = await open(sources).createBundle(dir.join("both.tar"), {
      since: [receipt, nothing],
    });
    assertEquals(both.leftOut, 0);
    await assertRejects(
      () => open(sources).createBundle(delta, { since: [delta] }),
      UsageError,
      "as a receipt",
    );
  });

  it("is cut into pieces, of which a missing or a damaged one is named", async () => {
    const site = dir.join("site.tar");
    const { pieces, bytes } = await open().createBundle(site, { chunk: 2 ** 20 });
    assertEquals(pieces, [1, 2, 3, 4].map((at) => `${site}.00${at}`));
    await run("sh", ["-c", 'cat "$0".[0-9]* >"$0"', site]);
    assertEquals((await Deno.stat(site)).size, bytes);
    // Joined, alone or with the sums of its pieces; and as discs have them.
    await verifyBundle(site);
    await Deno.mkdir(dir.join("alone"));
    await Deno.rename(site, dir.join("alone/site.tar"));
    await verifyBundle(dir.join("alone/site.tar"));
    await Deno.mkdir(dir.join("disc"));
    await Deno.rename(`${site}.003`, dir.join("disc/site.tar.003"));
    const error = await assertRejects(() => there().loadBundle(`${site}.001`), BundleError);
    assertEquals([error.code, error.items], ["BUNDLE_INCOMPLETE", ["site.tar.003"]]);
    assertStringIncludes(error.message, "piece 3 of 4");
    assertEquals((await inspectBundle(`${site}.001`)).sources.length, 2);
    const named = [`${site}.001`, dir.join("disc/site.tar.003")];
    const { pieces: verified } = await verifyBundle(named);
    assertEquals(verified.length, 4);

    await flip(`${site}.002`, 500_000);
    await flip(`${site}.004`, 10);
    const wrong = await assertRejects(() => there().loadBundle(named), BundleError);
    assertEquals([wrong.code, wrong.items], ["BUNDLE_DAMAGED", ["site.tar.002", "site.tar.004"]]);
    assertEquals(await names(dir.path), [
      ...["alone", "disc", "site.tar.001", "site.tar.002", "site.tar.004", "site.tar.sums.json"],
      "store",
      "there",
    ]);
    assertEquals(await there().list(), []);
    await Deno.remove(`${site}.sums.json`);
    const bare = await assertRejects(() => verifyBundle(named), BundleError);
    assertEquals([bare.code, bare.items], ["BUNDLE_INCOMPLETE", ["site.tar.sums.json"]]);
    await flip(`${site}.002`, 500_000);

    // Made anew as one file, nothing of the old one stays.
    await open().createBundle(site, { chunk: 2 ** 20 });
    await open().createBundle(site);
    assertEquals(await names(dir.path), [
      "alone",
      "disc",
      "site.tar",
      "site.tar.sums.json",
      "store",
      "there",
    ]);
    await there().loadBundle(site);
    assertEquals((await there().fetch()).images.length, 2);
  });

  it("names what is damaged, wherever it is, and loads nothing", async () => {
    const site = dir.join("site.tar");
    await open().createBundle(site);
    const contents = Number.parseInt(await textAt(site, 124, 11), 8);
    const small = base.size - 1_000;
    const places: Readonly<Record<string, number>> = {
      "bundle.json": 100,
      "oci-layout": 512 + Math.ceil(contents / 512) * 512 + 20,
      "its end": (await Deno.stat(site)).size - 100,
      "blob": (await Deno.stat(site)).size - small,
    };
    for (const isWithSums of [true, false]) {
      for (const [place, offset] of Object.entries(places)) {
        await flip(site, offset);
        const error = await assertRejects(() => there().loadBundle(site), Error);
        assert("code" in error, `${error}`);
        const isLayer = !isWithSums && place === "blob";
        assertEquals(error.code, isLayer ? "CONTENT_MISMATCH" : "BUNDLE_DAMAGED", place);
        assertStringIncludes(error.message, isWithSums ? "site.tar" : isLayer ? "layer" : place);
        assertEquals(await exists(dir.join("there/sources/org.osbuild.containers")), isLayer);
        if (isLayer) assertEquals(await there().list(), []);
        const verified = await assertRejects(() => verifyBundle(site), BundleError);
        assertEquals(verified.code, "BUNDLE_DAMAGED", place);
        await flip(site, offset);
      }
      if (isWithSums) await Deno.remove(`${site}.sums.json`);
    }
    await there().loadBundle(site);
  });

  it("is taken for no other one than it is called", async () => {
    const site = dir.join("site.tar");
    await open().createBundle(site, { chunk: 2 ** 20 });
    await Deno.copyFile(`${site}.001`, site);
    const stale = await assertRejects(() => there().loadBundle(site), BundleError);
    assertEquals([stale.code, stale.items], ["BUNDLE_DAMAGED", ["site.tar"]]);
    await Deno.remove(site);
    await there().loadBundle(`${site}.sums.json`);
    assertEquals((await there().fetch()).images.length, 2);
    const absent = await assertRejects(() => verifyBundle(dir.join("no.tar")), BundleError);
    assertEquals(absent.code, "BUNDLE_INCOMPLETE");
    await assertRejects(() => verifyBundle([]), UsageError);
    await assertRejects(() => open().createBundle(site, { chunk: 1_000 }), UsageError, "at least");
    await assertRejects(() => open().createBundle(dir.path), UsageError, "a folder is there");
    await run("mkfifo", [dir.join("pipe")]);
    await assertRejects(() => open().createBundle(dir.join("pipe")), UsageError, "no regular file");
    const receipt = () => there().receipt({ out: dir.join("pipe") });
    await assertRejects(receipt, UsageError, "no regular file");
    await Deno.writeTextFile(dir.join("text.tar"), "x".repeat(2_000));
    await assertRejects(
      () => verifyBundle(dir.join("text.tar")),
      BundleError,
      "does not begin with",
    );
  });

  it("is refused where it does not say of an image what the image is", async () => {
    const site = dir.join("site.tar");
    await open({ tool: from("acme/tool:1") }).createBundle(site);
    // Of the same length, so that all else stays where it is; the index follows the contents.
    const change = async (find: string, replace: string, [was, is] = [find, replace]) => {
      await using other = await tempDir();
      await run("tar", ["--extract", "--file", site, "--directory", other.path]);
      const path = other.join("bundle.json");
      const text = await Deno.readTextFile(path);
      assert(text.includes(find) && find.length === replace.length, `${find} in ${text}`);
      await Deno.writeTextFile(path, text.replaceAll(find, replace));
      const digest = `sha256:${await hash(path)}`;
      const list = other.join("index.json");
      const index = (await Deno.readTextFile(list)).replaceAll(was, is);
      await Deno.writeTextFile(list, index.replace(/(bundle":")[^"]*/, `$1${digest}`));
      const bytes = await Deno.readFile(site);
      const evil = dir.join("evil.tar");
      for (const name of ["bundle.json", "index.json"]) {
        const start = offsetOf(bytes, name) + 512;
        bytes.set(await Deno.readFile(other.join(name)), start);
      }
      await Deno.writeFile(evil, bytes);
      const error = await assertRejects(() => there().loadBundle(evil), Error);
      assertEquals(await exists(dir.join("there")), false);
      return error.message;
    };
    assertStringIncludes(await change("linux/amd64", "linux/arm64"), "it is for linux/amd64");
    const { config } = JSON.parse(tool.manifest);
    assertStringIncludes(
      await change(`"id":"${config.digest}"`, `"id":"${tool.digest}"`),
      `it is of ${config.digest}`,
    );
    const { length } = tool.manifest;
    const named = `"name":"tool","reference":"${registry.host}/acme/tool:1","size":`;
    assertStringIncludes(
      await change(`${named}${length}`, `${named}${length - 1}`, [`${length}`, `${length - 1}`]),
      'the source "tool": bundle.json has its media type or its size otherwise',
    );
    assertStringIncludes(await change('"name":"tool"', '"name":"../x"'), "a name");
    assertStringIncludes(await change('"schema":1', '"schema":2'), "later version");
    const [first = "", second = ""] = tool.layers.map(({ digest }) => digest);
    assertStringIncludes(await change(first, second), "twice");
  });

  it("loads no image whose layers are not those of its config", async () => {
    const [real, lie] = [await fileLayer({ a: "real" }), await fileLayer({ a: "a lie" })];
    const image = await pushImage(registry, "acme/lie:1", { layers: [real] });
    const images = open({ lie: from("acme/lie:1") });
    await images.fetch();
    // As a store may be that somebody else has filled.
    const folder = `${at.store}/sources/org.osbuild.containers/${image.id}`;
    const manifest = image.manifest.replace(real.digest, lie.digest)
      .replace(`"size":${real.size}`, `"size":${lie.size}`);
    await Deno.writeTextFile(`${folder}/image/manifest.json`, manifest);
    await Deno.writeFile(`${folder}/image/${lie.digest.slice(7)}`, lie.bytes);
    await Deno.remove(`${folder}/origin.json`);
    const digest = await digestOf(manifest);
    const site = dir.join("site.tar");
    const odd = { lie: from(`acme/lie@${digest}`) };
    await open(odd, { offline: true }).createBundle(site);
    const error = await assertRejects(() => there(odd).loadBundle(site), ContentError);
    assertEquals([error.expected, error.actual], [real.diffId, lie.diffId]);
    assertEquals(await there().list(), []);
  });

  it("brings the signatures that a policy asks for", async () => {
    await using signer = await makeSigner();
    await sign(signer, registry, tool);
    const plain = { digests: "ignore", sources: { tool: from("acme/tool:1") } } as const;
    const config = {
      ...plain,
      policy: { default: reject(), docker: { [registry.host]: signedBy(signer.publicKey) } },
      registriesD: await registriesOf(signer, registry),
    };
    const site = dir.join("site.tar");
    await stowage(config, at).createBundle(site);
    assertEquals((await inspectBundle(site)).images[0]?.signatures.length, 1);
    const far = stowage(config, { ...at, store: dir.join("there"), offline: true });
    await far.loadBundle(site);
    assertEquals((await far.fetch()).images.map(({ status }) => status), ["cached"]);
    // An image that came before, without them, gets them too.
    const other = { ...at, store: dir.join("other") };
    await stowage(plain, other).fetch();
    const trusting = stowage(config, { ...other, offline: true });
    await assertRejects(() => trusting.fetch(), RunError, "without a signature that counts");
    await trusting.loadBundle(site);
    await trusting.loadBundle(site);
    assertEquals((await trusting.fetch()).images.map(({ status }) => status), ["cached"]);
    const image = `${other.store}/sources/org.osbuild.containers/${tool.id}/image`;
    assertEquals((await names(image)).filter((name) => name.startsWith("signature")).length, 1);
  });

  it("has docker's media types as they are, for skopeo too", async () => {
    const images = await Promise.all(
      ["linux/amd64", "linux/arm64"].map((platform) =>
        pushImage(registry, "acme/docker", { layers: [base], platform, mediaTypes: "docker" })
      ),
    );
    const list = await pushIndex(registry, "acme/docker:1", images);
    const sources = { both: from("acme/docker:1", { platforms: ["amd64", "arm64"] }) };
    const site = dir.join("site.tar");
    await open(sources).createBundle(site);
    // skopeo finds only OCI's media types by name.
    assertEquals(await skopeo("inspect", "--raw", `oci-archive:${site}`), list.manifest);
    const target = `dir:${dir.join("both")}`;
    await skopeo("copy", "-q", "--all", "--preserve-digests", `oci-archive:${site}`, target);
    await there(sources).loadBundle(site);
    await using registry2 = await startRegistry();
    await there(sources).push({ to: registry2.host, tlsVerify: false });
    assertEquals(await served(registry2, "acme/docker:1"), list.manifest);
  });

  it("ends where it is told to, and leaves nothing half", async () => {
    const site = dir.join("out/site.tar");
    await Deno.mkdir(dir.join("out"));
    const stop = (type: RunEvent["type"]) => {
      const controller = new AbortController();
      return {
        signal: controller.signal,
        onEvent: (event: RunEvent) => event.type === type && controller.abort(),
      };
    };
    await assertRejects(() => open().createBundle(site, stop("carrying")), InterruptedError);
    assertEquals(await names(dir.join("out")), []);
    await open().createBundle(site);
    for (const type of ["verifying", "start", "progress"] as const) {
      await assertRejects(() => there().loadBundle(site, stop(type)), InterruptedError);
      if (await exists(dir.join("there"))) assertEquals(await there().list(), []);
    }
    await assertRejects(() => there().loadBundle(site, stop("image")), InterruptedError);
    assertEquals((await there().list()).length, 1);
    await audit(dir.join("there"));
    await there().loadBundle(site);
    await audit(dir.join("there"), { isSettled: true });
  });

  it("finds out that the store is damaged before there is a bundle", async () => {
    await open().fetch();
    await flip(`${at.store}/blobs/sha256/${base.digest.slice("sha256:".length)}`, 1_000);
    await Deno.mkdir(dir.join("out"));
    const error = await assertRejects(() => open().createBundle(dir.join("out/site.tar")), Error);
    assertStringIncludes(error.message, `the store's copy of ${base.digest} is damaged`);
    assertEquals(await names(dir.join("out")), []);
  });
});

describe("stowage bundle", () => {
  it("makes, looks into, verifies and loads one, and says what it has", async () => {
    const far = dir.join("far");
    await Deno.mkdir(far);
    await writeConfig(dir, { digests: "ignore", sources: SOURCES });
    const here = async (...args: string[]) => await cli(["bundle", ...args], { cwd: dir.path });
    const store = ["--store", join(far, ".stowage")];
    const away = async (...args: string[]) =>
      await cli(["bundle", ...args, ...store], { cwd: far });
    const made = await here("create", "-o", "site.tar", "--chunk", "1MiB");
    assertEquals(made.code, 0, made.stderr);
    assertStringIncludes(made.stdout, "site.tar.001 and 3 more: 2 sources, 5 images");
    const piece = "../site.tar.001";
    const inspected = await away("inspect", piece);
    assertEquals(inspected.code, 0, inspected.stderr);
    assertStringIncludes(inspected.stdout, `${registry.host}/acme/tool:1`);
    const verified = jsonLines((await away("verify", piece, "--json")).stdout).at(-1);
    assertEquals([verified?.["ok"], verified?.["signedBy"]], [true, null]);
    const loaded = await away("load", piece);
    assertStringIncludes(loaded.stdout, "no signature was asked for");
    assertStringIncludes(loaded.stderr, "fetched  web@linux/arm64");
    const receipt = await away("receipt");
    assertEquals(JSON.parse(receipt.stdout).indexes, [index.digest]);

    await flip(dir.join("site.tar.002"), 10);
    assertEquals((await away("verify", piece)).code, 3);
    await Deno.remove(dir.join("site.tar.002"));
    const missing = await here("load", "site.tar.001", "--store", "empty");
    assertEquals(missing.code, 1);
    assertStringIncludes(missing.stderr, "site.tar.002 (piece 2 of 4");
    for (const args of [["load"], ["open", "x"], ["create"], ["load", "x", "--chunk", "1GB"]]) {
      const { code, stderr } = await away(...args);
      assertEquals(code, 2, `${args}: ${stderr}`);
    }
  });
});

describe("a bundle that is made or loaded", () => {
  it("is whole or not there when that is killed, and the next one goes on", async () => {
    await writeConfig(dir, { digests: "ignore", sources: SOURCES });
    const far = dir.join("far");
    await Deno.mkdir(far);
    await Deno.mkdir(dir.join("out"));
    await cli(["fetch"], { cwd: dir.path });
    const site = dir.join("out/site.tar");
    const create = ["bundle", "create", "-o", site, "--chunk", "1MiB"];
    for (const type of ["start", "image", "carrying", "result"]) {
      await killAt(create, dir.path, type);
      if (await exists(`${site}.sums.json`)) await verifyBundle(`${site}.001`);
    }
    const made = await cli(create, { cwd: dir.path });
    assertEquals(made.code, 0, made.stderr);
    const pieces = [1, 2, 3, 4].map((at) => `site.tar.00${at}`);
    assertEquals(await names(dir.join("out")), [...pieces, "site.tar.sums.json"]);

    const load = ["bundle", "load", `${site}.001`, "--store", join(far, ".stowage")];
    for (const type of ["verifying", "start", "progress", "traffic", "image"]) {
      const store = join(far, ".stowage");
      await killAt(load, far, type);
      if (await exists(join(store, "sources"))) await audit(store);
      const loaded = await cli(load, { cwd: far });
      assertEquals(loaded.code, 0, loaded.stderr);
      await audit(store, { isSettled: true });
      assertEquals((await there(SOURCES, { store }).fetch()).images.length, 2);
      await Deno.remove(store, { recursive: true });
    }
  });
});

/** Runs a command, and kills it at its first event of a type. */
async function killAt(args: readonly string[], cwd: string, type: string): Promise<void> {
  const child = new Deno.Command("setsid", {
    args: ["sh", STOWAGE, ...args, "--json"],
    cwd,
    env: cleanEnv(),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let said = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += chunk;
    if (said.includes(`"type":"${type}"`)) {
      await run("kill", ["-KILL", "--", `-${child.pid}`]).catch(() => {}); // it may have ended
    }
  }
  await child.status;
  assertStringIncludes(said, `"type":"${type}"`);
}

describe("the signature of a bundle", () => {
  it("is OpenSSH's own, and by the key that is named", async () => {
    const [key, other] = [await sshKey("site"), await sshKey("other")];
    const site = dir.join("site.tar");
    const made = await open().createBundle(site, { sign: key, chunk: 2 ** 20 });
    assertEquals(made.signature, `${site}.sums.json.sig`);
    const fingerprint = (await run("ssh-keygen", ["-l", "-f", `${key}.pub`])).split(" ")[1];
    const verifyKey = `${key}.pub`;
    const signedBy = { format: "openssh", fingerprint };
    assertEquals((await verifyBundle(`${site}.001`, { verifyKey })).signedBy, signedBy);
    assertEquals((await verifyBundle(`${site}.001`)).signedBy, undefined);
    assertEquals((await there().loadBundle(`${site}.001`, { verifyKey })).signedBy, signedBy);
    await refuses(`${site}.001`, `${other}.pub`, "not by the key");
    await refuses(`${site}.001`, await gpgKey(), "one of OpenSSH");
    await assertRejects(() => verifyBundle(site, { verifyKey: key }), UsageError, "private key");
    await assertRejects(() => verifyBundle(site, { verifyKey: site }), UsageError);
    // As people check it by hand.
    const signers = dir.join("signers");
    await Deno.writeTextFile(signers, `me ${await Deno.readTextFile(verifyKey)}`);
    await run("sh", [
      "-c",
      'ssh-keygen -Y verify -f "$0" -I me -n stowage-bundle -s "$1.sig" <"$1"',
      ...[signers, `${site}.sums.json`],
    ]);

    for (const path of [`${site}.sums.json`, `${site}.sums.json.sig`]) {
      await flip(path, 80);
      await refuses(`${site}.001`, verifyKey, "");
      await flip(path, 80);
    }
    // Of what was signed, no piece may be another one.
    const evil = { tool: from("acme/tool:1") };
    await open(evil).createBundle(dir.join("evil.tar"));
    await Deno.copyFile(dir.join("evil.tar"), `${site}.001`);
    const error = await assertRejects(
      () => verifyBundle(`${site}.001`, { verifyKey }),
      BundleError,
    );
    assertEquals(error.code, "BUNDLE_DAMAGED");
  });

  it("is never left of an older bundle, nor is a bundle whose signing fails", async () => {
    const key = await sshKey("site");
    const site = dir.join("out/site.tar");
    await Deno.mkdir(dir.join("out"));
    await Deno.writeTextFile(dir.join("none"), "no key");
    const locked = await sshKey("locked", "open-sesame-5c1");
    for (const key of [dir.join("none"), locked, "nobody@stowage.example"]) {
      const error = await assertRejects(() => open().createBundle(site, { sign: key }), ToolError);
      assertStringIncludes(error.message, `Cannot sign with "${key}"`);
      assertEquals(await names(dir.join("out")), []);
    }
    await open().createBundle(site, { sign: key });
    await open().createBundle(site);
    assertEquals(await names(dir.join("out")), ["site.tar", "site.tar.sums.json"]);
    await refuses(site, `${key}.pub`, "it is not signed");
    await Deno.remove(`${site}.sums.json`);
    await refuses(site, `${key}.pub`, "there is no site.tar.sums.json beside it");
  });

  it("is GPG's, where that is what the key is", async () => {
    await using signer = await makeSigner();
    const site = dir.join("site.tar");
    Deno.env.set("GNUPGHOME", signer.env.GNUPGHOME);
    try {
      await open().createBundle(site, { sign: signer.fingerprint });
    } finally {
      Deno.env.delete("GNUPGHOME");
    }
    const { signedBy } = await verifyBundle(site, { verifyKey: signer.publicKey });
    assertEquals(signedBy, { format: "openpgp", fingerprint: signer.fingerprint });
    await refuses(site, await gpgKey(), "not by the key");
    await refuses(site, `${await sshKey("site")}.pub`, "one of GPG");
    await flip(`${site}.sums.json`, 80);
    await refuses(site, signer.publicKey, "not by the key");
  });

  it("does not count where the key has expired", async () => {
    await using home = await tempDir();
    const site = dir.join("site.tar");
    await open().createBundle(site);
    await Deno.chmod(home.path, 0o700);
    const then = ["--homedir", home.path, "--batch", "--faked-system-time", "20200101T000000"];
    const gpg = async (...args: string[]) => await run("gpg", [...then, ...args]);
    await gpg(
      "--passphrase",
      "",
      "--quick-generate-key",
      "old@stowage.example",
      "ed25519",
      "sign",
      "1d",
    );
    await gpg("--output", dir.join("old.gpg"), "--export");
    await gpg("--armor", "--detach-sign", "--output", `${site}.sums.json.sig`, `${site}.sums.json`);
    await run("gpgconf", ["--homedir", home.path, "--kill", "all"]);
    await refuses(site, dir.join("old.gpg"), "");
  });
});

async function refuses(path: string, verifyKey: string, why: string): Promise<void> {
  const target = there(SOURCES, { store: dir.join("refused") });
  for (const take of [verifyBundle, target.loadBundle]) {
    const error = await assertRejects(() => take(path, { verifyKey }), BundleError, why);
    assertEquals(error.code, "BUNDLE_UNSIGNED");
  }
  assertEquals(await exists(dir.join("refused")), false);
}

async function flip(path: string, offset: number): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  await file.seek(offset, Deno.SeekMode.Start);
  await file.read(byte);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.seek(offset, Deno.SeekMode.Start);
  await file.write(byte);
}

async function textAt(path: string, offset: number, length: number): Promise<string> {
  const bytes = await Deno.readFile(path);
  return new TextDecoder().decode(bytes.subarray(offset, offset + length));
}

/** Where the header of a file begins. */
function offsetOf(archive: Uint8Array, name: string): number {
  const isIt = (at: number) =>
    new TextDecoder().decode(archive.subarray(at, at + name.length + 1)) === `${name}\0`;
  for (let at = 0; at < archive.length; at += 512) if (isIt(at)) return at;
  throw new Error(`the archive has no ${name}`);
}

async function sshKey(name: string, passphrase = ""): Promise<string> {
  const path = dir.join(`${name}.key`);
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", path]);
  return path;
}

/** The public key of somebody who has signed nothing. */
async function gpgKey(): Promise<string> {
  await using signer = await makeSigner();
  const path = dir.join("somebody.gpg");
  await Deno.copyFile(signer.publicKey, path);
  return path;
}
