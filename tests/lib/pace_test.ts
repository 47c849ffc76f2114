import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Pace } from "../../src/lib/async/pace.ts";

describe("Pace", () => {
  it("knows what is slow from what has had no time yet", () => {
    const pace = new Pace({ stallTimeout: 2_000, minRate: 100 });
    assertEquals(pace.isTooSlow(1, 1_000), false);
    assertEquals(pace.isTooSlow(198, 1_000), true);
    assertEquals(pace.isTooSlow(1, 1_999), false);
    assertEquals(pace.isTooSlow(199, 1), false);
    assertEquals(pace.isTooSlow(0, 1_999), false);
    pace.restart();
    assertEquals(pace.isTooSlow(0, 1_999), false);
    assertEquals(pace.isTooSlow(0, 1), true);
  });

  it("takes any where none is asked for", () => {
    assertEquals(new Pace({ stallTimeout: 1, minRate: 0 }).isTooSlow(0, 9), false);
  });
});
