// deno-lint-ignore-file no-console
/**
 * Measures time, memory, and bytes on the wire and on disk, beside those of peers in the same run:
 * `deno task bench [case…] [--rounds N] [--save]`.
 *
 * Contenders of a group take turns, each round another one first; ratios are of each round, to the
 * group's first. CPU time and the peak memory of a `child` are of all that a contender starts.
 * The peak (VmHWM) is of a round that is not timed; it brings what all read into the page cache.
 * Before each run what was written is synced, and the run writes into new folders beside those of
 * its peers. Bytes on the wire are those that the registry's own log has, bodies without headers;
 * where a fetch is cut, those that pass a TCP proxy, which all contenders have before them then.
 * As root it removes the machine's cache of where skopeo and podman have seen blobs.
 */

import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join } from "@std/path";
import * as v from "valibot";
import { tempDir } from "../tests/support/mod.ts";
import { aimsOf, formatAims } from "./bench/aims.ts";
import { CASES, NAMED_ONLY } from "./bench/cases.ts";
import { drawChart } from "./bench/chart.ts";
import { describeMachine } from "./bench/machine.ts";
import { type GroupReport, type Report, ReportSchema } from "./bench/report.ts";
import { measureGroup } from "./bench/rounds.ts";
import { formatGroup } from "./bench/table.ts";

const RESULTS = fromFileUrl(new URL("bench/results", import.meta.url));
const USAGE = `usage: bench [case…] [--rounds N] [--scale X] [--save] [--json FILE] [--chart FILE]
       bench --from FILE [--save] [--chart FILE]

--rounds N    how often each contender is timed; 5 unless told
--scale X     multiply sizes with X, to try the bench out; 1 unless told
--json FILE   write what was measured
--chart FILE  draw it, as SVG
--save        write table, JSON and chart to ${RESULTS}
--from FILE   measure nothing: take what --json wrote
cases: ${[...CASES.keys()].join(", ")}
only where they are named: ${[...NAMED_ONLY].join(", ")}`;

const flags = parseArgs(Deno.args, {
  string: ["rounds", "scale", "json", "chart", "from", "_"],
  boolean: ["help", "save"],
  default: { rounds: "5", scale: "1" },
  unknown: (arg, name) => name === undefined || fail(`there is no flag "${arg}"`),
});
if (flags.help) {
  console.log(USAGE);
  Deno.exit();
}
const [rounds, scale] = [Number(flags.rounds), Number(flags.scale)];
const usual = [...CASES.keys()].filter((name) => !NAMED_ONLY.has(name));
const names = flags._.length > 0 ? flags._.map(String) : usual;
if (!Number.isSafeInteger(rounds) || rounds < 1) fail(`"${flags.rounds}" is no number of rounds`);
if (!(scale > 0)) fail(`"${flags.scale}" is no scale`);
for (const name of names) if (!CASES.has(name)) fail(`there is no case "${name}"`);

const report = flags.from === undefined ? await measure() : await read(flags.from);
const load = report.load.map((load) => load.toFixed(2)).join(" to ");
const table = [
  `${report.date}, ${report.rounds} rounds, scale ${report.scale}, load ${load}`,
  report.machine,
  ...report.groups.map((group) => `\n${formatGroup(group)}`),
  `\n${formatAims(aimsOf(report))}\n`,
].join("\n");
const json = `${JSON.stringify(report, undefined, 2)}\n`;
console.log(table);
if (flags.json !== undefined) await Deno.writeTextFile(flags.json, json);
if (flags.chart !== undefined) await Deno.writeTextFile(flags.chart, drawChart(report));
if (flags.save) {
  await Deno.mkdir(RESULTS, { recursive: true });
  await Deno.writeTextFile(join(RESULTS, "bench.txt"), table);
  await Deno.writeTextFile(join(RESULTS, "bench.json"), json);
  await Deno.writeTextFile(join(RESULTS, "bench.svg"), drawChart(report));
  // What the README shows: registries as users have them.
  const far = report.groups.filter(({ id }) => id.startsWith("fetch-far"));
  await Deno.writeTextFile(join(RESULTS, "far.svg"), drawChart({ ...report, groups: far }));
}

async function measure(): Promise<Report> {
  const load = () => Deno.loadavg()[0] ?? NaN;
  const before = load();
  const groups: GroupReport[] = [];
  for (const name of names) {
    await using dir = await tempDir();
    await using resources = new AsyncDisposableStack();
    const mb = (size: number) => Math.round(size * scale * 1e6);
    try {
      for (const group of await CASES.get(name)?.({ dir, resources, mb }) ?? []) {
        const measured = await measureGroup(group, rounds);
        console.error(`${formatGroup(measured)}\n`);
        groups.push(measured);
      }
    } catch (error) {
      console.error(`bench: case "${name}" failed:`, error); // the others are worth having
      Deno.exitCode = 1;
    }
  }
  const date = new Date().toISOString();
  const machine = await describeMachine(Deno.env.get("TMPDIR") ?? "/tmp");
  return { date, machine, load: [before, load()], rounds, scale, groups };
}

async function read(path: string): Promise<Report> {
  return v.parse(ReportSchema, JSON.parse(await Deno.readTextFile(path)));
}

function fail(message: string): never {
  console.error(`bench: ${message}\n${USAGE}`);
  Deno.exit(2);
}
