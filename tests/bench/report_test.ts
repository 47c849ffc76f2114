import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as v from "valibot";
import { aimsOf, formatAims } from "../../scripts/bench/aims.ts";
import { drawChart } from "../../scripts/bench/chart.ts";
import {
  type Figures,
  type GroupReport,
  type Report,
  ReportSchema,
} from "../../scripts/bench/report.ts";
import { formatGroup } from "../../scripts/bench/table.ts";

function figures(name: string, wall: number, ratio: number, more: Partial<Figures> = {}): Figures {
  const same = (value: number) => ({ min: value, median: value, max: value });
  return { name, walls: [wall], wall: same(wall), ratio: same(ratio), ...more };
}

function report(...groups: GroupReport[]): Report {
  const machine = "2 × some <CPU> & more";
  const load: [number, number] = [0, 1];
  return { date: "2026-01-02T03:04:05Z", machine, load, rounds: 5, scale: 1, groups };
}

function eight(wall: number, ratio: number, wire: number): GroupReport {
  return {
    id: "fetch-eight",
    title: "8 images",
    isCharted: true,
    whole: 1_000,
    figures: [
      figures("skopeo copy, one by one", 10_000, 1, { wire: 8_000, disk: 8_000 }),
      figures("skopeo copy, one OCI layout", 3_000, 0.3, { wire: 1_000, disk: 1_000 }),
      figures("stowage fetch", wall, ratio, { wire, disk: 1_004 }),
    ],
  };
}

describe("aims", () => {
  const of = (...groups: GroupReport[]) =>
    Object.fromEntries(aimsOf(report(...groups)).map(({ aim, isReached }) => [aim, isReached]));

  it("are reached when the median is, as it is written", () => {
    const aims = of(eight(2_900, 0.354, 1_004));
    assertEquals(aims["fetch-eight: at most 0.35× skopeo copy one by one"], true);
    assertEquals(aims["fetch-eight: faster than any peer"], true);
    assertEquals(aims["fetch-eight: bytes on the wire 1.00× unique blobs"], true);
    assertEquals(aims["fetch-eight: bytes on disk 1.00× unique blobs"], true);
  });

  it("are missed by a little, and by one peer", () => {
    const aims = of(eight(3_001, 0.356, 1_006));
    assertEquals(aims["fetch-eight: at most 0.35× skopeo copy one by one"], false);
    assertEquals(aims["fetch-eight: faster than any peer"], false);
    assertEquals(aims["fetch-eight: bytes on the wire 1.00× unique blobs"], false);
  });

  it("are of time, of a peer that is there, and of what a link takes", () => {
    const group = (id: string, ...rows: Figures[]): GroupReport => ({
      ...{ id, title: "", isCharted: true, figures: rows },
    });
    const far = (own: number, least: number, ...peers: Figures[]): GroupReport => ({
      ...group("fetch-far-40ms", ...peers, figures("stowage fetch", own, own)),
      least,
    });
    const [warm, crane, regctl, link] = [
      "warm-20: at most 60.0 ms",
      "fetch-twenty: at most 1.00× crane",
      "fetch-far-40ms: at most 0.50× regctl",
      "fetch-far-40ms: at most 1.60× what the link takes",
    ] as const;
    assertEquals(of(group("warm-20", figures("stowage fetch", 60, 1)))[warm], true);
    assertEquals(of(group("warm-20", figures("stowage fetch", 61, 1)))[warm], false);
    assertEquals(of(group("fetch-twenty", figures("stowage fetch", 1, 1)))[crane], undefined);
    const copy = figures("regctl image copy, one OCI layout", 100, 1);
    const [good, bad] = [of(far(50, 31.3, copy)), of(far(51, 31.3, copy))];
    assertEquals([good[regctl], good[link]], [true, true]);
    assertEquals([bad[regctl], bad[link]], [false, false]);
    assertEquals(of(far(50, 31))[regctl], undefined);
  });

  it("want memory that does not grow with a layer", () => {
    const memory = (id: string, process: number): GroupReport => ({
      id,
      title: "",
      isCharted: false,
      figures: [figures("stowage fetch", 1, 1, { memory: { process, child: 20e6 } })],
    });
    const name = "memory: below 150 MB, however large a layer is";
    assertEquals(of(memory("memory-50mb", 100e6), memory("memory-500mb", 105e6))[name], true);
    assertEquals(of(memory("memory-50mb", 100e6), memory("memory-500mb", 140e6))[name], false);
    assertEquals(of(memory("memory-50mb", 149e6), memory("memory-500mb", 151e6))[name], false);
  });

  it("want memory below a limit, whatever comes", () => {
    const named = (id: string, name: string, process: number): GroupReport => ({
      ...{ id, title: "", isCharted: false },
      figures: [figures(name, 1, 1, { memory: { process, child: 20e6 } })],
    });
    const hundred = (process: number) =>
      of(named("memory-hundred", "stowage fetch --jobs 20", process))[
        "memory-hundred: below 150 MB"
      ];
    assertEquals([hundred(149e6), hundred(150e6)], [true, false]);
    const nodes = (process: number) =>
      of(named("graph-10000", "check, JSON", process))["graph-10000: below 150 MB"];
    assertEquals([nodes(149e6), nodes(150e6)], [true, false]);
  });

  it("that were not measured are neither reached nor missed", () => {
    assertEquals(new Set(Object.values(of())), new Set([undefined]));
    assertStringIncludes(formatAims(aimsOf(report())), "not measured");
  });
});

describe("the chart", () => {
  it("has a bar a contender, as long as its ratio, at most to the end", () => {
    const group = eight(2_900, 0.3, 1_000);
    const slow = figures("podman pull", 90_000, 9);
    const svg = drawChart(report({ ...group, figures: [...group.figures, slow] }));
    const bars = [...svg.matchAll(/<rect class="(own|peer)" .*width="([\d.]+)"/g)];
    assertEquals(bars.map(([, kind]) => kind), ["peer", "peer", "own", "peer"]);
    const [one = NaN, _, own = NaN, podman = NaN] = bars.map(([, , width]) => Number(width));
    assert(Math.abs(own / one - 0.3) < 0.01, `${own} is not 0.3 of ${one}`);
    assert(Math.abs(podman / one - 1.5) < 0.01, `${podman} is not at the end`);
    assertStringIncludes(svg, "9.00×");
    assertStringIncludes(svg, "2 × some &lt;CPU&gt; &amp; more");
    assertStringIncludes(svg, "prefers-color-scheme: dark");
  });

  it("leaves out what is not for it", () => {
    const svg = drawChart(report({ ...eight(1, 1, 1), isCharted: false }));
    assertEquals(svg.match(/<rect class="(own|peer)"/g), null);
  });
});

describe("the table and the JSON", () => {
  it("name what each verifies, and what the link takes, where that is known", () => {
    const { figures: [peer, ...others], ...group } = eight(2_900, 0.3, 1_000);
    assert(peer);
    const named = { ...group, least: 1_100, figures: [{ ...peer, verifies: "blobs" }, ...others] };
    const [title = "", head = "", first = "", second = ""] = formatGroup(named).split("\n");
    assert(title.endsWith("; at least 1.10 s"), title);
    assert(head.endsWith("verifies"), head);
    assertEquals([first.endsWith("  blobs"), second.includes("blobs")], [true, false]);
  });

  it("hold bytes against unique blobs", () => {
    const [, , ...rows] = formatGroup(eight(2_900, 0.3, 1_000)).split("\n");
    assert(/^stowage fetch .* 0\.30× .* 1\.0 kB +1\.00× +1\.0 kB +1\.00×$/.test(rows[2] ?? ""));
    assert(/ 8\.0 kB +8\.00× /.test(rows[0] ?? ""));
  });

  it("read back what was written", () => {
    const written = report(eight(2_900, 0.3, 1_000));
    assertEquals(v.parse(ReportSchema, JSON.parse(JSON.stringify(written))), written);
  });
});
