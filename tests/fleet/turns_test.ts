import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Turns } from "../../src/fleet/workers/turns.ts";

/** Something that is done until it is told to end. */
function work(told: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const action = async () => {
    told.push(`${name} begins`);
    await promise;
    told.push(`${name} ends`);
  };
  return { action, end: resolve };
}

describe("turns", () => {
  it("have one alone wait for those before it, and those after it wait for that one", async () => {
    const turns = new Turns();
    const told: string[] = [];
    const [a, b, alone, c] = ["a", "b", "alone", "c"].map((name) => work(told, name)) as [
      ReturnType<typeof work>,
      ReturnType<typeof work>,
      ReturnType<typeof work>,
      ReturnType<typeof work>,
    ];
    const first: boolean[] = [];
    const together = ({ action }: ReturnType<typeof work>) =>
      turns.together((isFirst) => (first.push(isFirst), action()));
    const early = [together(a), together(b)];
    const later = [turns.alone(alone.action), together(c)];
    c.end();
    a.end();
    await early[0];
    assertEquals(told, ["a begins", "b begins", "a ends"]);
    b.end();
    await early[1];
    alone.end();
    await Promise.all(later);
    assertEquals(told.slice(3), ["b ends", "alone begins", "alone ends", "c begins", "c ends"]);
    assertEquals(first, [true, false, true]);
  });

  it("go on after what fails", async () => {
    const turns = new Turns();
    const fails = () => Promise.reject(new Error("failed"));
    const all = [turns.together(fails), turns.alone(fails)];
    await Promise.all(all.map((each) => assertRejects(() => each, Error, "failed")));
    assertEquals(await turns.together((isFirst) => Promise.resolve(isFirst)), true);
  });
});
