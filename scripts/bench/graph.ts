import { type Config, docker, images, install } from "../../config/mod.ts";
import { compile } from "../../src/graph/compile.ts";
import type { Case } from "./cases.ts";
import { denoRun, stowage, writeConfig } from "./programs.ts";

const STAGES = 2_500;

/** A config of 10,000 nodes: two sources, an input and a stage, 2,500 times. */
export const graphLarge: Case = async ({ dir }) => {
  const numbers = Array.from({ length: STAGES }, (_, index) => index);
  const config: Config = {
    sources: Object.fromEntries(numbers.flatMap((n) => [
      [`web-${n}`, docker(`registry.example.org/team-${n % 50}/web-${n}:1.${n}`)],
      [`log-${n}`, docker(`registry.example.org/team-${n % 50}/log-${n}:2.${n}`)],
    ])),
    inputs: Object.fromEntries(numbers.map((n) => [
      `apps-${n}`,
      images({ [`web-${n}`]: `localhost/web-${n}:1`, [`log-${n}`]: `localhost/log-${n}:2` }),
    ])),
    stages: Object.fromEntries(numbers.map((n) => [
      `os-${n}`,
      install({ inputs: [`apps-${n}`], destination: { type: "containers-storage" } }),
    ])),
  };
  const json = await writeConfig(dir, "large.json", config);
  const module = dir.join("large.ts");
  const text = `import { defineConfig } from "@stowage/stowage";
export default defineConfig(${JSON.stringify(config, undefined, 2)});
`;
  await Deno.writeTextFile(module, text);
  const changed = dir.join("changed.ts");
  let changes = 0;
  const parse = 'JSON.parse(await Deno.readTextFile(Deno.args[0] ?? ""));';
  return [{
    id: "graph-10000",
    title: `a config of ${4 * STAGES} nodes`,
    contenders: [
      { name: "deno: JSON.parse", run: await denoRun(dir, "parse.ts", parse, json) },
      { name: "compile() in-process", run: () => compile(config) },
      { name: "check, JSON", run: stowage("check", "--config", json) },
      { name: "check, TypeScript", run: stowage("check", "--config", module) },
      {
        name: "check, TypeScript, just changed",
        run: stowage("check", "--config", changed),
        before: () => Deno.writeTextFile(changed, `${text}// change ${Date.now()}-${changes++}\n`),
      },
      { name: "graph, JSON", run: stowage("graph", "--format", "text", "--config", json) },
      { name: "graph, TypeScript", run: stowage("graph", "--format", "text", "--config", module) },
    ],
  }];
};
