import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { entriesIn, sizeOf } from "../maintain/gc_fixture.ts";
import { list } from "../sources/fixture.ts";
import { forThisFile } from "../support/fixture.ts";
import {
  denoProgram,
  fileLayer,
  type PushedImage,
  pushImage,
  run,
  tempDir,
} from "../support/mod.ts";
import { cleanEnv, jsonLines, STOWAGE, stowage, writeConfig } from "./cli.ts";
import { appsFixture, source } from "./fixture.ts";

const { dir, registry, proxy, web: [webImage], tool: toolImage } = await appsFixture();
const store = dir.join(".stowage");
const full = await forThisFile(tempDir());

const web = () => source(`${registry.host}/apps/web:1`, { platform: "linux/amd64" });
const tool = () => source(`${registry.host}/apps/tool:1`, { platform: "linux/amd64" });

async function cli(...args: string[]) {
  return await stowage(args, { cwd: dir.path });
}

/** Fetches, with a lock that has all of it, and leaves a config without the tool. */
async function fetchBoth(): Promise<void> {
  fetched ??= (async () => {
    await writeConfig(dir, { digests: "ignore", sources: { web: web(), tool: tool() } });
    assertEquals([(await cli("fetch")).code, (await cli("lock")).code], [0, 0]);
    await Deno.rename(dir.join("images.lock.json"), dir.join("both.lock.json"));
    await writeConfig(dir, { digests: "ignore", sources: { web: web() } });
    await run("cp", ["-a", `${dir.path}/.`, full.path]);
  })();
  await fetched;
  await run("cp", ["-a", `${full.path}/.`, dir.path]);
}
let fetched: Promise<void> | undefined;

/** Starts stowage, and does not wait for its end. */
function start(args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command("sh", {
    args: [STOWAGE, ...args],
    cwd: dir.path,
    env: cleanEnv(),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Reads until a text has come. */
async function until(text: string, stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let said = "";
  for await (const chunk of stream) {
    said += decoder.decode(chunk, { stream: true });
    if (said.includes(text)) return said;
  }
  throw new Error(`"${text}" has not come: ${said}`);
}

describe("stowage gc", () => {
  it("tells what goes, and removes it", async () => {
    await fetchBoth();
    const before = await sizeOf(store);
    const dry = await cli("gc", "--dry-run");
    assertEquals([dry.code, dry.stderr], [0, ""]);
    const [row = "", total = ""] = dry.stdout.split("\n");
    assert(row.startsWith(`image  ${toolImage.id.slice(7, 19)}  docker://`), row);
    assert(/^1 thing to remove: \S+ [kM]B of \S+ MB$/.test(total), total);
    assertEquals([(await entriesIn(store)).length, await sizeOf(store)], [2, before]);
    const gone = await cli("gc");
    assertEquals([gone.code, gone.stderr], [0, ""]);
    assert(gone.stdout.startsWith(dry.stdout), gone.stdout);
    assert(/\nFreed \S+ [kM]B\n$/.test(gone.stdout), gone.stdout);
    assertEquals(await entriesIn(store), [webImage.id]);
    assertEquals((await cli("gc", "--quiet")).stdout, "");
  });

  it("keeps what other locks and configs name", async () => {
    await fetchBoth();
    const gone = async (...args: string[]) => {
      const { stdout, code } = await cli("gc", "--dry-run", "--json", ...args);
      assertEquals(code, 0, stdout);
      const lines = jsonLines(stdout);
      return lines.filter(({ type }) => type === "garbage").map(({ name }) => name);
    };
    const tools = { digests: "ignore", sources: { tool: tool() } };
    await Deno.mkdir(dir.join("tools"));
    await Deno.writeTextFile(dir.join("tools/images.config.json"), JSON.stringify(tools));
    assertEquals(await gone(), [toolImage.id]);
    assertEquals(await gone("--keep-lock", "both.lock.json"), []);
    assertEquals(await gone("--keep-config", "tools/images.config.json"), []);
    // No config is in this folder, and the lock is enough.
    await Deno.remove(dir.join("images.config.json"));
    assertEquals(await gone("--keep-lock", "both.lock.json"), []);
    assertEquals(
      await gone("--keep-config", "tools/images.config.json"),
      [webImage.id],
    );
  });

  it("limits what goes by age and by size", async () => {
    await fetchBoth();
    const count = async (...args: string[]) =>
      (await cli("gc", "--dry-run", ...args)).stdout.match(/^(\d+) things? to/m)?.[1];
    assertEquals([await count("--older-than", "1h"), await count("--older-than", "0s")], [
      "0",
      "1",
    ]);
    assertEquals([await count("--max-size", "1GiB"), await count("--max-size", "1B")], ["0", "1"]);
    const { stdout } = await cli("gc", "--max-size", "1B");
    assertMatch(stdout, /\nAll else is needed: \S+ [kM]B above --max-size\nFreed /);
    const lines = jsonLines((await cli("gc", "--max-size", "1B", "--json")).stdout);
    assertEquals(lines.slice(-2).map(({ size, over }) => Number(size) - Number(over)), [1, 1]);
  });

  const wrong: Record<string, [args: string[], said: RegExp]> = {
    "an age without a unit": [["--older-than", "30"], /one of s, m, h, d, w/],
    "a size of no unit": [["--max-size", "20Gi"], /one of B, kB, MB, GB, TB, KiB, MiB/],
    "a lock that is not there": [["--keep-lock", "none.json"], /the lock "none\.json"/],
    "a config that is not there": [["--keep-config", "none.json"], /none\.json"/],
    "a flag of several values without one": [["--keep-lock="], /one FILE/],
    "no config at all": [[], /--keep-config or --keep-lock; --all empties the store/],
    "a name": [["web"], /takes no names/],
  };
  it("says how to keep the images of a lock that has no config", async () => {
    await fetchBoth();
    await Deno.remove(dir.join("images.config.json"));
    await Deno.rename(dir.join("both.lock.json"), dir.join("images.lock.json"));
    const { code, stderr } = await cli("gc");
    assertEquals([code, (await entriesIn(store)).length], [2, 2]);
    assertStringIncludes(stderr, "→ --keep-lock images.lock.json keeps the images of the lock");
    assertEquals((await cli("gc", "--keep-lock", "images.lock.json")).code, 0);
    assertEquals((await entriesIn(store)).length, 2);
  });

  for (const [what, [args, said]] of Object.entries(wrong)) {
    it(`refuses ${what}`, async () => {
      await fetchBoth();
      if (what === "no config at all") await Deno.remove(dir.join("images.config.json"));
      const { code, stderr } = await cli("gc", ...args);
      assertEquals(code, 2);
      assert(said.test(stderr), stderr);
      assertEquals((await entriesIn(store)).length, 2);
    });
  }

  it("empties a store that nothing is known of when it is told to", async () => {
    await fetchBoth();
    await Deno.remove(dir.join("images.config.json"));
    assertEquals([(await cli("gc", "--all")).code, await entriesIn(store)], [0, []]);
  });
});

describe("stowage gc, beside others", () => {
  it("waits for a fetch, and names it when that takes too long", async () => {
    proxy.rules.push({ match: /^GET .*\/blobs\//, fault: "hang" });
    const app = source(`${proxy.host}/apps/tool:1`, { platform: "linux/amd64" });
    await writeConfig(dir, { digests: "ignore", sources: { app } });
    const fetching = start(["fetch", "--json"]);
    await until('"resolved"', fetching.stdout);
    const { code, stdout } = await cli("gc", "--wait", "1", "--json");
    const lines = jsonLines(stdout);
    const holders = [{ pid: fetching.pid, command: "stowage fetch" }];
    const { error } = lines.at(-1) ?? {};
    assert(typeof error === "object" && error !== null && "holders" in error);
    assertEquals([code, error.holders], [1, holders]);
    const notices = lines.filter(({ type }) => type === "notice").map(({ code }) => code);
    assertEquals(notices, ["STORE_BUSY"]);
    const atOnce = await cli("gc", "--wait", "0");
    assertStringIncludes(atOnce.stderr, "did not let go of it within 0 s");
    assertEquals([atOnce.code, atOnce.stderr.includes("waiting for")], [1, false]);
    // A look is not in the way of a fetch.
    assertEquals((await cli("gc", "--dry-run")).code, 0);
    fetching.kill("SIGTERM");
    await fetching.stderr.cancel();
    assertEquals((await fetching.status).code, 130);
    assertEquals((await cli("gc")).code, 0);
  });

  it("looks for no longer than it is told, and says how it would", async () => {
    await fetchBoth();
    using lock = await Deno.open(store);
    await lock.lock(true);
    const { code, stderr } = await cli("gc", "--dry-run", "--wait", "0");
    assertEquals(code, 1);
    assertStringIncludes(stderr, "did not let go of it within 0 s");
    assertStringIncludes(stderr, "or give it longer with --wait");
  });

  for (const command of ["fetch", "build", "plan"]) {
    it(`lets a ${command} wait`, async () => {
      await fetchBoth();
      const lock = await Deno.open(store); // as gc has it
      await lock.lock(true);
      const waiting = start([command]);
      const said = await until("waiting for", waiting.stderr);
      assert(said.includes(`(process ${Deno.pid}) to end in "${store}"`), said);
      lock.close();
      await waiting.stdout.cancel();
      assertEquals((await waiting.status).code, 0);
    });
  }

  for (const [step, times] of [["rename", 1], ["rename", 8], ["remove", 1], ["remove", 8]]) {
    it(`leaves whole what is left when it is killed at ${step} ${times}`, async () => {
      const images = await pushMany(6);
      const sources = (which: readonly PushedImage[]) =>
        Object.fromEntries(which.map(({ reference, id }) => [
          `app-${id.slice(7, 19)}`,
          source(reference, { id, platform: "linux/amd64" }),
        ]));
      await writeConfig(dir, { sources: sources(images) });
      assertEquals((await cli("fetch")).code, 0);
      const config = { sources: sources(images.slice(0, 2)) };
      await Deno.writeTextFile(
        dir.join("gc.ts"),
        `import { stowage } from "@stowage/stowage";
        const { ${step} } = Deno;
        let left = ${times};
        Deno.${step} = (...args) => {
          if (--left === 0) Deno.kill(Deno.pid, "SIGKILL");
          return ${step}(...args);
        };
        await stowage(${JSON.stringify(config)}).gc();`,
      );
      const [deno, args] = denoProgram(dir.join("gc.ts"));
      const killed = await new Deno.Command(deno, { args, cwd: dir.path }).output();
      assertEquals(killed.signal, "SIGKILL", new TextDecoder().decode(killed.stderr));
      const left = await entriesIn(store);
      assertEquals(images.slice(0, 2).filter(({ id }) => !left.includes(id)), []);
      for (const id of left) await assertWhole(images.find((image) => image.id === id), id);
      await writeConfig(dir, { sources: sources(images) });
      const { code, stdout } = await cli("fetch");
      assertEquals([code, (await list(join(store, "tmp"))).length], [0, 0], stdout);
      assertEquals(await entriesIn(store), images.map(({ id }) => id).sort());
      await writeConfig(dir, config);
      assertEquals((await cli("gc")).code, 0);
      const blobs = images.slice(0, 2).map(({ layers: [layer] }) => layer?.digest);
      assertEquals(
        await list(join(store, "blobs/sha256")),
        blobs.map((digest = "") => digest.slice("sha256:".length)).sort(),
      );
    });
  }
});

async function pushMany(count: number): Promise<PushedImage[]> {
  const images: PushedImage[] = [];
  for (let n = 0; n < count; n++) {
    const layers = [await fileLayer({ name: `${n}` })];
    images.push(await pushImage(registry, `apps/many-${n}:1`, { layers }));
  }
  return images;
}

async function assertWhole(image: PushedImage | undefined, id: string): Promise<void> {
  const entry = join(store, "sources/org.osbuild.containers", id);
  const blobs = [id, ...image?.layers.map(({ digest }) => digest) ?? []];
  for (const digest of blobs) {
    const hex = digest.slice("sha256:".length);
    assertEquals((await run("sha256sum", [join(entry, "image", hex)])).slice(0, 64), hex);
  }
  await Deno.stat(join(entry, "origin.json"));
}
