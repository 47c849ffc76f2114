import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Contender, measureGroup } from "../../scripts/bench/rounds.ts";

describe("measureGroup()", () => {
  it("has each contender once a round, each round another one first", async () => {
    const order: string[] = [];
    const contenders = ["a", "b"].map((name): Contender => ({ name, run: () => order.push(name) }));
    const { figures } = await measureGroup({ id: "x", title: "x", contenders }, 3);
    assertEquals(order.join(""), "ab" + "ba" + "ab" + "ba");
    assertEquals(figures.map(({ name, walls }) => [name, walls.length]), [["a", 3], ["b", 3]]);
    assertEquals(figures[0]?.ratio, { min: 1, median: 1, max: 1 });
  });

  it("counts what was sent and kept in the worst run, what happens before a run not", async () => {
    let [sent, kept] = [0, 0];
    const report = await measureGroup({
      id: "x",
      title: "x",
      sent: () => Promise.resolve(sent),
      whole: 100,
      contenders: [{
        name: "a",
        before: () => Promise.resolve(void (sent += 1_000)),
        run: () => sent += 100 + kept++,
        disk: () => Promise.resolve(kept),
      }],
    }, 2);
    assertEquals(report.whole, 100);
    assertEquals(report.figures.map(({ wire, disk }) => [wire, disk]), [[102, 3]]);
  });

  it("measures what programs take that others start for it", async () => {
    const script = "head -c 30000000 /dev/zero | gzip -9 >/dev/null; exit 0";
    const contenders = [{ name: "sh", run: { path: "sh", args: ["-c", script] } }];
    const { figures: [sh] } = await measureGroup({ id: "x", title: "x", contenders }, 1);
    assertEquals((sh?.cpu ?? 0) >= 30, true, `CPU time is ${sh?.cpu} ms`);
    assertEquals((sh?.memory?.child ?? 0) > 500_000, true, `${sh?.memory?.child} bytes`);
  });

  it("looks at every byte in the round that is not timed, and fails if a check does", async () => {
    const checks: boolean[] = [];
    const check = (isThorough: boolean) => Promise.resolve(void checks.push(isThorough));
    await measureGroup({ id: "x", title: "x", contenders: [{ name: "a", run() {}, check }] }, 2);
    assertEquals(checks, [true, false, false]);
    const broken = { name: "a", run() {}, check: () => Promise.reject(new Error("not there")) };
    const group = { id: "x", title: "x", contenders: [broken] };
    await assertRejects(() => measureGroup(group, 1), Error, "not there");
  });
});
