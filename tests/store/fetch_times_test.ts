import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { FetchTimes } from "../../src/store/fetch_times.ts";

const NOW = "2026-01-01T00:00:00.000Z";
const AHEAD = "2037-01-01T00:00:00.000Z";

const origin = (reference: string, fetched: string) => ({
  ...{ reference, fetched, transport: "docker" },
});

/** Dates in the order in which they are given. */
async function dates(known: string[], given: ReturnType<typeof origin>[]): Promise<string[]> {
  const times = new FetchTimes(() =>
    Promise.resolve(known.map((fetched) => origin("docker://a:1", fetched)))
  );
  const dated: string[] = [];
  for (const each of given) dated.push((await times.date(each)).fetched);
  return dated;
}

describe("FetchTimes", () => {
  it("takes what the clock says", async () => {
    assertEquals(await dates([], [origin("docker://a:1", NOW)]), [NOW]);
    assertEquals(await dates([NOW], [origin("docker://a:1", AHEAD)]), [AHEAD]);
  });

  it("dates nothing before what it was before", async () => {
    const given = [origin("docker://a:1", NOW), origin("docker://a:1", NOW)];
    const later = ["2037-01-01T00:00:00.001Z", "2037-01-01T00:00:00.002Z"];
    assertEquals(await dates([NOW, AHEAD], given), later);
    const last = "9999-12-31T23:59:59.999Z";
    assertEquals(await dates([last], given), [last, last]);
  });

  it("tells references apart", async () => {
    assertEquals(await dates([AHEAD], [origin("docker://b:1", NOW)]), [NOW]);
  });
});
