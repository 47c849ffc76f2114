import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { compile, type Config, docker, dockerArchive, images, UsageError } from "@stowage/stowage";
import { ofShard } from "../../src/graph/shard.ts";

const config = (count: number): Config => ({
  sources: Object.fromEntries(Array.from({ length: count }, (_, at) => [
    `app-${at}`,
    docker(`registry.acme.io/team-${at % 40}/app:${at}`),
  ])),
  inputs: { two: images({ "app-0": "a:1", "app-1": "b:1" }) },
  stages: { archives: dockerArchive({ inputs: ["two"] }) },
});
const shardsOf = (count: number, of: number) => {
  const graph = compile(config(count));
  const nodes = [...graph.nodes.values()];
  const parts = Array.from({ length: of }, (_, at) => ofShard(nodes, graph, { index: at + 1, of }));
  const where = new Map(parts.flatMap((part, at) => part.map(({ key }) => [key, at] as const)));
  return { graph, parts, where };
};

describe("a shard", () => {
  it("is a part: all of them together are the whole, each node once", () => {
    const { graph, parts } = shardsOf(100, 8);
    const all = parts.flat().map(({ key }) => key);
    assertEquals(all.toSorted(), [...graph.nodes.keys()].toSorted());
    assertEquals(new Set(all).size, all.length);
  });

  it("has all that its nodes need, and the images of a repository together", () => {
    const { graph, where } = shardsOf(100, 8);
    for (const { key, needs } of graph.nodes.values()) {
      for (const need of needs) assertEquals(where.get(need), where.get(key));
    }
    for (let at = 0; at + 40 < 100; at++) {
      assertEquals(where.get(`source/app-${at}`), where.get(`source/app-${at + 40}`));
    }
  });

  it("has about its share, and mostly stays as it is when the config grows", () => {
    const { parts, where } = shardsOf(400, 4);
    for (const { length } of parts) assert(length > 50 && length < 130, `${length} of 402`);
    const grown = shardsOf(401, 4).where;
    const moved = [...where].filter(([key, at]) => grown.get(key) !== at).length;
    assert(moved < 402 / 4, `${moved} of 402 have moved`);
  });

  it("that is not one of them is refused", () => {
    const graph = compile(config(2));
    for (const [index, of] of [[0, 2], [3, 2], [1.5, 2], [1, NaN]] as const) {
      assertThrows(() => ofShard([], graph, { index, of }), UsageError, "Cannot use shard");
    }
  });
});
