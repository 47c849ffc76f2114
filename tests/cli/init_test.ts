import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { addToModule } from "../../src/cli/edit_config.ts";
import { stowage } from "./cli.ts";
import { appsFixture } from "./fixture.ts";

const { dir, registry, web } = await appsFixture();
const cli = (...args: string[]) => stowage(args, { cwd: dir.path });
const must = async (...args: string[]) => {
  const { code, stdout, stderr } = await cli(...args);
  assertEquals([code, stderr], [0, ""]);
  return stdout;
};
const refusal = async (...args: string[]) => {
  const { code, stdout, stderr } = await cli(...args);
  assertEquals(stdout, "");
  return { code, stderr };
};
const read = (name: string) => Deno.readTextFile(dir.join(name));

describe("stowage init", () => {
  it("begins a project that Deno and stowage understand alike, without a network", async () => {
    assertEquals(
      await must("init", "--offline"),
      "Wrote images.config.ts, deno.json, .gitignore\n",
    );
    assertEquals(await must("check"), "The config is right: 0 sources, 0 inputs, 0 stages\n");
    assertEquals(await read(".gitignore"), ".stowage/\ndist/\n");
    await must("add", "--offline", "--quiet", "nginx");
    await Deno.writeTextFile(
      dir.join("wrong.ts"),
      'import { docker } from "@stowage/stowage";\ndocker(5);\n',
    );
    const deno = async (...args: string[]) => {
      const { code, stderr } = await new Deno.Command("unshare", {
        args: ["--net", Deno.execPath(), ...args],
        cwd: dir.path,
        env: { HOME: dir.path, DENO_DIR: dir.join("cache"), NO_COLOR: "1" },
      }).output();
      return { code, text: new TextDecoder().decode(stderr) };
    };
    const { text } = await deno("check", "images.config.ts", "wrong.ts");
    assertMatch(text, /'number' is not assignable to .*'string'/);
    assertEquals([...text.matchAll(/\bat (.*):\d+:\d+$/gm)].map(([, file]) => file), [
      `file://${dir.join("wrong.ts")}`,
    ]);
    assertEquals((await deno("run", "-A", "images.config.ts")).code, 0);
  });

  it("overwrites nothing, and says what to paste", async () => {
    await Deno.writeTextFile(dir.join("deno.json"), "{}\n");
    await Deno.writeTextFile(dir.join(".gitignore"), "node_modules/\n.stowage/\n");
    const text = await must("init", "--sdk", "npm");
    assertMatch(text, /^Wrote images\.config\.ts\n/);
    assertMatch(
      text,
      /add to .*deno\.json:\n.*\n? +"@stowage\/stowage": "npm:@stowage\/stowage@\^/s,
    );
    assertStringIncludes(text, "add to .gitignore: dist/\n");
    assertEquals([await read("deno.json"), await read(".gitignore")], [
      "{}\n",
      "node_modules/\n.stowage/\n",
    ]);
    assertMatch(await must("init", "--sdk", "jsr"), /^All is there already\n/);
    assertStringIncludes((await refusal("init", "x")).stderr, "--from osbuild");
  });
});

describe("stowage add", () => {
  const REF = `${registry.host}/apps/web:1`;

  it("adds sources to the config and to its lock, or to neither", async () => {
    const config = 'import { defineConfig } from "@stowage/stowage";\n\n' +
      'export default defineConfig({\n  sources: {\n    // Ours.\n  },\n  digests: "require",\n});\n';
    await Deno.writeTextFile(dir.join("images.config.ts"), config);
    assertEquals(
      await must("add", REF, "--tls-verify=false", "--platform", "arm64"),
      'Added "web" to images.config.ts and its lock\n',
    );
    const added = await read("images.config.ts");
    assertStringIncludes(added, "import { defineConfig, docker }");
    assertStringIncludes(
      added,
      `    // Ours.\n    web: docker("${REF}", { platform: "arm64", tlsVerify: false }),\n  },\n`,
    );
    assertStringIncludes(await read("images.lock.json"), web[1].digest);
    const lock = await read("images.lock.json");
    const missing = `${registry.host}/apps/none:1`;
    assertEquals((await refusal("add", missing, "--tls-verify=false")).code, 1);
    assertEquals([await read("images.config.ts"), await read("images.lock.json")], [added, lock]);
    assertEquals(
      (await refusal("add", REF)).stderr,
      'error: Cannot add "web": there is a source of that name\n' +
        "  → choose another one with --as NAME\n",
    );
  });

  it("leaves the rest of the config as it is, whatever its form", async () => {
    const forms: [string, string][] = [
      ["export default { sources: { a: 1 as never } };", "sources: { a: 1 as never,\n"],
      [
        'import { docker as d } from "@stowage/stowage";\nconst config = {\n\tsources: {\n' +
        '\t\ta: d("a") // the first\n\t},\n} satisfies object;\nexport default config;\n',
        '\t\ta: d("a"), // the first\n\t\tnginx: d("docker.io/library/nginx:latest"),\n\t},\n',
      ],
      [
        'import * as s from "@stowage/stowage";\nexport default s.defineConfig({});\n',
        "",
      ],
      [
        'import { defineConfig } from "@stowage/stowage";\nexport default defineConfig({\n' +
        '  platform: "arm64",\n});\n',
        '{\n  sources: {\n    nginx: docker("docker.io/library/nginx:latest"),\n  },\n  platform',
      ],
      ["const all = {};\nexport default { sources: { ...all } };\n", ""],
    ];
    for (const [text, wanted] of forms) {
      const source = { name: "nginx", reference: "docker.io/library/nginx:latest", options: {} };
      const edited = addToModule(text, [source]);
      assertEquals(edited !== undefined, wanted !== "", text);
      if (edited) assertStringIncludes(edited.text, wanted);
    }
    await Deno.writeTextFile(dir.join("images.config.ts"), forms[4]?.[0] ?? "");
    const { code, stderr } = await refusal("add", "nginx");
    assertEquals(code, 2);
    assertStringIncludes(stderr, '    nginx: docker("docker.io/library/nginx:latest"),\n  → paste');
    await Deno.remove(dir.join("images.config.ts"));
    await Deno.writeTextFile(dir.join("images.config.json"), '{\n    "digests": "warn"\n}\n');
    await must("add", "nginx", "--offline");
    assertEquals(
      await read("images.config.json"),
      '{\n    "digests": "warn",\n    "sources": {\n        "nginx": {\n' +
        '            "type": "docker",\n' +
        '            "reference": "docker.io/library/nginx:latest"\n        }\n    }\n}\n',
    );
  });
});
