import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ratios, rotate, spread } from "../../scripts/bench/stats.ts";

describe("spread()", () => {
  it("takes the middle of an odd number, and the mean of the middle two of an even one", () => {
    assertEquals(spread([9, 1, 5]), { min: 1, median: 5, max: 9 });
    assertEquals(spread([10, 1, 4, 2]), { min: 1, median: 3, max: 10 });
    assertEquals(spread([7]), { min: 7, median: 7, max: 7 });
  });
});

describe("ratios()", () => {
  it("compares round by round, not best with best", () => {
    assertEquals(ratios([10, 40], [20, 100]), [0.5, 0.4]);
    assertEquals(spread(ratios([10, 400], [20, 800])), { min: 0.5, median: 0.5, max: 0.5 });
  });
});

describe("rotate()", () => {
  it("lets each be first once, and keeps the order of the rest", () => {
    const items = ["a", "b", "c"];
    const orders = [0, 1, 2, 3].map((round) => rotate(items, round).join(""));
    assertEquals(orders, ["abc", "bca", "cab", "abc"]);
    assertEquals(rotate([], 5), []);
  });
});
