import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { RunEvent } from "@stowage/stowage";
import { setColorEnabled } from "@std/fmt/colors";
import { reportText } from "../../src/cli/reporter.ts";

setColorEnabled(false);

/** A listener on a clock of its own, and what it writes. */
function startReport(how: "bar" | "plain" | "none", columns = 80) {
  const lines: string[] = [];
  const statuses: (readonly string[])[] = [];
  let now = 0;
  const report = reportText(
    {
      out: () => {},
      err: (line) => void lines.push(line),
      status: (make) => void statuses.push(make(columns)),
      ask: undefined,
    },
    how,
    () => now,
  );
  return { lines, statuses, report, wait: (seconds: number) => void (now += seconds * 1000) };
}

const ways = (bytes: number) => ({ bytes, fetched: bytes, shared: 0, resumed: 0 });
const traffic = (bytes: number, more: { unknown?: number; left?: number } = {}): RunEvent => ({
  ...{ type: "traffic", ...ways(bytes), total: 83_000_000 },
  ...{ rate: 2_900_000, left: 19, ...more },
});
const progress = (name: string, bytes: number, total?: number): RunEvent => ({
  ...{ type: "progress", key: `source/${name}`, name, ...ways(bytes) },
  ...(total !== undefined && { total }),
});
const waiting = (name: string, waitsFor: string): RunEvent => ({
  ...{ type: "progress", key: `source/${name}`, name, ...ways(0), total: 9, waitsFor },
});
const start = (...keys: string[]): RunEvent => ({
  ...{ type: "start", action: "build", sources: [], keys, store: "s" },
});
const failed = (name: string): RunEvent => ({
  ...{ type: "failed", key: `source/${name}`, name },
  error: { code: "FETCH_FAILED", message: "it is gone" },
});

describe("a log", () => {
  it("says once a minute how far all is", () => {
    const { lines, statuses, report, wait } = startReport("plain");
    report(start("source/web", "source/api", "input/apps"));
    for (let second = 1; second <= 150; second++) {
      wait(1);
      report(progress("web", second * 200_000, 83_000_000));
      report(traffic(second * 200_000));
    }
    assertEquals(lines, [
      "[0/2] 11.8 of 83 MB · 2.9 MB/s · 19 s left",
      "[0/2] 23.8 of 83 MB · 2.9 MB/s · 19 s left",
    ]);
    assertEquals(statuses, []);
  });

  it("does not while there is something else to read", () => {
    const { lines, report, wait } = startReport("plain");
    wait(50);
    report({ type: "skipped", key: "stage/os", name: "os", because: "source/app" });
    wait(50);
    report(traffic(2_000_000));
    assertEquals(lines, ["skipped  os, as app failed"]);
  });

  it("says how far a check is", () => {
    const { lines, report, wait } = startReport("plain");
    wait(60);
    report({ type: "verifying", bytes: 500_000, total: 2_000_000 });
    report({ type: "verifying", bytes: 600_000, total: 2_000_000 });
    assertEquals(lines, ["verifying 25 % of 2 MB"]);
  });

  it("says nothing of it where none is wanted", () => {
    const { lines, statuses, report, wait } = startReport("none");
    for (let minute = 0; minute < 5; minute++) {
      wait(60);
      report(traffic(2_000_000));
    }
    report(failed("web"));
    assertEquals([lines, statuses], [["failed   web"], []]);
  });
});

describe("bars", () => {
  it("are one for each image that is on its way, below the sum, in 80 columns", () => {
    const { lines, statuses, report } = startReport("bar", 79);
    report(start("source/web", "source/api", "source/db", "source/old", "stage/os", "input/apps"));
    report(failed("old"));
    report(progress("web", 13_500_000, 27_000_000));
    report(waiting("api", "web"));
    report(progress("db", 1_200_000));
    report({ type: "stage-start", key: "stage/os", name: "os" });
    report(traffic(27_000_000, { unknown: 1, left: 3700 }));
    assertEquals(statuses.at(-1), [
      "[1/5] 27 of 83 MB or more · 2.9 MB/s · 1 h 1 min left",
      "web  [############------------]  50 %  13.5 of 27 MB",
      "api  waits for a layer of web",
      "db   1.2 MB",
      "os   runs",
    ]);
    assertEquals(lines, ["failed   old", "running  os"]);
    report(progress("web", 999_990, 999_990_000));
    const long = "registry.example.com/team/app-with-a-long-name:1.27";
    report(progress(long, 999_990_000, 999_990_000));
    for (const line of statuses.at(-1) ?? []) assert(line.length < 80, line);
  });

  it("are left out where there is no room", () => {
    const { statuses, report } = startReport("bar", 20);
    report(traffic(900, { left: 75 }));
    report(progress("web", 500_000, 2_000_000));
    assertEquals(statuses.at(-1), ["900 B of 83 MB · 2.…", "web   25 %  500 kB …"]);
  });

  it("go with what they are of", () => {
    const { statuses, report } = startReport("bar");
    report(traffic(27_000_000, { left: 75 }));
    report(progress("web", 1, 2));
    report(failed("web"));
    assertEquals(statuses.at(-1), ["27 of 83 MB · 2.9 MB/s · 1 min 15 s left"]);
  });
});
