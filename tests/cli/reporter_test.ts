import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { RunEvent } from "@stowage/stowage";
import { setColorEnabled } from "@std/fmt/colors";
import { reportText } from "../../src/cli/reporter.ts";

setColorEnabled(false);

/** A listener on a clock of its own, and what it writes. */
function startReport(isTerminal: boolean) {
  const lines: string[] = [];
  const statuses: string[] = [];
  const terminal = {
    out: () => {},
    err: (line: string) => void lines.push(line),
    status: isTerminal ? (line: string) => void statuses.push(line) : undefined,
  };
  let now = 0;
  const report = reportText(terminal, () => now);
  return { lines, statuses, report, wait: (seconds: number) => void (now += seconds * 1000) };
}

const traffic = (bytes: number): RunEvent => ({
  type: "traffic",
  ...{ bytes, total: 100_000_000, fetched: bytes, shared: 0, resumed: 0 },
  ...{ rate: 2_000_000, left: (100_000_000 - bytes) / 2_000_000 },
});
const progress = (bytes: number): RunEvent => ({
  type: "progress",
  ...{
    key: "source/app",
    name: "app",
    bytes,
    total: 100_000_000,
    fetched: bytes,
    shared: 0,
    resumed: 0,
  },
});

describe("a log", () => {
  it("says how far all is, once it was silent for ten seconds", () => {
    const { lines, report, wait } = startReport(false);
    for (let second = 1; second <= 25; second++) {
      wait(1);
      report(progress(second * 2_000_000));
      report(traffic(second * 2_000_000));
    }
    assertEquals(lines, [
      "fetching 20 MB of 100 MB, 2 MB/s, 40s left",
      "fetching 40 MB of 100 MB, 2 MB/s, 30s left",
    ]);
  });

  it("does not while there is something else to read", () => {
    const { lines, report, wait } = startReport(false);
    wait(9);
    report({ type: "skipped", key: "stage/os", name: "os", because: "source/app" });
    wait(9);
    report(traffic(2_000_000));
    assertEquals(lines, ["skipped  os, as app failed"]);
  });

  it("says how far a check is", () => {
    const { lines, report, wait } = startReport(false);
    wait(10);
    report({ type: "verifying", bytes: 500_000, total: 2_000_000 });
    report({ type: "verifying", bytes: 600_000, total: 2_000_000 });
    assertEquals(lines, ["verifying 25 % of 2 MB"]);
  });
});

it("a terminal has that in its status line, before the images", () => {
  const { lines, statuses, report, wait } = startReport(true);
  report(traffic(2_000_000));
  wait(20);
  report(progress(2_000_000));
  assertEquals(lines, []);
  assertEquals(statuses, ["2 MB of 100 MB, 2 MB/s, 49s left, app 2 % of 100 MB"]);
});
