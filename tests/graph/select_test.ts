import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  compile,
  defineConfig,
  docker,
  exec,
  images,
  type NodeKind,
  output,
  type Stage,
  UsageError,
} from "../../mod.ts";
import { select } from "../../src/graph/select.ts";

const graph = compile(defineConfig({
  sources: {
    proxy: docker("proxy"),
    agent: docker("agent"),
    same: docker("same"),
    many: docker("many", { platforms: ["linux/arm64", "linux/386"] }),
  },
  inputs: { apps: images({ agent: "localhost/agent" }), made: output("base") },
  stages: {
    base: exec({ command: ["true"] }),
    os: exec({ command: ["true"], on: "base", inputs: ["apps"] }),
    same: exec({ command: ["true"], inputs: ["made"] }),
  },
}));

const BUILD: readonly NodeKind[] = ["stage", "source"];

function keysOf(kinds: readonly NodeKind[], names: readonly string[]): string[] {
  return select(graph, kinds, names).map(({ key }) => key);
}

describe("select()", () => {
  const cases: readonly [
    what: string,
    kinds: readonly NodeKind[],
    names: readonly string[],
    keys: readonly string[],
  ][] = [
    ["every node of a kind", ["source"], [], [
      ...["source/proxy", "source/agent", "source/same"],
      ...["source/many@linux/arm64", "source/many@linux/386"],
    ]],
    ["a source for all its platforms", ["source"], ["many"], [
      "source/many@linux/arm64",
      "source/many@linux/386",
    ]],
    ["a source for one of its platforms", BUILD, ["many@linux/386"], ["source/many@linux/386"]],
    ["all of a build", BUILD, [], [...graph.nodes.keys()]],
    ["a source alone", ["source"], ["agent"], ["source/agent"]],
    ["a name once", ["source"], ["agent", "proxy", "agent"], ["source/proxy", "source/agent"]],
    ["a stage with all that it needs", BUILD, ["os"], [
      "source/agent",
      "input/apps",
      "stage/base",
      "stage/os",
    ]],
    ["the likelier of two that share a name", BUILD, ["same"], [
      "stage/base",
      "input/made",
      "stage/same",
    ]],
    ["the source where only that is meant", ["source"], ["same"], ["source/same"]],
  ];
  for (const [what, kinds, names, keys] of cases) {
    it(`chooses ${what}`, () => assertEquals(keysOf(kinds, names), keys));
  }

  const wrong: readonly [
    name: string,
    kinds: readonly NodeKind[],
    message: string,
    hint: string,
  ][] = [
    ["agnt", ["source"], "no source of that name", 'did you mean "agent"?'],
    ["os", ["source"], "no source of that name", "names: proxy, agent, same, many"],
    ["mny", BUILD, "no stage or source of that name", 'did you mean "many"?'],
    ["many@linux/arm", ["source"], "no source", 'did you mean "many@linux/arm64"?'],
    ["apps", BUILD, "no stage or source of that name", "names: "],
    ["source/agent", BUILD, "no stage or source of that name", "names: "],
    ["", BUILD, "no stage or source of that name", 'did you mean "os"?'],
  ];
  for (const [name, kinds, message, hint] of wrong) {
    it(`refuses "${name}" as ${kinds.join(" or ")}`, () => {
      const error = assertThrows(() => select(graph, kinds, ["agent", name]), UsageError, message);
      assertEquals(error.hint?.slice(0, hint.length), hint);
    });
  }

  it("says that there are no names", () => {
    const error = assertThrows(() => select(compile({}), ["source"], ["a"]), UsageError);
    assertEquals(error.hint, "names: there are none");
  });

  it("follows a chain of 10,000", () => {
    const stages: Record<string, Stage> = {};
    for (let index = 0; index < 10_000; index++) {
      stages[`s${index}`] = {
        type: "exec",
        command: ["true"],
        ...(index > 0 && { on: `s${index - 1}` }),
      };
    }
    const long = compile({ stages });
    assertEquals(select(long, ["stage"], ["s9999"]).length, 10_000);
    assertEquals(select(long, ["stage"], ["s4999"]).length, 5_000);
  });
});
