import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { InterruptedError, StageError } from "@stowage/stowage";
import { runNodes, type Unit, type UnitOutcome } from "../../src/build/run_nodes.ts";

const unit = (key: string, ...needs: string[]): Unit => ({ key, needs });

/** Lets a test end units by hand, in the order that it likes. */
class Bench {
  readonly begun: string[] = [];
  readonly told: string[] = [];
  readonly #ends = new Map<string, PromiseWithResolvers<string>>();
  readonly #begins = new Map<string, PromiseWithResolvers<void>>();
  readonly controller = new AbortController();
  readonly outcomes: Promise<Map<string, UnitOutcome<string>>>;

  constructor(units: readonly Unit[], jobs = 8) {
    for (const { key } of units) {
      this.#ends.set(key, Promise.withResolvers());
      this.#begins.set(key, Promise.withResolvers());
    }
    this.outcomes = runNodes(units, async ({ key }, made) => {
      this.begun.push(key);
      this.#begins.get(key)?.resolve();
      const needed = units.find((each) => each.key === key)?.needs ?? [];
      for (const need of needed) assertEquals(made.get(need), need.toUpperCase());
      return await this.#ends.get(key)?.promise ?? "";
    }, {
      jobs,
      signal: this.controller.signal,
      kindOf: () => "",
      onOutcome: ({ key }, { status }) => void this.told.push(`${key} ${status}`),
    });
    this.outcomes.catch(() => {});
  }

  async begins(...keys: string[]): Promise<void> {
    for (const key of keys) await this.#begins.get(key)?.promise;
  }

  end(...keys: string[]): void {
    for (const key of keys) this.#ends.get(key)?.resolve(key.toUpperCase());
  }

  fail(key: string, error: unknown = new StageError(key, "no")): void {
    this.#ends.get(key)?.reject(error);
  }
}

/** Lets everything happen that does not wait for the test. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

const statuses = (outcomes: Map<string, UnitOutcome<string>>) =>
  Object.fromEntries([...outcomes].map(([key, { status }]) => [key, status]));

describe("runNodes()", () => {
  it("runs each as soon as what it needs is done, and does not wait for others", async () => {
    const bench = new Bench([unit("a"), unit("b"), unit("c", "a"), unit("d", "c", "b")]);
    await bench.begins("a", "b");
    bench.end("a");
    await bench.begins("c");
    bench.end("c");
    await settle();
    assertEquals(bench.begun, ["a", "b", "c"]);
    bench.end("b");
    await bench.begins("d");
    bench.end("d");
    assertEquals([...(await bench.outcomes).keys()], ["a", "b", "c", "d"]);
    assertEquals(bench.told, ["a done", "c done", "b done", "d done"]);
  });

  it("runs no more at a time than told, and blocks nobody who waits", async () => {
    const bench = new Bench([unit("a"), unit("b", "a"), unit("c"), unit("d")], 2);
    await bench.begins("a", "c");
    await settle();
    assertEquals(bench.begun, ["a", "c"]);
    bench.end("c");
    await bench.begins("d");
    bench.end("a", "d");
    await bench.begins("b");
    bench.end("b");
    await bench.outcomes;
  });

  it("skips what needs one that failed, however far down, and nothing else", async () => {
    const units = [unit("a"), unit("b", "a"), unit("c", "b"), unit("d"), unit("e", "d", "c")];
    const bench = new Bench(units);
    bench.fail("a");
    bench.end("d");
    const outcomes = await bench.outcomes;
    assertEquals(statuses(outcomes), {
      ...{ a: "failed", b: "skipped", c: "skipped", d: "done", e: "skipped" },
    });
    assertEquals(outcomes.get("e"), { status: "skipped", because: "a" });
  });

  it("waits for all that runs when it is interrupted, and tells nothing more", async () => {
    const bench = new Bench([unit("a"), unit("b"), unit("c", "a")]);
    await bench.begins("a", "b");
    bench.controller.abort("enough");
    bench.fail("a", new InterruptedError("enough"));
    let isOver = false;
    bench.outcomes.catch(() => isOver = true);
    await settle();
    assertEquals(isOver, false);
    bench.end("b");
    const error = await assertRejects(() => bench.outcomes, InterruptedError);
    assertEquals([error.cause, bench.begun, bench.told], ["enough", ["a", "b"], []]);
  });

  it("runs nothing when it was interrupted before", async () => {
    const signal = AbortSignal.abort();
    const fail = () => Promise.reject(new Error("it ran"));
    await assertRejects(
      () => runNodes([unit("a")], fail, { jobs: 1, signal, kindOf: () => "", onOutcome: () => {} }),
      InterruptedError,
    );
  });

  it("lets out an error that is none of stowage, once all that runs has ended", async () => {
    const bench = new Bench([unit("a"), unit("b"), unit("c", "a")]);
    await bench.begins("a", "b");
    const bug = new TypeError("oops");
    bench.fail("a", bug);
    await settle();
    bench.end("b");
    assertStrictEquals(await assertRejects(() => bench.outcomes), bug);
    assertEquals(bench.begun, ["a", "b"]);
  });

  it("has nothing to do for no units", async () => {
    assertEquals((await new Bench([]).outcomes).size, 0);
  });
});
