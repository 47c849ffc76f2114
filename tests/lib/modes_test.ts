import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { join } from "@std/path";
import { docker, fromDir } from "@stowage/stowage";
import { makeFolder } from "../../src/lib/fs/modes.ts";
import { openWorkspace } from "../../src/store/workspace.ts";
import { fixture } from "../support/fixture.ts";
import { copyTo, fileLayer, pushImage, pushIndex, run } from "../support/mod.ts";
import { jsonLines, STOWAGE, stowage, writeConfig } from "../cli/cli.ts";
import { eventsOf, mustFetch } from "../sources/fixture.ts";
import { runJob } from "../sources/job.ts";

const http = { tlsVerify: false };

const { dir, registry } = await fixture({ registry: true });
const app = await pushImage(registry, "app", { layers: [await fileLayer({ a: "b" })] });
await pushIndex(registry, "app:1", [app]);

/** Type, mode and name of all in a folder. */
async function modesOf(folder: string): Promise<string[][]> {
  const listing = await run("find", [folder, "-printf", "%y %m %p\\n"]);
  return listing.trim().split("\n").map((line) => line.split(" "));
}

function assertSafe(modes: string[][]) {
  for (const [type, mode, path] of modes) {
    // A blob that images share may lack what nobody needs.
    const right = type === "d" ? ["755"] : ["644", "444"];
    assert(mode !== undefined && right.includes(mode), `${path} has the mode ${mode}`);
  }
}

for (const umask of ["000", "022", "077"]) {
  describe(`with the umask ${umask}`, () => {
    const prefix = ["sh", "-c", `umask ${umask}; exec "$@"`, "sh"];

    it("all may read what is fetched, and only the owner write it", async () => {
      await Deno.chmod(dir.path, 0o755);
      await copyTo(registry, app, `dir:${dir.join("image")}`);
      const sources = {
        app: docker(`${registry.host}/app:1`, { ...http, index: true }),
        own: fromDir(dir.join("image")),
      };
      const { images, errors } = await runJob(
        { sources, options: { store: dir.join("store") } },
        prefix,
      );
      assertEquals([images.length, errors], [2, {}]);
      assertSafe(await modesOf(dir.join("store")));
    });

    it("all may read what is built, and only the owner write it", async () => {
      await Deno.mkdir(dir.join("rootfs"), { mode: 0o755 });
      await Deno.chmod(dir.join("rootfs"), 0o755);
      await writeConfig(dir, {
        sources: { app: { type: "docker", reference: `${registry.host}/app:1`, ...http } },
        inputs: {
          apps: { type: "images", images: [{ source: "app" }] },
          rootfs: { type: "tree", path: "rootfs" },
        },
        stages: {
          os: { type: "copy-tree", inputs: ["rootfs"], to: "/usr/lib" },
          run: { type: "exec", on: "os", command: ["sh", "-c", "mkdir etc; : > etc/motd"] },
          save: { type: "docker-archive", on: "run", inputs: ["apps"], path: "/srv/images" },
        },
      });
      const [shell = "", ...args] = [...prefix, "sh", STOWAGE, "build", "--out", "dist"];
      await run(shell, args, { cwd: dir.path });
      assertSafe(await modesOf(dir.join(".stowage")));
      assertSafe(await modesOf(dir.join("dist")));
      const said = await stowage(["build", "--json"], { cwd: dir.path });
      assertEquals(said.code, 0);
      const cached = jsonLines(said.stdout).filter(({ type }) => type === "stage");
      assertEquals(cached.map(({ status }) => status), ["cached", "cached", "cached"]);
    });

    it("nobody else sees what is being worked on", async () => {
      const before = Deno.umask(parseInt(umask, 8));
      try {
        await using workspace = await openWorkspace(dir.path);
        assertEquals((await Deno.stat(workspace.path)).mode! & 0o777, 0o700);
      } finally {
        Deno.umask(before);
      }
    });
  });
}

describe("makeFolder()", () => {
  it("ends where no folder can be made, although the one above is there", async () => {
    await assertRejects(() => makeFolder("/proc/stowage/sources"), Deno.errors.NotFound);
  });
});

describe("a store that other users may write to", () => {
  it("as it is theirs, is used with a notice", async () => {
    const store = dir.join("store");
    await Deno.mkdir(store, { mode: 0o755 });
    await Deno.chown(store, 1234, 1234);
    const { events } = await mustFetch(docker(app.reference, http), { store });
    const [notice] = eventsOf(events, "notice").filter(({ code }) => code === "STORE_OPEN");
    assert(notice?.message.startsWith(`other users may write to "${store}", and`));
  });

  it("as its modes are, is used, and a notice says which of its folders", async () => {
    const store = dir.join("store");
    const open = join(store, "sources/org.osbuild.containers");
    await Deno.mkdir(open, { recursive: true });
    await Deno.chmod(open, 0o777);
    const { events } = await mustFetch(docker(app.reference, http), { store });
    const [notice, ...others] = eventsOf(events, "notice").filter(({ code }) =>
      code === "STORE_OPEN"
    );
    assertEquals(others, []);
    assert(notice?.message.startsWith(`other users may write to "${open}", and`), notice?.message);
    await Deno.chmod(open, 0o775);
    const again = await mustFetch(docker(app.reference, http), { store });
    assertEquals(eventsOf(again.events, "notice").map(({ code }) => code), [
      ...eventsOf(events, "notice").map(({ code }) => code).filter((code) => code !== "STORE_OPEN"),
    ]);
  });
});
