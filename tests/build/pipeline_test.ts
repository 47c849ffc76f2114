import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  type Config,
  copyTree,
  docker,
  exec,
  images,
  install,
  output,
  tree,
} from "@stowage/stowage";
import { joinStages } from "../../src/build/pipeline.ts";

const command = ["true"];

/** The names of the stages of each pipeline, and what it continues. */
function pipelinesOf(config: Config, kept: readonly string[] | "all" = []): string[] {
  return joinStages([...compile(config).nodes.values()], kept).map(({ stages, base }) =>
    `${base ?? ""} ${stages.map(({ name }) => name).join(" ")}`
  ).sort();
}

const chain: Config = {
  stages: {
    a: exec({ command }),
    b: exec({ command, on: "a" }),
    c: exec({ command, on: "b" }),
  },
};

describe("joinStages()", () => {
  it("joins stages that follow each other", () => {
    assertEquals(pipelinesOf(chain), [" a b c"]);
  });

  it("parts them where a tree is wanted", () => {
    assertEquals(pipelinesOf(chain, ["b"]), [" a b", "stage/b c"]);
    assertEquals(pipelinesOf(chain, "all"), [" a", "stage/a b", "stage/b c"]);
  });

  it("parts them where several continue one", () => {
    const stages = { ...chain.stages, d: exec({ command, on: "b" }) };
    assertEquals(pipelinesOf({ stages }), [" a b", "stage/b c", "stage/b d"]);
  });

  it("parts them where an input reads the tree", () => {
    const inputs = { made: output("a") };
    const other = exec({ command, inputs: ["made"] });
    assertEquals(pipelinesOf({ inputs, stages: { ...chain.stages, other } }), [
      ...[" a", " other", "stage/a b c"],
    ]);
  });

  it("leaves a stage alone that changes a tree of another tool", () => {
    const config: Config = {
      sources: { web: docker("web") },
      inputs: { apps: images({ web: "localhost/web" }) },
      stages: {
        os: install({ inputs: ["apps"], destination: { type: "containers-storage" }, into: "os" }),
      },
    };
    assertEquals(pipelinesOf(config), [" os"]);
  });

  it("needs the inputs of all its stages, once, and what it continues", () => {
    const inputs = { x: tree("x"), y: tree("y") };
    const stages = {
      a: copyTree({ inputs: ["x"] }),
      b: copyTree({ inputs: ["x", "y"], on: "a" }),
      c: copyTree({ inputs: ["y"], on: "b" }),
    };
    const nodes = [...compile({ inputs, stages }).nodes.values()];
    const [first, second] = joinStages(nodes, ["a"]);
    assertEquals(first?.needs, ["input/x"]);
    assertEquals(second?.needs, ["input/x", "input/y", "stage/a"]);
    assertEquals(second?.key, "stage/c");
  });
});
