import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Cache,
  copyTree,
  docker,
  type PruneCacheOptions,
  PushError,
  stowage,
  tree,
} from "@stowage/stowage";
import { pruneCache } from "../../src/fleet/prune_cache.ts";
import { checkOptions } from "../../src/options.ts";
import { openRun } from "../../src/run.ts";
import { stowage as cli } from "../cli/cli.ts";
import { fixture } from "../support/fixture.ts";
import {
  fileLayer,
  pushImage,
  pushIndex,
  type Registry,
  skopeo,
  startRegistry,
} from "../support/mod.ts";

const { dir, at, registry } = await fixture({ registry: true, files: { "files/a": "text" } });
const imageOf = async (name: string, platform = "linux/amd64") =>
  await pushImage(registry, name, {
    layers: [await fileLayer({ "etc/name": `${name} ${platform}` })],
    platform,
  });
const [tool, app] = [await imageOf("acme/tool:1"), await imageOf("acme/app:1")];
const web = [await imageOf("library/web"), await imageOf("library/web", "linux/arm64")];
const index = await pushIndex(registry, "library/web:1", web);

const DAY = 86_400_000;
const cacheAt = ({ host }: Registry): Cache => ({
  repository: `${host}/acme/cache`,
  tlsVerify: false,
});
/** Prunes what is older than 30 days, so many days from now. */
const prune = (target: Registry, days: number, more: Partial<PruneCacheOptions> = {}) => {
  const options = checkOptions({ ...at, retryDelay: 0 });
  return pruneCache(
    { cache: cacheAt(target), olderThan: 30 * DAY, ...more },
    (use) => openRun({ settings: {}, options, emit: () => {} }, use),
    Date.now() + days * DAY,
  );
};
const from = (name: string, options: object) =>
  docker(`${registry.host}/${name}`, { tlsVerify: false, ...options });
/** Puts two images and a tree into a cache, as a run does. */
const fill = async (target: Registry) =>
  await stowage({
    cache: [{ ...cacheAt(target), mode: "write" }],
    sources: {
      tool: from("acme/tool", { digest: tool.digest }),
      web: from("library/web", { digest: index.digest, index: true }),
    },
    inputs: { files: tree("files", { owner: 0, group: 0, mode: "normal" }) },
    stages: { os: copyTree({ inputs: ["files"] }) },
  }, { ...at, platform: "linux/amd64", retryDelay: 0 }).build();
async function copy(name: string, target: Registry, tag: string): Promise<void> {
  const flags = ["--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"];
  const to = `docker://${target.host}/acme/cache:${tag}`;
  await skopeo("copy", ...flags, `docker://${registry.host}/${name}`, to);
}
async function tagsOf(target: Registry): Promise<string[]> {
  const { tags } = await (await target.fetch("/v2/acme/cache/tags/list")).json();
  return (tags ?? []).sort();
}
const idTag = ({ id }: { readonly id: string }) => id.replace("sha256:", "id-");
const kinds = (tags: readonly string[]) => tags.map((tag) => tag.slice(0, tag.indexOf("-")));

describe("gc --cache", () => {
  it("deletes what no run has used for long, and nothing that anything else needs", async () => {
    await using target = await startRegistry();
    await fill(target);
    await copy("acme/app:1", target, idTag(app));
    await copy("acme/tool:1", target, "somebody-else");
    // No run has told of the one: it is as if it was used on that day.
    assertEquals(
      await prune(target, 20).then(({ pruned, kept, unknown }) => [pruned, kept, unknown]),
      [[], 6, 1],
    );
    const before = await tagsOf(target);
    const plan = await prune(target, 40, { dryRun: true });
    assertEquals(await tagsOf(target), before);
    const { pruned, ...rest } = await prune(target, 40);
    assertEquals(rest, { kept: 1, unknown: 0 });
    assertEquals(
      plan.pruned.map(({ status }) => status),
      pruned.map(({ status }) => status === "deleted" ? "delete" : status),
    );
    const today = new Date().toISOString().slice(0, 10);
    assertEquals(
      pruned.map(({ target: name, status, used }) => [name.split(":").at(-1), status, used]),
      [
        ...[idTag(tool), ...web.map(idTag)].sort(),
        index.digest.replace("sha256:", "index-"),
        ...before.filter((tag) => tag.startsWith("tree-")),
      ].map((tag) => [tag, tag === idTag(tool) ? "kept" : "deleted", today]),
    );
    assertEquals(
      new Set(kinds(await tagsOf(target))),
      new Set(["id", "used", "somebody"]),
    );
    assertEquals((await tagsOf(target)).filter((tag) => tag.startsWith("id-")).length, 2);
  });

  it("says so where the registry forbids it, or what it tells of uses is no record", async () => {
    await using target = await startRegistry({ deletes: false });
    await copy("acme/app:1", target, idTag(app));
    await prune(target, 0);
    const error = await assertRejects(() => prune(target, 40), PushError, "forbids to delete");
    assertStringIncludes(error.hint ?? "", "have a rule of the registry delete old tags");
    await copy("acme/tool:1", target, "used-2026-01-01-0123456789abcdef");
    await assertRejects(() => prune(target, 40), PushError, "used-2026-01-01-0123456789abcdef");
  });

  it("is shown, and takes no flags of the store", async () => {
    await using target = await startRegistry();
    await copy("acme/app:1", target, idTag(app));
    await prune(target, 0);
    const line = ["gc", "--tls-verify=false", "--cache", cacheAt(target).repository];
    const { code, stdout } = await cli([...line, "--older-than", "30d"], { cwd: dir.path });
    assertEquals(
      [code, stdout.trim()],
      [0, `0 deleted from ${target.host}/acme/cache; 1 stay`],
    );
    const wrong = await cli([...line, "--max-size", "1GiB"], { cwd: dir.path });
    assertEquals(wrong.code, 2);
    assertStringIncludes(wrong.stderr, "Cannot use --max-size with --cache");
  });
});
