import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { it } from "@std/testing/bdd";
import { docker } from "@stowage/stowage";
import { fixture } from "../support/fixture.ts";
import { fileLayer, pushImage } from "../support/mod.ts";
import { runJob } from "./job.ts";

const { dir, store, registry } = await fixture({ registry: true });
await pushImage(registry, "app:1", { layers: [await fileLayer({ a: "b" })] });

it("a program that is called skopeo, and copies nothing, is told as such", async () => {
  const bin = dir.join("bin");
  await Deno.mkdir(bin);
  await Deno.writeTextFile(join(bin, "skopeo"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
  const { errors } = await runJob({
    sources: { app: docker(`${registry.host}/app:1`, { tlsVerify: false }) },
    options: { store },
    env: { PATH: `${bin}:${Deno.env.get("PATH")}` },
  });
  const { code, message = "", hint = "" } = errors["source/app"] ?? {};
  assertEquals(code, "TOOL_FAILED");
  assertStringIncludes(message, "skopeo exited with 0: it has copied nothing");
  assertStringIncludes(hint, "skopeo on the PATH");
});
