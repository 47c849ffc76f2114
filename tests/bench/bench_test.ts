import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as v from "valibot";
import { ReportSchema } from "../../scripts/bench/report.ts";
import { denoProgram, run, tempDir } from "../support/mod.ts";

const BENCH = import.meta.resolve("../../scripts/bench.ts");

async function bench(...args: string[]): Promise<string> {
  return await run(...denoProgram(BENCH, ...args));
}

describe("the bench", () => {
  it("measures a case beside its peers, and draws it", async () => {
    await using dir = await tempDir();
    const [json, chart] = [dir.join("bench.json"), dir.join("bench.svg")];
    const files = ["--json", json, "--chart", chart];
    const table = await bench("fetch-eight", "--rounds", "1", "--scale", "0.002", ...files);
    const report = v.parse(ReportSchema, JSON.parse(await Deno.readTextFile(json)));
    assertEquals([report.scale, report.rounds, report.groups.length], [0.002, 1, 1]);
    const { figures = [], whole = NaN } = report.groups[0] ?? {};
    const sent = (name: string) => (figures.find((row) => row.name === name)?.wire ?? NaN) / whole;
    assert(sent("skopeo copy, one OCI layout") < 1.1, "a layout has each blob once");
    assert(sent("skopeo copy, one by one") > 3, "folders of their own share nothing");
    for (const { name, wall, ratio, cpu = 0 } of figures) {
      assert(wall.median > 1 && cpu > 0, `${name} took ${wall.median} ms, ${cpu} ms of CPU`);
      assertStringIncludes(table, name);
      assertEquals(ratio.median, wall.median / (figures[0]?.wall.median ?? NaN));
    }
    assertStringIncludes(await Deno.readTextFile(chart), "skopeo copy, one OCI layout");
    const again = dir.join("again.svg");
    assertEquals(await bench("--from", json, "--chart", again), table);
    assertEquals(await Deno.readTextFile(again), await Deno.readTextFile(chart));
  });

  it("refuses cases, flags and numbers that it does not know", async () => {
    for (const args of [["no-such"], ["--fast"], ["--rounds", "0"], ["--scale", "x"]]) {
      await assertRejects(() => bench(...args), Error, "ended with 2: bench: ");
    }
  });
});
