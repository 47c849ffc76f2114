import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Deaths } from "../../src/fleet/workers/deaths.ts";

describe("deaths of workers", () => {
  const tell = (deaths: Deaths, status: "begun" | "failed" | "returned", ...keys: string[]) => {
    for (const key of keys) deaths.take({ status, key });
  };

  it("are no excuse for a job that kills each, also those that do others beside it", () => {
    const deaths = new Deaths();
    tell(deaths, "begun", "bad", "a", "b");
    tell(deaths, "begun", "bad", "bad", "bad", "a", "b");
    assertEquals(deaths.besides("bad"), 0);
  });

  it("are an excuse where other jobs lose theirs as well", () => {
    const deaths = new Deaths();
    tell(deaths, "begun", "a", "b", "a", "a", "b");
    assertEquals([deaths.besides("b"), deaths.besides("a")], [1, 0]);
  });

  it("are not what fails or is returned, and begins again", () => {
    const deaths = new Deaths();
    for (const status of ["failed", "returned", "failed"] as const) {
      tell(deaths, "begun", "a");
      tell(deaths, status, "a");
    }
    tell(deaths, "begun", "a");
    assertEquals(deaths.besides("b"), 0);
  });
});
