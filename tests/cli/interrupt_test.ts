import { assert, assertEquals } from "@std/assert";
import { exists } from "@std/fs/exists";
import { describe, it } from "@std/testing/bdd";
import { type ProxyRequest, run } from "../support/mod.ts";
import { cleanEnv, jsonLines, processesWith, STOWAGE, stowage, writeConfig } from "./cli.ts";
import { appsFixture, source } from "./fixture.ts";

/** Ctrl-C goes to skopeo, too; a signal from elsewhere does not. */
const WAYS = [
  ["SIGINT, as Ctrl-C sends it", ["-INT", "--"], "-"],
  ["SIGINT", ["-INT", "--"], ""],
  ["SIGTERM", ["-TERM", "--"], ""],
] as const;

/** Of one image skopeo gets no answer; the layers of the others are on their way. */
const isOf = (name: string, { path, headers }: ProxyRequest) =>
  path.includes(`/${name}/`) && (headers["user-agent"]?.startsWith("skopeo") ?? false);

const { dir, proxy, tool } = await appsFixture();

describe("an interrupt in the middle of a download", () => {
  for (const [name, flags, prefix] of WAYS) {
    it(`ends it in order: ${name}`, async () => {
      proxy.rules.push(
        { match: (request) => isOf("web", request), fault: "hang" },
        { match: /^GET .*\/blobs\//, fault: { slow: 100_000 } },
      );
      await writeConfig(dir, {
        sources: {
          tool: source(`${proxy.host}/apps/tool:1`),
          web: source(`${proxy.host}/apps/web:1`),
        },
      });
      // setsid makes it a process group of its own, as a shell does.
      const child = new Deno.Command("setsid", {
        args: ["sh", STOWAGE, "fetch", "--json"],
        cwd: dir.path,
        env: cleanEnv(),
        clearEnv: true,
        stdin: "null",
        stdout: "piped",
      }).spawn();
      let stdout = "";
      let isSent = false;
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        stdout += chunk;
        if (isSent || !stdout.includes('"type":"progress"')) continue;
        if (!proxy.requests.some((request) => isOf("web", request))) continue;
        isSent = true;
        assert((await processesWith(dir.path)).some((line) => line.includes("skopeo")));
        await run("kill", [...flags, `${prefix}${child.pid}`]);
      }
      const { code } = await child.status;
      assertEquals(code, 130);
      const last = jsonLines(stdout).at(-1);
      assertEquals(
        [last?.["type"], last?.["exitCode"], Object(last?.["error"]).code],
        ["result", 130, "INTERRUPTED"],
      );
      assertEquals(jsonLines(stdout).filter(({ type }) => type === "failed"), []);
      assertEquals(await processesWith(dir.path), []);
      assertEquals(await Array.fromAsync(Deno.readDir(dir.join(".stowage/tmp"))), []);
      assertEquals(
        await exists(dir.join(".stowage/sources/org.osbuild.containers", tool.id)),
        false,
      );

      proxy.rules.length = 0;
      const again = await stowage(["fetch"], { cwd: dir.path });
      assertEquals(again.code, 0, again.stderr);
    });
  }

  it("says so, without a stack trace", async () => {
    const asked = Promise.withResolvers<void>();
    const match = ({ path }: ProxyRequest) => {
      if (path.includes("/manifests/")) asked.resolve();
      return path.includes("/manifests/");
    };
    proxy.rules.push({ match, fault: "hang" });
    await writeConfig(dir, { sources: { tool: source(`${proxy.host}/apps/tool:1`) } });
    const child = new Deno.Command("sh", {
      args: [STOWAGE, "fetch"],
      cwd: dir.path,
      env: cleanEnv(),
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await Promise.race([asked.promise, child.status]);
    child.kill("SIGINT");
    const { code, stdout, stderr } = await child.output();
    assertEquals([code, stdout.length], [130, 0]);
    assertEquals(
      new TextDecoder().decode(stderr).replace(/^note .*\n/, ""),
      "error: Interrupted: the store is whole; run it again to go on\n",
    );
  });
});
