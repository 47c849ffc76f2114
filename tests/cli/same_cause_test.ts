import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fixture } from "../support/fixture.ts";
import { jsonLines, stowage, writeConfig } from "./cli.ts";
import { source } from "./fixture.ts";

const { dir, proxy } = await fixture({ registry: true });

/** Sources that are at one place, and how many errors `fetch` tells of them. */
async function errorsOf(sources: Readonly<Record<string, unknown>>): Promise<string[]> {
  await writeConfig(dir, { digests: "ignore", sources });
  const { code, stderr } = await stowage(["fetch", "--attempts", "1"], { cwd: dir.path });
  assertEquals(code, 1, stderr);
  return stderr.slice(stderr.indexOf("error: ")).split(/^error: /m).slice(1);
}

describe("sources that fail", () => {
  const names = Array.from({ length: 12 }, (_, at) => `app-${at}`);

  it("of one cause are told once, with their names", async () => {
    const { host } = proxy;
    for (const status of [401, 404, 500]) {
      proxy.rules.splice(0, 1, { match: /./, fault: { status } });
      const all = names.map((name) => [name, source(`${host}/team/${name}:1`)]);
      const errors = await errorsOf(Object.fromEntries(all));
      assertEquals(errors.length, 1, errors.join("\n"));
      const [error = ""] = errors;
      const [first, ...others] = names;
      assertStringIncludes(error, `Cannot fetch "${first}"`);
      assertStringIncludes(error, `\n  the same for ${others.join(", ")}\n`);
      assertStringIncludes(error, "Cannot finish: 12 of 12 failed");
    }
  });

  it("of several causes are told one by one", async () => {
    const nobody = "127.0.0.1:1";
    const errors = await errorsOf({
      a: source(`${proxy.host}/a:1`),
      b: source(`${nobody}/b:1`),
      c: source(`${nobody}/c:1`),
    });
    assertEquals(
      errors.map((error) => error.split("\n")[0]),
      ["a", "b"].map((name) => `Cannot fetch "${name}": no place served it`),
    );
    assertStringIncludes(errors[1] ?? "", "the same for c\n");
  });

  it("are all told to programs", async () => {
    await writeConfig(dir, {
      digests: "ignore",
      sources: Object.fromEntries(names.map((name) => [name, source(`${proxy.host}/${name}:1`)])),
    });
    const { stdout } = await stowage(["fetch", "--json"], { cwd: dir.path });
    const { failures } = Object(jsonLines(stdout).at(-1)?.["error"]);
    assertEquals(Object.keys(failures).length, 12);
  });
});
