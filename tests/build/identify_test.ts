import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  type Config,
  copyTree,
  exec,
  ociArchive,
  parsePlatform,
  tree,
} from "../../mod.ts";
import { identify, type ReadyStage } from "../../src/build/run_pipeline.ts";
import type { StageNode } from "../../src/graph/node.ts";
import type { ResolvedInput } from "../../src/stage_input.ts";
import { stageKind } from "../../src/stages/mod.ts";

const config: Config = {
  inputs: { files: tree("files"), other: tree("other") },
  stages: {
    copied: copyTree({ inputs: ["files"] }),
    app: ociArchive({ inputs: ["files"], filename: "app.tar" }),
    run: exec({ inputs: ["files"], command: ["true"] }),
    next: exec({ on: "copied", command: ["true"] }),
  },
};

/** The ids of the stages of a config, by name; both inputs have the same content. */
function idsOf(config: Config, platform = "linux/amd64"): Record<string, string> {
  const nodes = [...compile(config).nodes.values()];
  const stages = nodes.filter((node): node is StageNode => node.kind === "stage");
  const inputs = new Map<string, ResolvedInput>(
    ["files", "other"].map((name) => [`input/${name}`, {
      id: "0".repeat(64),
      input: { name, kind: "tree", path: "/files" },
    }]),
  );
  const known = new Map<string, ReadyStage>();
  for (const node of stages) {
    const base = node.on === undefined ? undefined : known.get(node.on);
    const machine = { epoch: 0, platform: parsePlatform(platform) };
    for (const stage of identify([node], inputs, base, machine)) known.set(node.key, stage);
  }
  return Object.fromEntries([...known].map(([key, { id }]) => [key.slice("stage/".length), id]));
}

/** Which stages have another id than before. */
function changed(before: Record<string, string>, after: Record<string, string>): string[] {
  return Object.keys(before).filter((name) => before[name] !== after[name]).sort();
}

describe("the id of a stage", () => {
  it("changes with the format of its kind, and with that of what it continues", () => {
    const before = idsOf(config);
    const stage = config.stages?.["copied"];
    assert(stage);
    const kind = stageKind(stage);
    const { format } = kind;
    try {
      Object.defineProperty(kind, "format", { value: format + 1 });
      assertEquals(changed(before, idsOf(config)), ["copied", "next"]);
    } finally {
      Object.defineProperty(kind, "format", { value: format });
    }
    assertEquals(idsOf(config), before);
  });

  it("changes with the name of an input only where the stage sees it", () => {
    const renamed: Config = {
      ...config,
      stages: {
        ...config.stages,
        copied: copyTree({ inputs: ["other"] }),
        run: exec({ inputs: ["other"], command: ["true"] }),
      },
    };
    assertEquals(changed(idsOf(config), idsOf(renamed)), ["run"]);
  });

  it("does not change with the words for a platform", () => {
    const app = (platform: string): Config => ({
      ...config,
      stages: { app: ociArchive({ inputs: ["files"], filename: "app.tar", platform }) },
    });
    assertEquals(idsOf(app("arm64")), idsOf(app("linux/arm64/v8")));
    assert(idsOf(app("arm64"))["app"] !== idsOf(app("armhf"))["app"]);
  });
});
