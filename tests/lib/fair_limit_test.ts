import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { FairLimit } from "../../src/lib/async/fair_limit.ts";

/** Things that begin and end when they are told to; the first letter of each is its kind. */
function start(names: string, most: number) {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const limit = new FairLimit(most);
  const all = names.split(" ").map((name) =>
    limit.run(name.charAt(0), async () => {
      begun.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
    })
  );
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  return {
    begun,
    settle,
    async end(name: string) {
      ends.get(name)?.();
      await settle();
    },
    async endAll() {
      for (const name of names.split(" ")) await this.end(name);
      await Promise.all(all);
    },
  };
}

describe("FairLimit", () => {
  it("does one after the other, so many at a time", async () => {
    const bench = start("a1 a2 a3 a4", 2);
    await bench.settle();
    assertEquals(bench.begun, ["a1", "a2"]);
    await bench.end("a2");
    assertEquals(bench.begun, ["a1", "a2", "a3"]);
    await bench.endAll();
    assertEquals(bench.begun.length, 4);
  });

  it("lets no kind keep the others waiting", async () => {
    const bench = start("a1 a2 a3 a4 b1 b2 b3", 2);
    await bench.settle();
    assertEquals(bench.begun, ["a1", "b1"]);
    await bench.end("b1");
    await bench.end("b2");
    assertEquals(bench.begun, ["a1", "b1", "b2", "b3"]);
    await bench.end("b3");
    assertEquals(bench.begun.at(-1), "a2");
    await bench.endAll();
  });

  it("goes on where something fails", async () => {
    const limit = new FairLimit(1);
    const failed = limit.run("a", () => Promise.reject(new Error("no")));
    const done = limit.run("a", () => Promise.resolve("yes"));
    await assertRejects(() => failed, Error, "no");
    assertEquals(await done, "yes");
  });
});
