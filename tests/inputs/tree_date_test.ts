import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Config,
  copyTree,
  exec,
  InterruptedError,
  ociArchive,
  output,
  tree,
  type TreePatterns,
} from "@stowage/stowage";
import { treeDate } from "../../src/tools/tree_date.ts";
import { idsOf, mustBuild, treeOf } from "../build/fixture.ts";
import { fixture } from "../support/fixture.ts";
import { run } from "../support/mod.ts";

const { dir, at } = await fixture();

/** Runs a script in a folder; `commit TIME` makes a commit of all of it. */
async function sh(script: string, folder = ""): Promise<string> {
  const commit = `commit() { git add --all; GIT_COMMITTER_DATE="@$1 +0000" git -c user.name=x \\
      -c user.email=x@localhost commit --quiet --allow-empty --message x; }`;
  return await run("sh", ["-euc", `${commit}\n${script}`], { cwd: dir.join(folder) });
}

const dateOf = async (folder: string, patterns?: TreePatterns) =>
  await treeDate(dir.join(folder), patterns);

describe("the date of a tree", () => {
  it("is that of its newest file or folder outside of git, or of files that are meant", async () => {
    await sh(`mkdir -p app/sub; echo 1 >app/old; echo 2 >app/sub/new; ln -s gone app/link
      touch -d @100 app/old app/sub app; touch -d @200.9 app/sub/new; touch -hd @150 app/link`);
    assertEquals(await dateOf("app"), { date: 200 });
    assertEquals(await dateOf("app", { exclude: ["sub/new"] }), { date: 150 });
    assertEquals(await dateOf("app", { include: ["old"] }), { date: 100 });
    // What takes the place of another may be older.
    await sh("mv app/old app/sub/new; touch -d @300 app/sub; touch -d @250 app");
    assertEquals(await dateOf("app"), { date: 300 });
    await sh("touch -d @-5 app app/sub app/sub/new; rm app/link; touch -d @-5 app");
    assertEquals(await dateOf("app"), { date: 0 });
  });

  it("is that of the last commit that changed it, in all clones", async () => {
    await sh(
      `git init --quiet repo; cd repo; mkdir -p app/doc other; echo 1 >app/a; echo 1 >app/doc/b
      commit 1000; echo 2 >app/doc/b; commit 2000; echo 2 >other/a; commit 3000; commit 4000
      git clone --quiet . ../clone`,
    );
    for (const folder of ["repo", "clone"]) {
      assertEquals(await dateOf(`${folder}/app`), { date: 2000 });
      assertEquals(await dateOf(`${folder}/other`), { date: 3000 });
      assertEquals(await dateOf(folder), { date: 3000 });
      assertEquals(await dateOf(`${folder}/app`, { exclude: ["/{doc,x}"] }), { date: 1000 });
      assertEquals(await dateOf(folder, { include: ["app/*"], exclude: ["**/b"] }), { date: 1000 });
    }
  });

  it("is that of what is not committed, if that is later", async () => {
    await sh(`git init --quiet repo; cd repo; mkdir -p app/in/it; cd app; echo out >.gitignore
      for each in a b in/it/c; do echo 1 >$each; done; commit 1000`);
    const is = async (date: number, script: string, patterns?: TreePatterns) => {
      await sh(script, "repo/app");
      assertEquals(await dateOf("repo/app", patterns), { date }, script);
    };
    await is(1000, "touch -d @5000 a");
    await is(1000, "echo 2 >a; touch -d @900 a");
    await is(2000, "touch -d @2000 a");
    await is(2000, "git add a");
    await is(3000, `echo 1 >"$(printf 'n\\nl \\303\\251')"; touch -d @3000 n*`);
    await is(4000, "mkdir -p out/x; echo 1 >out/x/y; touch -d @4000 out/x/y");
    await is(3000, ":", { exclude: ["out"] });
    await is(4500, "git init --quiet inner; find inner -exec touch -d @4500 {} +");
    await is(6000, "rm -r inner out n* in/it/c; touch -d @6000 in/it");
    await is(7000, "rm -r in; touch -d @7000 .");
  });

  it("is that of the files where git has no commit of them", async () => {
    await sh("git init --quiet repo; mkdir -p repo/app repo/none; echo 1 >repo/app/a");
    await sh("touch -d @100 repo/app/a repo/none");
    assertEquals(await dateOf("repo/app"), { date: 100 });
    assertEquals(await dateOf("repo/none"), { date: 100 });
  });

  it("is in doubt where git cannot tell", async () => {
    await sh(`git init --quiet repo; cd repo; mkdir app other; echo 1 >app/a; touch -d @50 app app/a
      commit 1000; echo 1 >other/a; commit 2000
      git clone --quiet --depth 1 "file://$PWD" ../shallow; mkdir ../bad; cp -a app ../bad; mkdir ../bad/.git`);
    const shallow = await dateOf("shallow/app");
    assertEquals(shallow.date, 2000);
    assertStringIncludes(shallow.doubt ?? "", "fetch-depth: 0");
    const bad = await dateOf("bad/app");
    assertEquals(bad.date, 50);
    assertStringIncludes(bad.doubt ?? "", 'git fails with "not a git repository');
    await run("chown", ["-R", "1234:1234", dir.join("repo")]);
    const foreign = await dateOf("repo/app");
    assertEquals(foreign.date, 50);
    assertStringIncludes(foreign.doubt ?? "", "dubious ownership");
    const { PATH = "" } = Deno.env.toObject();
    try {
      await sh('mkdir bin; ln -s "$(command -v find)" "$(command -v setsid)" bin');
      Deno.env.set("PATH", dir.join("bin"));
      assertEquals(await dateOf("repo/app"), {
        date: 50,
        doubt: "git is not installed: install it",
      });
    } finally {
      Deno.env.set("PATH", PATH);
    }
    const inputs = { app: tree("shallow/app"), other: tree("shallow/other") };
    const stages = { os: copyTree({ inputs: ["app", "other"] }) };
    const told = async (epoch?: number) => {
      const options = { ...at, ...(epoch !== undefined && { epoch }) };
      const { events } = await mustBuild({ inputs, stages }, options);
      return events.flatMap((event) => event.type === "notice" ? [event.message] : []);
    };
    assertEquals(await told(), [
      'Another checkout may date the files of "app", "other" otherwise, as the clone is shallow: ' +
      "fetch all of its history (fetch-depth: 0), or set SOURCE_DATE_EPOCH",
    ]);
    assertEquals(await told(7), []);
  });

  it("is asked for without what the user's environment or the repository runs", async () => {
    await sh(`git init --quiet repo; cd repo; echo 1 >a; commit 1000; echo 2 >a; touch -d @2000 a
      printf '#!/bin/sh\\n: >"%s"\\n' "$PWD/../ran" >hook; chmod +x hook; touch -d @1 hook
      mkdir hooks; cp hook hooks/post-index-change; touch -d @1 hooks/*
      git config core.fsmonitor "$PWD/hook"; git config core.hooksPath hooks
      git config color.ui always; git config log.showSignature true`);
    const own = { GIT_DIR: "/nowhere", GIT_INDEX_FILE: "/nowhere", GIT_TRACE: "2", LC_ALL: "de" };
    for (const [name, value] of Object.entries(own)) Deno.env.set(name, value);
    try {
      assertEquals(await dateOf("repo"), { date: 2000 });
    } finally {
      for (const name of Object.keys(own)) Deno.env.delete(name);
    }
    await assertRejects(() => Deno.stat(dir.join("ran")), Deno.errors.NotFound);
  });

  it("is not asked for once the run has ended", async () => {
    await sh("git init --quiet repo; cd repo; echo 1 >a; commit 1000");
    const find = () => treeDate(dir.join("repo"), undefined, AbortSignal.abort());
    await assertRejects(find, InterruptedError);
  });

  it("is that of what stages make of the tree, and of nothing else", async () => {
    await sh(`git init --quiet .; mkdir app conf; echo store >.gitignore; echo 1 >app/a; commit 1000
      echo 1 >conf/b; commit 2000`);
    const archive = { compression: "none", filename: "i.tar", name: "localhost/i:1" } as const;
    const config: Config = {
      inputs: {
        ...{ app: tree("app"), conf: tree("conf"), old: tree("conf", { dates: "epoch" }) },
        ...{ os: tree({ stage: "os" }), image: output("image") },
      },
      stages: {
        os: copyTree({ inputs: ["app"], to: "/srv" }),
        next: exec({ on: "os", command: ["sh", "-c", 'echo "$SOURCE_DATE_EPOCH" >epoch'] }),
        layers: ociArchive({ ...archive, inputs: ["app", "conf", "old"] }),
        image: ociArchive({ ...archive, inputs: ["os"] }),
        last: exec({
          inputs: ["image"],
          command: ["sh", "-c", 'echo "$SOURCE_DATE_EPOCH" >epoch'],
        }),
        bare: exec({ command: ["sh", "-c", 'echo "$SOURCE_DATE_EPOCH" >epoch'] }),
      },
    };
    const build = await mustBuild(config, { ...at, keepStages: true });
    const seen = (name: string) => Deno.readTextFile(`${treeOf(build, name)}/epoch`);
    assertEquals([await seen("next"), await seen("last"), await seen("bare")], [
      ...["1000\n", "1000\n", "0\n"],
    ]);
    const times = await run("find", [treeOf(build, "os"), "-printf", "%P %Ts\n"]);
    assertEquals(times.trim().split("\n").sort(), ["1000", "srv 1000", "srv/a 1000"]);
    const layers = async (name: string) => {
      const script = `umask 077; mkdir l; tar -xf "$0/i.tar" -C l; stat -c %Y "$0/i.tar"
        skopeo inspect oci:l --format '{{.Created.Unix}}'
        for each in $(skopeo inspect oci:l --format '{{range .Layers}}{{.}} {{end}}'); do
          tar -tvf "l/blobs/sha256/\${each#*:}" --full-time --utc | sed 's/.* \\(1970-.*\\)/\\1/'
        done; rm -r l`;
      return (await sh(script.replaceAll("$0", treeOf(build, name)))).trim().split("\n");
    };
    assertEquals(await layers("layers"), [
      ...["2000", "2000", "1970-01-01 00:16:40 a", "1970-01-01 00:33:20 b"],
      "1970-01-01 00:00:00 b",
    ]);
    assertEquals(await layers("image"), [
      ...["1000", "1000", "1970-01-01 00:16:40 srv/", "1970-01-01 00:16:40 srv/a"],
    ]);
    await sh("commit 3000; echo 2 >conf/b; commit 4000");
    const after = idsOf(await mustBuild(config, { ...at, keepStages: true }));
    const before = idsOf(build);
    assertEquals(Object.keys(before).filter((name) => before[name] !== after[name]), ["layers"]);
  });

  it("is the latest that clamped files have", async () => {
    await sh(`git init --quiet .; echo store >.gitignore; mkdir app; echo 1 >app/a; echo 1 >app/b
      touch -d @500 app/a; commit 1000`);
    const build = await mustBuild({
      inputs: { app: tree("app", { dates: "clamp" }) },
      stages: { os: copyTree({ inputs: ["app"] }) },
    }, at);
    const times = await run("find", [treeOf(build, "os"), "-type", "f", "-printf", "%f %Ts\n"]);
    assertEquals(times.trim().split("\n").sort(), ["a 500", "b 1000"]);
  });
});
