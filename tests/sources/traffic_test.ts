import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { RunEvent } from "@stowage/stowage";
import { Traffic } from "../../src/sources/traffic.ts";

/** Bytes of a run, on a clock of its own. */
function startTraffic() {
  const events: RunEvent[] = [];
  let now = 0;
  const traffic = new Traffic((event) => events.push(event), () => now);
  return { events, traffic, wait: (ms: number) => void (now += ms) };
}

const item = (name: string) => ({ key: `source/${name}`, name });

describe("Traffic", () => {
  it("tells of each image and of all, at most five times a second, and at the end", () => {
    const { events, traffic, wait } = startTraffic();
    const image = traffic.open(item("app"), 1000);
    for (let n = 0; n < 10; n++) {
      image.add("fetched", 100);
      wait(50);
    }
    const told = events.filter((event) => event.type === "progress");
    assertEquals(told.map(({ bytes }) => bytes), [100, 500, 900, 1000]);
    assertEquals(events.filter((event) => event.type === "traffic").length, 4);
  });

  it("tells what was fetched from what was shared and resumed", () => {
    const { events, traffic } = startTraffic();
    const image = traffic.open(item("app"), 60);
    image.add("shared", 10);
    image.add("resumed", 20);
    image.add("fetched", 30);
    assertEquals(events.at(-2), {
      ...{ type: "progress", ...item("app"), total: 60 },
      ...{ bytes: 60, fetched: 30, shared: 10, resumed: 20 },
    });
  });

  it("takes the rate from what came over the wire, of the last seconds", () => {
    const { events, traffic, wait } = startTraffic();
    const image = traffic.open(item("app"), 100_000);
    image.add("resumed", 50_000);
    for (let second = 0; second < 20; second++) {
      wait(1000);
      image.add("fetched", second < 10 ? 100 : 1000);
    }
    const last = events.at(-1);
    assertEquals(last?.type === "traffic" && [last.rate, last.left], [1000, 39]);
  });

  it("counts no time for what comes for another image", () => {
    const { events, traffic, wait } = startTraffic();
    const [one, two] = [traffic.open(item("one"), 1000), traffic.open(item("two"), 1100)];
    two.expect(1000);
    one.add("fetched", 100);
    wait(1000);
    one.add("fetched", 100);
    const last = events.at(-1);
    assertEquals(last?.type === "traffic" && [last.rate, last.left], [100, 9]);
    two.expect(-1000);
    wait(1000);
    one.add("fetched", 100);
    const later = events.at(-1);
    assertEquals(later?.type === "traffic" && [later.rate, later.left], [100, 18]);
  });

  it("has no rate below 0 where bytes are taken back", () => {
    const { events, traffic, wait } = startTraffic();
    const image = traffic.open(item("app"), 1000);
    image.add("fetched", 500);
    wait(1000);
    image.add("fetched", -400);
    const last = events.at(-1);
    assertEquals(last?.type === "traffic" && [last.rate, last.left], [0, undefined]);
  });

  it("counts what is not known before as it comes, and forgets what is tried again", () => {
    const { events, traffic, wait } = startTraffic();
    const failed = traffic.open(item("app"), 500);
    failed.add("fetched", 200);
    failed.forget();
    wait(1000);
    traffic.open(item("app"), undefined).add("fetched", 70);
    const last = events.at(-1);
    assertEquals(last?.type === "traffic" && [last.bytes, last.total], [70, 70]);
  });
});
