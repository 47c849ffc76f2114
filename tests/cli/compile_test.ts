import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { afterAll, describe, it } from "@std/testing/bdd";
import { fixture } from "../support/fixture.ts";
import { tempDir } from "../support/mod.ts";
import { type Said, stowage } from "./cli.ts";

const { dir } = await fixture({
  files: {
    "app/deno.json": '{ "imports": { "@/": "./lib/" } }',
    "app/lib/later.ts": 'export const later: string = "later";',
    "app/work.ts": 'self.onmessage = ({ data }) => self.postMessage("worked " + data);',
    "app/data.txt": "data",
    "app/build.ts": `
      import { type Config, stowage } from "@stowage/stowage";
      if (import.meta.main) {
        const { later } = await import("@/later.ts");
        const worker = new Worker(new URL("./work.ts", import.meta.url), { type: "module" });
        const said = await new Promise((tell) => {
          worker.onmessage = ({ data }) => tell(data);
          worker.postMessage(later);
        });
        worker.terminate();
        const text = await Deno.readTextFile(new URL("./data.txt", import.meta.url));
        const config: Config = (await import("file://" + Deno.args[0])).default;
        const keys = [...stowage(config).graph.nodes.keys()];
        console.log(JSON.stringify([said, text, keys, Deno.args.slice(1), Deno.cwd()]));
      }
    `,
    "site/deno.json": "{ broken",
    "site/images.config.ts": 'import { defineConfig, docker } from "@stowage/stowage";\n' +
      'export default defineConfig({ sources: { web: docker("web:1") } });',
  },
});

/** Runs an executable as a machine does that has no Deno, no network and none of this environment. */
async function run(setUp: string, env: Record<string, string>, ...args: string[]): Promise<Said> {
  const script = `${setUp}\nexec "$@"`;
  const { code, stdout, stderr } = await new Deno.Command("unshare", {
    args: ["--net", "--mount", "sh", "-euc", script, "sh", ...args],
    cwd: dir.join("site"),
    env: { PATH: "/usr/bin:/bin", ...env },
    clearEnv: true,
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

/** Compiles on what `deno` stands for: the launcher is the same, whatever it unpacks. */
async function compile(cwd: string, ...args: string[]): Promise<void> {
  const how = ["--base", "sh", "--quiet", "--deno", deno];
  const { code, stderr } = await stowage(["compile", ...how, ...args], { cwd });
  assertEquals([code, stderr], [0, ""]);
}

const own = await tempDir();
afterAll(async () => await own[Symbol.asyncDispose]());
const deno = own.join("deno");
await Deno.writeTextFile(deno, `#!/bin/sh\nexec ${Deno.execPath()} "$@"\n`, { mode: 0o755 });
const STOWAGE_FILE = own.join("stowage");
await compile(own.path, "-o", STOWAGE_FILE);

describe("stowage compile", () => {
  it("makes one file of a script, its threads and what it imports when it runs", async () => {
    await compile(dir.join("app"), "build.ts", "--include", "data.txt", "-o", "../one");
    await compile(dir.join("app"), "build.ts", "--include", "data.txt", "-o", "../two");
    assertEquals(await Deno.readFile(dir.join("one")), await Deno.readFile(dir.join("two")));
    await Deno.remove(dir.join("app"), { recursive: true });
    const config = join(dir.path, "site/images.config.ts");
    const said = await run("", { HOME: dir.join("home") }, "../one", config, "a  b", "--help");
    const wanted = ["worked later", "data", ["source/web"], ["a  b", "--help"], dir.join("site")];
    assertEquals([said.code, JSON.parse(said.stdout), said.stderr], [0, wanted, ""]);
  });

  it("makes one file of stowage, which loads a config beside a broken deno.json", async () => {
    const home = { HOME: dir.join("home") };
    const check = [STOWAGE_FILE, "check"];
    // Several first runs unpack at the same time.
    const first = await Promise.all([0, 1, 2].map(() => run("", home, ...check)));
    for (const { code, stdout, stderr } of first) {
      assertEquals(
        [code, stdout],
        [0, "The config is right: 1 source, 0 inputs, 0 stages\n"],
        stderr,
      );
    }
    const cache = dir.join("home/.cache/stowage");
    assertEquals((await names(cache)).length, 1, "there is what was unpacked, and nothing else");
    assertEquals((await Deno.stat(cache)).mode! & 0o777, 0o700);
    const { mtime } = await Deno.stat(cache);
    assertEquals((await run("", home, ...check)).code, 0);
    assertEquals((await Deno.stat(cache)).mtime, mtime, "it is unpacked once");
  });

  it("unpacks for one run where there is no cache that programs can run from", async () => {
    const temporary = dir.join("temporary");
    await Deno.mkdir(temporary);
    const version = [STOWAGE_FILE, "--version"];
    const noexec = `mkdir -p "$HOME" && mount -t tmpfs -o noexec tmpfs "$HOME"`;
    const env = { TMPDIR: temporary };
    for (
      const said of [
        await run("", env, ...version),
        await run("", { ...env, HOME: "/proc/nowhere" }, ...version),
        await run(noexec, { ...env, HOME: dir.join("home") }, ...version),
      ]
    ) {
      assertMatch(said.stdout, /^stowage \d/, said.stderr);
      assertEquals(said.code, 0);
      assertEquals(await names(temporary), [], "it is gone after the run");
    }
  });

  it("does not trust a folder that others could write to, nor a file that is damaged", async () => {
    const bytes = await Deno.readFile(STOWAGE_FILE);
    const [hash = ""] = /[0-9a-f]{64}/.exec(new TextDecoder().decode(bytes.subarray(0, 500))) ?? [];
    const home = dir.join(`home/.cache/stowage/${hash}`);
    await Deno.mkdir(home, { recursive: true });
    await Deno.writeTextFile(join(home, "deno"), "#!/bin/sh\necho planted\n", { mode: 0o755 });
    await Deno.chmod(home, 0o777);
    const { code, stdout } = await run("", { HOME: dir.join("home") }, STOWAGE_FILE, "--version");
    assertEquals([code, stdout.slice(0, 8)], [0, "stowage "]);

    await Deno.writeFile(dir.join("cut"), bytes.subarray(0, -1), { mode: 0o755 });
    const cut = await run("", { HOME: dir.join("other") }, "../cut", "--version");
    assertEquals([cut.code, cut.stdout], [126, ""]);
    assertEquals(cut.stderr, "stowage: this file is damaged: get it again\n");
  });

  it("refuses a plain Deno to compile with, and what it cannot compile", async () => {
    const refusal = async (env: Record<string, string>, ...args: string[]) => {
      const cwd = dir.join("app");
      const { code, stdout, stderr } = await stowage(["compile", ...args], { cwd, env });
      assertEquals([code, stdout], [2, ""]);
      return stderr;
    };
    const out = ["-o", "../out"];
    assertMatch(
      await refusal({ DENORT_BIN: Deno.execPath() }, "build.ts", ...out),
      /Cannot compile with DENORT_BIN ".*": it is a plain deno\n {2}→ set it to the denort/,
    );
    assertStringIncludes(await refusal({}, "build.ts"), "say -o FILE");
    assertStringIncludes(await refusal({}, "none.ts", ...out), 'Cannot find the script "none.ts"');
    assertStringIncludes(await refusal({}, "-o", "../out", "--base", "x"), "bases: deno, sh");
    assertStringIncludes(
      await refusal({}, "-o", "x", "--target", "x"),
      "targets: linux-x64, linux",
    );
    assert(!(await names(dir.path)).includes("out"));
  });
});
