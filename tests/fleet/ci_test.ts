import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import { parseAll } from "@std/yaml/parse";
import * as v from "valibot";
import {
  CI_SYSTEMS,
  type CiSystem,
  docker,
  makeWorkflow,
  stowage,
  UsageError,
} from "@stowage/stowage";
import { cleanEnv, STOWAGE, stowage as cli } from "../cli/cli.ts";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage, run, startRegistry } from "../support/mod.ts";

const ROOT = new URL("../../", import.meta.url);
const { dir, registry, proxy } = await fixture({ registry: true });
const image = "registry.acme.io/ci/stowage";
const cache = "registry.acme.io/ci/cache";
const made = [1, 2, 3, 4, 5];
const pushed = await Promise.all(
  made.map(async (n) =>
    await pushImage(registry, `acme/app${n}:1`, { layers: [await fileLayer({ n: `${n}` })] })
  ),
);

const Texts = v.record(v.string(), v.string());
const Step = v.object({
  run: v.optional(v.string()),
  uses: v.optional(v.string()),
  env: v.optional(Texts, {}),
  with: v.optional(v.record(v.string(), v.unknown())),
});
const GithubSchema = v.object({
  on: v.object({
    push: v.strictObject({}),
    schedule: v.tuple([v.strictObject({ cron: v.string() })]),
  }),
  permissions: v.strictObject({ contents: v.literal("read") }),
  jobs: v.object({
    build: v.object({
      strategy: v.optional(v.object({ matrix: v.object({ shard: v.array(v.number()) }) })),
      steps: v.array(Step),
    }),
    pins: v.object({ permissions: Texts, steps: v.array(Step) }),
  }),
});
const GitlabJob = v.object({
  image: v.object({ name: v.string() }),
  parallel: v.optional(v.number()),
  variables: v.optional(Texts, {}),
  rules: v.array(v.looseObject({ if: v.string() })),
  script: v.array(v.string()),
});
const GitlabSchema = v.object({
  images: v.object({
    ...GitlabJob.entries,
    retry: v.object({ max: v.number(), exit_codes: v.array(v.number()) }),
  }),
  pins: GitlabJob,
});
const KubernetesSchema = v.object({
  apiVersion: v.literal("batch/v1"),
  kind: v.literal("Job"),
  spec: v.object({
    completionMode: v.literal("Indexed"),
    completions: v.number(),
    parallelism: v.number(),
    backoffLimitPerIndex: v.number(),
    podFailurePolicy: v.object({ rules: v.array(v.looseObject({ action: v.string() })) }),
    template: v.object({
      spec: v.object({
        restartPolicy: v.literal("Never"),
        containers: v.tuple([
          v.object({
            image: v.string(),
            command: v.tuple([v.literal("sh"), v.literal("-ec"), v.string()]),
            env: v.array(v.object({ name: v.string(), value: v.string() })),
          }),
        ]),
      }),
    }),
  }),
});

const read = <Schema extends v.GenericSchema>(schema: Schema, text: string) => {
  const [data, ...more] = v.parse(v.array(v.unknown()), parseAll(text));
  assertEquals(more, []);
  return v.parse(schema, data);
};
const buildStep = ({ jobs }: v.InferOutput<typeof GithubSchema>) => {
  const step = jobs.build.steps.find(({ run }) => run?.startsWith("stowage build"));
  assert(step?.run !== undefined);
  return { script: step.run, env: step.env };
};

/** What one job of each system runs, as the system would start it. */
const jobs: Readonly<
  Record<
    CiSystem,
    (text: string, shard: number) => { script: string; env: Readonly<Record<string, string>> }
  >
> = {
  github(text, shard) {
    const { script, env: { CACHE = "" } } = buildStep(read(GithubSchema, text));
    const [, repository = ""] = /^(\S+),\$\{\{ .* && 'write' \|\| 'read' \}\}$/.exec(CACHE) ?? [];
    return { script, env: { SHARD: `${shard}`, CACHE: `${repository},write` } };
  },
  gitlab(text, shard) {
    const { images: { script, variables, parallel } } = read(GitlabSchema, text);
    const index = { CI_NODE_INDEX: `${shard}`, CI_NODE_TOTAL: `${parallel}` };
    return {
      script: script.join("\n"),
      env: { ...variables, ...index, CACHE_MODE: "write" },
    };
  },
  kubernetes(text, shard) {
    const { spec: { template: { spec: { containers: [{ command, env }] } } } } = read(
      KubernetesSchema,
      text,
    );
    const said = Object.fromEntries(env.map(({ name, value }) => [name, value]));
    const index = { JOB_COMPLETION_INDEX: `${shard - 1}` };
    return { script: command[2], env: { ...said, ...index, STOWAGE_STORE: dir.join("store") } };
  },
};

async function runJob(
  { script, env }: { script: string; env: Readonly<Record<string, string>> },
  cwd: string,
): Promise<string> {
  await Deno.mkdir(dir.join("bin"), { recursive: true });
  await Deno.symlink(STOWAGE, dir.join("bin/stowage")).catch(() => {});
  const PATH = `${dir.join("bin")}:${Deno.env.get("PATH")}`;
  return await run("timeout", ["120", "bash", "-euo", "pipefail", "-c", script], {
    cwd,
    env: cleanEnv({ PATH, ...env }),
  });
}

describe("a workflow", () => {
  for (const system of CI_SYSTEMS) {
    it(`for ${system} has jobs that do the whole together`, async () => {
      await using other = await startRegistry();
      const sources = Object.fromEntries(pushed.map(({ digest }, at) => [
        `app${at}`,
        docker(`${proxy.host}/acme/app${at + 1}`, { digest }),
      ]));
      const registries = { [proxy.host]: { tlsVerify: false }, [other.host]: { tlsVerify: false } };
      const config = { sources, registries, stages: {} };
      await Deno.writeTextFile(dir.join("images.config.json"), JSON.stringify(config));
      const text = await makeWorkflow(system, {
        shards: 3,
        cache: `${other.host}/ci/cache`,
        ...(system !== "github" && { image }),
      });
      const alike: string[] = [];
      for (const shard of [1, 2, 3]) {
        alike.push(await runJob(jobs[system](text, shard), dir.path));
        await Deno.remove(dir.join(".stowage"), { recursive: true }).catch(() => {});
        await Deno.remove(dir.join("store"), { recursive: true }).catch(() => {});
      }
      assertEquals(new Set(alike).size, 3, "no two jobs do the same");
      const before = proxy.requests.length;
      const { images } = await stowage(
        { ...config, cache: [{ repository: `${other.host}/ci/cache` }] },
        { root: dir.path, store: dir.join("fresh"), platform: "linux/amd64" },
      ).fetch();
      assertEquals(images.map(({ id }) => id), pushed.map(({ id }) => id));
      assertEquals(proxy.requests.slice(before), []);
    });
  }

  it("tries again only what may go well then", async () => {
    const { spec } = read(KubernetesSchema, await makeWorkflow("kubernetes", { cache, image }));
    assertEquals(spec.podFailurePolicy.rules.filter(({ action }) => action === "FailIndex"), [{
      action: "FailIndex",
      onExitCodes: { containerName: "stowage", operator: "In", values: [2, 3, 4] },
    }]);
    assertEquals(spec.completions, 1);
    const { images } = read(GitlabSchema, await makeWorkflow("gitlab", { image }));
    assertEquals(images.retry, { max: 2, exit_codes: [1] });
  });

  it("writes to the cache from the main branch only", async () => {
    const { images } = read(GitlabSchema, await makeWorkflow("gitlab", { image, cache }));
    assertEquals(images.variables, { GIT_DEPTH: "0", CACHE: cache, CACHE_MODE: "read" });
    assertEquals(images.rules.filter((rule) => "variables" in rule), [{
      if: "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
      variables: { CACHE_MODE: "write" },
    }]);
    const { env } = buildStep(read(GithubSchema, await makeWorkflow("github", { cache })));
    assertStringIncludes(env["CACHE"] ?? "", "github.event.repository.default_branch && 'write'");
  });

  it("names no shards where there is one job", async () => {
    const text = await makeWorkflow("github");
    assertEquals(buildStep(read(GithubSchema, text)).script, "stowage build --frozen --out dist");
    assertEquals(read(GithubSchema, text).jobs.build.strategy, undefined);
    assertEquals(
      read(GitlabSchema, await makeWorkflow("gitlab", { image })).images.parallel,
      undefined,
    );
  });

  it("refuses what would not do there, and what is more than a name", async () => {
    const wrong: [CiSystem, Parameters<typeof makeWorkflow>[1], string][] = [
      ["github", { shards: 257 }, "expected 1 to 256 shards, and not 257"],
      ["github", { shards: 0 }, "not 0"],
      ["github", { image }, "its jobs run in no image"],
      ["github", { cache: "acme.io/c\nrun: x" }, "is no repository"],
      ["github", { cache: "acme.io/${{ secrets.TOKEN }}" }, "is no repository"],
      ["github", { cache: "acme.io/c,write" }, "is no repository"],
      ["gitlab", {}, "it needs an image"],
      ["gitlab", { image: "a\nb: c" }, "is no reference to an image"],
      ["gitlab", { image: "acme.io/$HOME" }, "is no reference to an image"],
      ["kubernetes", { image }, "it needs a cache"],
    ];
    for (const [system, options, reason] of wrong) {
      const error = await assertRejects(() => makeWorkflow(system, options), UsageError);
      assertStringIncludes(error.message, reason);
    }
  });

  it("keeps names that YAML would read as something else", async () => {
    const odd = "0x1f.io:5000/12:1e3";
    const { images } = read(GitlabSchema, await makeWorkflow("gitlab", { image: odd }));
    assertEquals(images.image.name, odd);
    const sums = await makeWorkflow("kubernetes", { image: "null", cache: "1.2:30/1" });
    const { spec: { template: { spec: { containers: [container] } } } } = read(
      KubernetesSchema,
      sums,
    );
    assertEquals([container.image, container.env[0]?.value], ["null", "1.2:30/1"]);
  });

  it("is what the pages show", async () => {
    const shown = async (page: string) => {
      const text = await Deno.readTextFile(new URL(page, ROOT));
      return [...text.matchAll(/^```yaml\n(# Made by [\s\S]*?)^```$/gm)].map(([, code = ""]) =>
        parseAll(code)
      );
    };
    assertEquals(await shown("docs/lock.md"), [
      parseAll(await makeWorkflow("github")),
      parseAll(await makeWorkflow("gitlab", { image })),
    ]);
    assertEquals(await shown("docs/fleet.md"), [
      parseAll(await makeWorkflow("kubernetes", { image, cache, shards: 8 })),
    ]);
  });
});

describe("the job that moves pins", () => {
  /** A project in a repository, with a lock that is not of today. */
  async function project(): Promise<{ origin: string; work: string }> {
    const [origin, work] = [dir.join("origin.git"), dir.join("work")];
    const config = { sources: { app: docker(`${proxy.host}/acme/app1:1`, { tlsVerify: false }) } };
    await run("git", ["init", "--quiet", "--bare", "--initial-branch=main", origin]);
    await run("git", ["-C", origin, "config", "receive.advertisePushOptions", "true"]);
    await run("git", ["clone", "--quiet", origin, work]);
    await Deno.writeTextFile(join(work, "images.config.json"), JSON.stringify(config));
    await Deno.writeTextFile(join(work, ".gitignore"), ".stowage/\n");
    const commit = "git checkout -q -B main && git add . && " +
      "git -c user.name=a -c user.email=a@b commit -q -m first && git push -q origin main";
    await run("sh", ["-c", commit], { cwd: work });
    return { origin, work };
  }
  const branches = async (origin: string) =>
    (await run("git", ["-C", origin, "branch", "--format=%(refname:short)"])).trim().split("\n");

  it("for github proposes a new lock once, and nothing where nothing has moved", async () => {
    const { origin, work } = await project();
    const { jobs: { pins } } = read(GithubSchema, await makeWorkflow("github"));
    const script = pins.steps.find(({ run }) => run?.startsWith("stowage lock"))?.run ?? "";
    await Deno.mkdir(dir.join("bin"));
    const gh = `#!/bin/sh
      [ "$2" != list ] || { [ -e ${dir.join("open")} ] && echo 1 || echo 0; exit 0; }
      [ ! -e ${dir.join("open")} ] || exit 1
      echo "$@" > ${dir.join("open")}\n`;
    await Deno.writeTextFile(dir.join("bin/gh"), gh, { mode: 0o755 });
    await runJob({ script, env: {} }, work);
    assertEquals(await branches(origin), ["main", "stowage/pins"]);
    const opened = await Deno.readTextFile(dir.join("open"));
    assertEquals(opened, "pr create --fill --head stowage/pins\n");
    const changed = await run("git", ["-C", origin, "diff", "--name-only", "main", "stowage/pins"]);
    assertEquals(changed, "images.lock.json\n");
    // The next run finds the pull request open; and when it is merged, nothing to do.
    await run("git", ["checkout", "--quiet", "main"], { cwd: work });
    await runJob({ script, env: {} }, work);
    await run("git", ["push", "--quiet", "origin", "stowage/pins:main", ":stowage/pins"], {
      cwd: work,
    });
    await runJob({ script, env: {} }, work);
    assertEquals(await branches(origin), ["main"]);
  });

  it("for gitlab pushes a new lock with a merge request", async () => {
    const { origin, work } = await project();
    const { pins: { script } } = read(GitlabSchema, await makeWorkflow("gitlab", { image }));
    const hook = `#!/bin/sh\necho "$GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1" > ${dir.join("said")}\n`;
    await Deno.writeTextFile(join(origin, "hooks/pre-receive"), hook, { mode: 0o755 });
    const env = { CI_DEFAULT_BRANCH: "main", CI_PROJECT_URL: dir.join("origin"), PINS_TOKEN: "s" };
    await runJob({ script: script.join("\n"), env }, work);
    assertEquals(await branches(origin), ["main", "stowage/pins"]);
    assertEquals(
      await Deno.readTextFile(dir.join("said")),
      "merge_request.create merge_request.target=main\n",
    );
  });
});

describe("stowage ci", () => {
  it("writes a file, and never over another one unless it is told to", async () => {
    const say = async (...args: string[]) => await cli(["ci", ...args], { cwd: dir.path });
    const path = ".github/workflows/images.yml";
    const printed = await say("--for", "github");
    assertEquals(printed.stdout, await makeWorkflow("github"));
    const first = await say("--for", "github", "-o", path);
    assertEquals([first.code, first.stdout], [0, `Wrote ${path}\n`]);
    assertEquals(await Deno.readTextFile(dir.join(path)), await makeWorkflow("github"));
    const args = ["--for", "github", "--shards", "2", "-o", path];
    const again = await say(...args);
    assertEquals(again.code, 2);
    assertStringIncludes(again.stderr, "it is there already");
    assertEquals(await Deno.readTextFile(dir.join(path)), await makeWorkflow("github"));
    assertEquals((await say(...args, "--force")).code, 0);
    assertEquals(
      await Deno.readTextFile(dir.join(path)),
      await makeWorkflow("github", { shards: 2 }),
    );
    const near = await say("--for", "githb");
    assertEquals(near.code, 2);
    assertStringIncludes(near.stderr, 'did you mean "github"?');
  });

  it("makes none for a config that its jobs would not find", async () => {
    await Deno.mkdir(dir.join("repository/.git"), { recursive: true });
    await Deno.mkdir(dir.join("repository/images"));
    const args = ["ci", "--for", "github"];
    assertEquals((await cli(args, { cwd: dir.join("repository") })).code, 0);
    const inner = await cli(args, { cwd: dir.join("repository/images") });
    assertEquals([inner.code, inner.stdout], [2, ""]);
    assertStringIncludes(inner.stderr, `its jobs work in "${dir.join("repository")}"`);
    const other = await cli([...args, "-c", "images/images.config.ts"], { cwd: dir.path });
    assertEquals([other.code, other.stdout], [2, ""]);
  });
});
