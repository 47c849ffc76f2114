import { assert, assertEquals } from "@std/assert";
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

  it("counts a layer of several images once", () => {
    const { events, traffic, wait } = startTraffic();
    const blobs = (own: string) => new Map([["base", 1000], [own, 100]]);
    traffic.foresee(["source/one", "source/two", "source/three"]);
    traffic.expect("source/one", blobs("a"));
    traffic.expect("source/two", blobs("b"), new Map([["b", 40]]));
    const [one, two] = [
      traffic.open(item("one"), blobs("a")),
      traffic.open(item("two"), blobs("b")),
    ];
    one.add("fetched", 100, "base");
    wait(1000);
    one.add("fetched", 100, "base");
    const last = events.at(-1);
    assert(last?.type === "traffic");
    const { bytes, total, unknown, rate, left } = last;
    assertEquals({ bytes, total, unknown, rate, left }, {
      ...{ bytes: 240, total: 1200, unknown: 1, rate: 100, left: 10 },
    });
    traffic.settle("source/three");
    two.add("resumed", 40, "b");
    two.add("fetched", 60, "b");
    one.add("fetched", 800, "base");
    two.add("shared", 1000, "base");
    wait(1000);
    one.add("fetched", 100, "a");
    const { type: _type, ...end } = events.at(-1)!;
    assertEquals(end, {
      ...{ bytes: 1200, total: 1200, rate: 530, left: 0 },
      ...{ fetched: 1160, shared: 1000, resumed: 40 },
    });
  });

  it("lets go of what does not come after all", () => {
    const { events, traffic, wait } = startTraffic();
    traffic.expect("source/gone", new Map([["base", 1000], ["own", 500]]));
    const image = traffic.open(item("app"), new Map([["base", 1000]]));
    image.add("fetched", 100, "base");
    traffic.settle("source/gone");
    wait(1000);
    image.add("fetched", 100, "base");
    const totals = events.filter((event) => event.type === "traffic").map(({ total }) => total);
    assertEquals(totals, [1500, 1000]);
  });

  it("tells what an image waits for", () => {
    const { events, traffic } = startTraffic();
    const image = traffic.open(item("app"), 10);
    image.wait("web")[Symbol.dispose]();
    assertEquals(events.map((event) => event.type === "progress" && event.waitsFor), [
      "web",
      undefined,
    ]);
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
