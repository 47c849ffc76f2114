/** What goes wrong with caches: the run goes on, says so once, and leaves nothing half done there. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as v from "valibot";
import {
  type Cache,
  type Config,
  copyTree,
  docker,
  type RunEvent,
  stowage,
  type StowageOptions,
  tree,
} from "@stowage/stowage";
import { cleanEnv, STOWAGE, stowage as cli } from "../cli/cli.ts";
import { fixture } from "../support/fixture.ts";
import {
  fileLayer,
  pushImage,
  randomLayer,
  type Registry,
  run,
  startFaultProxy,
  startRegistry,
} from "../support/mod.ts";

const { dir, registry, proxy } = await fixture({ registry: true, files: { "files/a": "text" } });
const big = await randomLayer({ size: 3 * 2 ** 20 });
const app = await pushImage(registry, "acme/app:1", {
  layers: [big, await fileLayer({ app: "1" })],
});

const SERVED = v.object({
  config: v.object({ digest: v.string() }),
  layers: v.array(v.object({ digest: v.string() })),
});
const TAGS = v.object({ tags: v.optional(v.nullable(v.array(v.string()))) });

const cacheAt = (host: string): Cache => ({
  repository: `${host}/acme/cache`,
  tlsVerify: false,
  mode: "write",
});
/** An image, and a tree that a stage makes of a folder. */
const config = (cache: readonly Cache[]): Config => ({
  sources: { app: docker(`${proxy.host}/acme/app`, { digest: app.digest, tlsVerify: false }) },
  inputs: { files: tree("files", { owner: 0, group: 0, mode: "normal" }) },
  stages: { os: copyTree({ inputs: ["files"] }) },
  cache,
});
let stores = 0;
/** Builds on a machine with an empty disk. */
async function build(cache: readonly Cache[], options: StowageOptions = {}) {
  const notices: string[] = [];
  const onEvent = (event: RunEvent) => {
    if (event.type === "notice" && event.code === "CACHE_LEFT") notices.push(event.message);
  };
  const at = { root: dir.path, store: dir.join(`store-${stores++}`), platform: "linux/amd64" };
  const result = await stowage(config(cache), { ...at, retryDelay: 0, ...options }).build({
    onEvent,
  });
  const [from = ""] = result.images.map(({ from }) => from);
  return { notices, from, statuses: result.stages.map(({ status }) => status) };
}

const lineOf = (at: number) => [
  ...["build", "--store", dir.join(`process-${at}`), "--platform", "linux/amd64"],
];
/** Builds in a process, with a store, of its own. */
const spawn = (at: number, ...more: readonly string[]) =>
  new Deno.Command("setsid", {
    ...{ args: ["sh", STOWAGE, ...lineOf(at), ...more], cwd: dir.path },
    ...{ env: cleanEnv(), clearEnv: true, stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();

/** The tags of the cache, each of which has to stand for something whole. */
async function wholeTags({ fetch }: Pick<Registry, "fetch">): Promise<string[]> {
  const list = await fetch("/v2/acme/cache/tags/list");
  const { tags } = v.parse(TAGS, await list.json());
  for (const tag of tags ?? []) {
    const headers = { accept: "*/*, application/vnd.oci.image.manifest.v1+json" };
    const response = await fetch(`/v2/acme/cache/manifests/${tag}`, { headers });
    const { config, layers } = v.parse(SERVED, await response.json());
    for (const { digest } of [config, ...layers]) {
      const blob = await fetch(`/v2/acme/cache/blobs/${digest}`, { method: "HEAD" });
      assertEquals(blob.status, 200, `${tag} stands for what is not there: ${digest}`);
    }
  }
  return (tags ?? []).map((tag) => tag.slice(0, tag.indexOf("-"))).sort();
}

describe("a cache", () => {
  it("takes the same from eight processes that write at the same time", async () => {
    await using other = await startRegistry();
    await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify(config([])));
    // Each has a way of its own to the cache, and is held where it begins to write.
    const all = await Promise.all(Array.from({ length: 8 }, async (_, at) => {
      const gate = await startFaultProxy(other);
      const cache = `${gate.host}/acme/cache,write`;
      const child = spawn(at, "--cache", cache, "--tls-verify=false");
      const { promise: isHeld, resolve } = Promise.withResolvers<void>();
      const rule = {
        match: ({ method }: { method: string }) => {
          if (method !== "POST") return false;
          gate.rules.length = 0;
          Deno.kill(-child.pid, "SIGSTOP");
          resolve();
          return false;
        },
        fault: "hang",
      } as const;
      gate.rules.push(rule);
      return { gate, child, isHeld };
    }));
    await Promise.all(all.map(({ isHeld }) => isHeld));
    for (const { child } of all) Deno.kill(-child.pid, "SIGCONT");
    const said = await Promise.all(all.map(async ({ child, gate }) => {
      const { code, stderr } = await child.output();
      await gate[Symbol.asyncDispose]();
      const text = new TextDecoder().decode(stderr);
      return [code, /.*the cache .*/.exec(text)?.[0]];
    }));
    assertEquals(said, all.map(() => [0, undefined]));
    const writers = all.map(({ gate: { requests } }) =>
      requests.filter(({ method, path }) => method === "PUT" && path.includes("/manifests/tree-"))
    );
    assertEquals(writers.map(({ length }) => length), all.map(() => 1));
    assertEquals(await wholeTags(other), ["id", "tree", "used"]);
    const before = proxy.requests.length;
    const { from, statuses, notices } = await build([cacheAt(other.host)]);
    assertStringIncludes(from, `${other.host}/acme/cache`);
    assertEquals([statuses, notices], [["cached"], []]);
    assertEquals(proxy.requests.slice(before), []);
  });

  it("that is full is told of once, and is still read", async () => {
    await using other = await startRegistry();
    await using gate = await startFaultProxy(other);
    gate.rules.push({ match: /^(POST|PATCH|PUT) /, fault: { status: 507 } });
    const { notices, statuses, from } = await build([cacheAt(gate.host)]);
    assertEquals(statuses, ["ran"]);
    assertStringIncludes(from, proxy.host);
    assertEquals(notices.length, 1, notices.join("\n"));
    assertStringIncludes(notices[0] ?? "", `the cache ${gate.host}/acme/cache is not written: `);
    assertStringIncludes(notices[0] ?? "", "507");
    assertEquals(await wholeTags(other), []);
    await build([cacheAt(other.host)]);
    const again = await build([cacheAt(gate.host)]);
    assertEquals([again.statuses, again.notices], [["cached"], []]);
  });

  for (const what of ["everything", "uploads"]) {
    it(`that never answers to ${what} is told of once, after the time that it has`, async () => {
      await using other = await startRegistry();
      await using gate = await startFaultProxy(other);
      const match = what === "everything" ? /./ : /^(POST|PATCH|PUT) /;
      gate.rules.push({ match, fault: "hang" });
      const began = performance.now();
      const { notices, statuses, from } = await build([cacheAt(gate.host)], {
        stallTimeout: 5_000,
        attempts: 20, // which a cache does not have
      });
      assert(performance.now() - began < 30_000);
      assertEquals(statuses, ["ran"]);
      assertStringIncludes(from, proxy.host);
      assertEquals(notices.length, 1, notices.join("\n"));
    });
  }

  it("has nothing half done after a kill, and all after the next run", async () => {
    await Deno.writeTextFile(dir.join("files/b"), "x".repeat(10_000));
    const manifest = /^PUT .*\/manifests\/(id|tree)-/;
    const moments = [
      { moment: /^POST /, passed: 1 },
      { moment: /^(PATCH|PUT) .*uploads/, passed: 0 },
      { moment: manifest, passed: 0 },
      { moment: manifest, passed: 1 },
    ];
    for (const { moment, passed } of moments) {
      await using other = await startRegistry();
      await using gate = await startFaultProxy(other);
      const { promise: isThere, resolve } = Promise.withResolvers<void>();
      let left = passed;
      gate.rules.push({
        match: ({ method, path }) => {
          if (!moment.test(`${method} ${path}`) || left-- > 0) return false;
          resolve();
          return true;
        },
        fault: "hang",
      });
      await Deno.writeTextFile(
        dir.join("images.config.json"),
        JSON.stringify(config([cacheAt(gate.host)])),
      );
      const child = spawn(8);
      await isThere;
      Deno.kill(-child.pid, "SIGKILL");
      await child.output();
      const tags = await wholeTags(other);
      assert(tags.length < 2, `${moment}: it has ${tags}`);
      gate.rules.length = 0;
      const { code, stderr } = await cli(lineOf(8), { cwd: dir.path });
      assertEquals([code, stderr.includes("the cache")], [0, false], stderr);
      assertEquals(await wholeTags(other), ["id", "tree", "used"]);
      await run("rm", ["-rf", dir.join("process-8")]);
    }
  });
});
