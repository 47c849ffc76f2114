import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs/exists";
import { beforeEach, describe, it } from "@std/testing/bdd";
import { lockFixture, manifestsOf } from "../lockfile/fixture.ts";
import { jsonLines, type Said, stowage, writeConfig } from "./cli.ts";
import { source } from "./fixture.ts";

const BOTH = ["linux/amd64", "linux/arm64"];

const bench = await lockFixture();
const { dir, registry, proxy } = bench;
const lockPath = dir.join("images.lock.json");
beforeEach(async () => {
  await bench.push("web:1", "web");
  await bench.pushMany("many:1", "many", BOTH);
});

const at = (name: string, options: Record<string, unknown> = { platform: "linux/amd64" }) =>
  source(`${proxy.host}/${name}`, options);
const sources = () => ({ web: at("web:1"), many: at("many:1", { platforms: BOTH }) });
const write = (config: unknown = { sources: sources() }) => writeConfig(dir, config);
const cli = (...args: string[]): Promise<Said> =>
  stowage(args, { cwd: dir.path, env: { TMPDIR: dir.path } });
const lockText = () => Deno.readTextFile(lockPath);

/** Runs stowage, and compares what it says that it has read with what it has. */
async function counted(...args: string[]): Promise<Said & { readonly manifests: number }> {
  const before = manifestsOf(proxy);
  const said = await cli(...args);
  const manifests = manifestsOf(proxy) - before;
  const told = /\((\d+) manifests? asked for\)$/m.exec(said.stdout)?.[1];
  if (told !== undefined) assertEquals(Number(told), manifests);
  return { ...said, manifests };
}

describe("lock", () => {
  it("writes a lock, and nothing where nothing has changed", async () => {
    await write();
    const first = await counted("lock");
    assertEquals([first.code, first.stderr, first.manifests], [0, "", 4]);
    assertMatch(first.stdout, /^added +web +sha256:[0-9a-f]{12} +[\d.]+ MB$/m);
    assertMatch(first.stdout, /^added +many@linux\/arm64 +sha256:/m);
    assertStringIncludes(first.stdout, `Wrote ${lockPath} (4 manifests asked for)\n`);
    assertEquals(await exists(dir.join(".stowage")), false);
    const { mtime } = await Deno.stat(lockPath);
    const again = await counted("lock");
    assertEquals(again.stdout, "Nothing has changed (0 manifests asked for)\n");
    const updated = await counted("lock", "--update");
    assertEquals(updated.stdout, "Nothing has changed (4 manifests asked for)\n");
    assertEquals((await Deno.stat(lockPath)).mtime, mtime);
    const left = await Array.fromAsync(Deno.readDir(dir.path), ({ name }) => name);
    assertEquals(left.filter((name) => name.startsWith("images.")).sort(), [
      "images.config.json",
      "images.lock.json",
    ]);
  });

  it("--update moves what is named, and says from what to what", async () => {
    await write();
    await cli("lock");
    await bench.push("web:1", Array.from({ length: 5000 }, () => crypto.randomUUID()).join(""));
    await bench.pushMany("many:1", "new", BOTH);
    const { code, stdout } = await counted("lock", "--update", "web");
    assertEquals(code, 0);
    assertMatch(
      stdout,
      /^moved +web +sha256:\w{12} → sha256:\w{12} +[\d.]+ \w+ → [\d.]+ \w+\nWrote .* \(1 manifest asked for\)\n$/,
    );
    const all = await counted("lock", "--update", "--json");
    const last = Object(jsonLines(all.stdout).at(-1));
    assertEquals([last.type, last.ok, last.requests, last.path], ["result", true, 4, lockPath]);
    assertEquals(last.changes.map(({ name }: { name: string }) => name), [
      "many@linux/amd64",
      "many@linux/arm64",
    ]);
    assertEquals(JSON.parse(await lockText()), last.lock);
  });

  it("says which reference took the place of another, whose image is the same", async () => {
    await write();
    await cli("lock");
    await bench.push("web:2", "web");
    await write({ sources: { ...sources(), web: at("web:2") } });
    const { stdout } = await counted("lock");
    const moved = stdout.split("\n")[0] ?? "";
    assertMatch(moved, /^moved +web +sha256:\w{12} +[\d.]+ MB +docker:\S+:1 → docker:\S+:2$/);
    await write({ sources: { ...sources(), web: at("web:1") } });
    const { changes: [change] } = Object(jsonLines((await cli("lock", "--json")).stdout).at(-1));
    const of = (tag: number) => `docker://${proxy.host}/web:${tag}`;
    assertEquals(change.reference, { from: of(2), to: of(1) });
  });

  it("--check exits with 4 where the lock is not of the config, and asks nobody", async () => {
    await write();
    const missing = await counted("lock", "--check");
    assertEquals([missing.code, missing.manifests], [4, 0]);
    assertMatch(missing.stderr, /web: there is no lock\n.*→ run `stowage lock`/s);
    assertEquals(await exists(lockPath), false);
    await cli("lock");
    const text = await lockText();
    await bench.push("web:1", "new");
    const right = await counted("lock", "--check");
    assertEquals([right.code, right.stdout], [0, "The lock fits the config\n"]);
    assertEquals([right.stderr, right.manifests], ["", 0]);
    await write({ sources: { ...sources(), web: at("web:2") } });
    const stale = await cli("lock", "--check", "--json");
    const { error } = Object(jsonLines(stale.stdout).at(-1));
    assertEquals([stale.code, error.code, error.problems[0].name], [4, "LOCK_STALE", "web"]);
    assertEquals(await lockText(), text);
    assertEquals((await cli("lock", "--check", "--update")).code, 2);
  });

  it("keeps what could be locked, and fails", async () => {
    await write({ sources: { ...sources(), none: at("none:1") } });
    const { code, stdout, stderr } = await counted("lock");
    assertEquals(code, 1);
    assertMatch(stdout, /^added +web /m);
    assertMatch(stderr, /^error: Cannot fetch "none".*Cannot finish: 1 of 4 failed\n$/s);
    assertEquals(Object.keys(JSON.parse(await lockText()).sources), ["many", "web"]);
    const named = await counted("lock", "none", "web");
    assertMatch(named.stderr, /Cannot finish: 1 of 2 failed\n$/);
  });

  it("loses nothing where two run at a time", async () => {
    await write();
    const [web, many] = await Promise.all([cli("lock", "web"), cli("lock", "many")]);
    assertEquals([web.code, many.code], [0, 0]);
    assertEquals(Object.keys(JSON.parse(await lockText()).sources), ["many", "web"]);
  });

  it("is of the source itself, and says so where a fallback has it", async () => {
    const fallback = [at("web:1", {})];
    await write({ sources: { web: at("none:1", { platform: "linux/amd64", fallback }) } });
    assertEquals((await cli("fetch")).code, 0);
    const { code, stdout, stderr } = await counted("lock");
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /typing error in the reference.*; fallbacks were not asked/);
    assertMatch((await cli("lock", "--offline")).stderr, /→ run without --offline\n/);
  });

  it("is kept while the registry is down", async () => {
    await write();
    await cli("lock");
    const text = await lockText();
    await registry.stop();
    assertEquals((await cli("lock", "--update", "--attempts", "1")).code, 1);
    assertEquals((await cli("lock", "--update", "--offline")).code, 1);
    assertEquals(await lockText(), text);
    await registry.start();
  });

  it("is kept where it is damaged, and nothing is done by it", async () => {
    await write();
    await cli("lock");
    const text = (await lockText()).slice(0, -20);
    await Deno.writeTextFile(lockPath, text);
    for (const args of [["lock"], ["lock", "--update"], ["fetch"], ["outdated"], ["plan"]]) {
      const { code, stdout, stderr } = await counted(...args);
      assertEquals([code, stdout], [4, ""]);
      assertMatch(
        stderr,
        /^error: Cannot read the lock ".*\n {2}→ take it from version control, or/,
      );
    }
    assertEquals(await lockText(), text);
    await Deno.writeTextFile(lockPath, '{"schema":2}');
    assertMatch((await cli("fetch")).stderr, /it is of a later version\n {2}→ use the version/);
  });

  it("has the name of its config", async () => {
    await write();
    await Deno.rename(dir.join("images.config.json"), dir.join("edge.json"));
    assertEquals((await cli("lock", "web", "-c", "edge.json")).code, 0);
    assert(await exists(dir.join("edge.lock.json")));
  });
});

describe("fetch and build", () => {
  it("use the lock, and ask nobody where the store has it all", async () => {
    await write({ sources: sources(), digests: "require" });
    assertEquals((await cli("fetch", "web")).code, 4);
    const frozen = await counted("fetch", "--frozen");
    assertEquals([frozen.code, frozen.manifests], [4, 0]);
    assertMatch(frozen.stderr, /web: there is no lock\n.*→ run `stowage lock` and keep/s);
    await cli("lock");
    await bench.push("web:1", "new");
    const fetched = await cli("fetch", "--frozen");
    assertEquals(fetched.code, 0, fetched.stderr);
    const { id } = JSON.parse(await lockText()).sources.web.platforms["linux/amd64"];
    assertStringIncludes(fetched.stdout, id.slice("sha256:".length).slice(0, 12));

    // A PATH with what starts deno, and without skopeo.
    await Deno.mkdir(dir.join("bin"));
    for (const tool of ["sh", "dirname", "timeout"]) {
      await Deno.symlink(`/usr/bin/${tool}`, dir.join("bin", tool));
    }
    const asked = proxy.requests.length;
    for (
      const args of [["fetch"], ["build"], ["plan"], ["lock"], ["lock", "--check"]]
    ) {
      const { code, stderr } = await stowage([...args, "--frozen"], {
        cwd: dir.path,
        env: { PATH: dir.join("bin") },
      });
      assertEquals([code, stderr], [0, ""], args.join(" "));
    }
    assertEquals(proxy.requests.length, asked);
  });
});

describe("outdated", () => {
  it("says which tags moved, and changes nothing", async () => {
    await write();
    await cli("lock");
    const text = await lockText();
    assertEquals((await counted("outdated")).stdout, "0 moved (2 manifests asked for)\n");
    await bench.push("web:1", "new");
    const { code, stdout } = await counted("outdated");
    assertEquals(code, 0);
    assertMatch(
      stdout,
      /^moved +web +docker:\/\/.*\/web:1 +sha256:\w{12} → sha256:\w{12}\n1 moved \(2 manifests asked for\)\n$/,
    );
    assertEquals((await counted("outdated", "web")).manifests, 1);
    assertEquals((await cli("outdated", "--exit-code")).code, 4);
    assertEquals((await cli("outdated", "--exit-code", "many")).code, 0);
    const last = Object(jsonLines((await cli("outdated", "--json")).stdout).at(-1));
    assertEquals([last.type, last.exitCode, last.outdated[0].name], ["result", 0, "web"]);
    assertEquals(await lockText(), text);
    assertEquals(await exists(dir.join(".stowage")), false);
  });

  it("says which tags of a rule are new; --exit-code tells a program", async () => {
    for (const tag of ["1.0.0", "1.1.0"]) await bench.push(`app:${tag}`, tag);
    const tags = { semver: "^1", newest: 2 };
    await write({ sources: { app: at("app", { platform: "linux/amd64", tags }) } });
    const open = await cli("fetch");
    assertEquals(open.code, 4);
    assertMatch(open.stderr, /^error: Cannot tell which tags are meant\n.*→ run `stowage lock`/s);
    const { stdout } = await cli("lock");
    assertMatch(stdout, /^added +app +1\.1\.0, 1\.0\.0 +tags by its rule\n/);
    assertEquals((await cli("lock", "--check")).code, 0);
    await bench.push("app:1.2.0", "new");
    const found = await cli("outdated", "--exit-code");
    assertEquals(found.code, 4);
    assertMatch(
      found.stdout,
      /^new +app:1\.2\.0 .*\ngone +app:1\.0\.0 .*\n0 moved, 2 new or gone /,
    );
  });

  it("says so also where others could not be asked, and nobody is asked offline", async () => {
    await write();
    await cli("lock");
    await bench.push("web:1", "new");
    proxy.rules.push({ match: /\/v2\/many\/manifests/, fault: { status: 404 } });
    const { code, stdout, stderr } = await cli("outdated");
    assertEquals(code, 1);
    assertMatch(stdout, /^moved +web .*\n1 moved /);
    assertMatch(stderr, /^error: Cannot fetch "many".*→ look for a typing error/s);
    const offline = await counted("outdated", "--offline", "web");
    assertEquals([offline.code, offline.manifests], [1, 0]);
    assertMatch(offline.stderr, /offline: it was not asked\n.*→ run without --offline\n/s);
  });
});
