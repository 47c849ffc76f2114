import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "../support/fast_check.ts";
import { order } from "../../src/graph/order.ts";

type Needs = Readonly<Record<string, readonly string[]>>;

function ordered(needs: Needs): ReturnType<typeof order> {
  return order(new Map(Object.entries(needs)));
}

describe("order()", () => {
  const orders: readonly [what: string, needs: Needs, keys: readonly string[]][] = [
    ["nothing", {}, []],
    ["what needs nothing, as it is", { b: [], a: [] }, ["b", "a"]],
    ["needs first, as they are named", { z: ["y", "x"], x: [], y: [] }, ["y", "x", "z"]],
    ["a diamond", { d: ["b", "c"], b: ["a"], c: ["a"], a: [] }, ["a", "b", "c", "d"]],
    ["a short cut", { c: ["a", "b"], b: ["a"], a: [] }, ["a", "b", "c"]],
    ["a detour", { c: ["b", "a"], b: ["a"], a: [] }, ["a", "b", "c"]],
  ];
  for (const [what, needs, keys] of orders) {
    it(`orders ${what}`, () => assertEquals(ordered(needs), { keys }));
  }

  const cycles: readonly [what: string, needs: Needs, cycle: readonly string[]][] = [
    ["of one", { a: ["a"] }, ["a", "a"]],
    ["of two", { a: ["b"], b: ["a"] }, ["a", "b", "a"]],
    ["behind a way to it", { top: ["a"], a: ["b"], b: ["a"] }, ["a", "b", "a"]],
    ["beside what is done", { a: ["d", "b"], b: ["a"], d: ["e"], e: [] }, ["a", "b", "a"]],
    ["behind what is done", { d: ["e"], e: [], a: ["d", "b"], b: ["d", "a"] }, ["a", "b", "a"]],
  ];
  for (const [what, needs, cycle] of cycles) {
    it(`finds the circle ${what}`, () => assertEquals(ordered(needs), { cycle }));
  }

  it("orders whatever has no circle, and shows a circle wherever there is one", () => {
    const graphs = fc.array(fc.uniqueArray(fc.nat(11), { maxLength: 3 }), {
      minLength: 12,
      maxLength: 12,
    });
    fc.assert(fc.property(graphs, (lists) => {
      const needs = new Map(lists.map((list, key) => [`${key}`, list.map(String)]));
      const result = order(needs);
      if ("cycle" in result) {
        assertEquals(result.cycle.at(-1), result.cycle[0]);
        assertEquals(new Set(result.cycle).size, result.cycle.length - 1);
        for (const [index, next] of result.cycle.slice(1).entries()) {
          assertEquals(needs.get(result.cycle[index] ?? "")?.includes(next), true);
        }
        return;
      }
      assertEquals(new Set(result.keys), new Set(needs.keys()));
      assertEquals(result.keys.length, needs.size);
      for (const [key, list] of needs) {
        for (const need of list) {
          assertEquals(result.keys.indexOf(need) < result.keys.indexOf(key), true);
        }
      }
    }));
  });
});
