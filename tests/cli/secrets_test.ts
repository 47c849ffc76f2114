import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fixture } from "../support/fixture.ts";
import { busyboxLayer, pushImage } from "../support/mod.ts";
import { stowage, writeConfig } from "./cli.ts";
import { source } from "./fixture.ts";

const auth = { user: "ann", password: "h0rse-battery" };
const { dir, registry } = await fixture({ registry: { auth } });

describe("secrets", () => {
  it("are used, and never shown", async () => {
    await pushImage(registry, "apps/tool:1", { layers: [await busyboxLayer()] });
    const login = async (name: string, password: string) => {
      const auth = btoa(`ann:${password}`);
      await Deno.writeTextFile(
        dir.join(name),
        JSON.stringify({ auths: { [registry.host]: { auth } } }),
      );
      return [password, auth];
    };
    const secrets = [
      ...await login("right.json", "h0rse-battery"),
      ...await login("wrong.json", "c0rrect-staple"),
    ];
    const reference = `${registry.host}/apps/tool:1`;
    await writeConfig(dir, {
      sources: {
        right: source(reference, { authFile: "right.json" }),
        wrong: source(reference, { authFile: "wrong.json" }),
        none: source(reference),
      },
    });
    for (const args of [["fetch", "--debug"], ["fetch", "--json"], ["plan"], ["graph", "--json"]]) {
      const { stdout, stderr } = await stowage(args, { cwd: dir.path });
      const said = stdout + stderr;
      for (const secret of secrets) assertEquals(said.includes(secret), false, said);
      if (args[0] !== "graph") assertStringIncludes(said, "denied");
    }
    const { code } = await stowage(["fetch", "right"], { cwd: dir.path });
    assertEquals(code, 0);
  });
});
