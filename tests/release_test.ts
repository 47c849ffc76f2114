import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { describe, it } from "@std/testing/bdd";
import * as v from "valibot";
import denoJson from "../deno.json" with { type: "json" };
import { fixture } from "./support/fixture.ts";
import { run } from "./support/mod.ts";

const { dir } = await fixture();
const { version } = denoJson;
const [tarball, sbom] = [`stowage-stowage-${version}.tgz`, `stowage-${version}.spdx.json`];
const ROOT = fromFileUrl(new URL("../", import.meta.url));
const SbomSchema = v.object({
  spdxVersion: v.literal("SPDX-2.3"),
  packages: v.array(v.object({ name: v.string(), versionInfo: v.string() })),
});

async function release(folder: string, ...parts: string[]): Promise<string> {
  const env = { SOURCE_DATE_EPOCH: "1700000000" };
  return await run("sh", [`${ROOT}scripts/release.sh`, folder, ...parts], { env });
}

describe("a release", () => {
  it("has the same bytes in each run, their sums, and a package that runs alone", async () => {
    const [one, two] = [dir.join("one"), dir.join("two")];
    const sums = await release(one, "npm", "sbom");
    assertEquals(await release(two, "npm", "sbom"), sums);
    for (const folder of [one, two]) {
      const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
      assertEquals(names.sort(), ["SHA256SUMS", tarball, sbom].sort());
      await run("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: folder });
    }
    const { packages } = v.parse(SbomSchema, JSON.parse(await Deno.readTextFile(`${one}/${sbom}`)));
    assert(packages.some(({ name, versionInfo }) => name === "valibot" && versionInfo !== ""));
    assertEquals(packages[0], { name: denoJson.name, versionInfo: version });

    // The package needs no other.
    await run("tar", ["-xzf", tarball], { cwd: one });
    const bare = ["run", "-A", "--quiet", "--no-config", "--no-lock", "--no-remote", "--no-npm"];
    const map = ["--import-map", "package/import_map.json"];
    const args = [...bare, ...map, "package/src/cli/main.js"];
    assertStringIncludes(await run(Deno.execPath(), [...args, "version"], { cwd: one }), version);
    const worker = ["worker", "--queue", "redis:///nowhere", "--cache", "acme.io/cache,write"];
    const error = await assertRejects(
      () => run(Deno.execPath(), [...args, ...worker], { cwd: one }),
      Error,
    );
    assertStringIncludes(error.message, "Cannot reach the queue redis:///nowhere: connect ENOENT");
    const { exports } = JSON.parse(await Deno.readTextFile(`${one}/package/package.json`));
    const types = await Deno.readTextFile(`${one}/package/${exports["."].types}`);
    assertStringIncludes(types, "defineConfig");
  });
});
