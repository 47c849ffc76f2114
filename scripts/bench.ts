// deno-lint-ignore-file no-console
/**
 * Measures speed and memory, each figure beside that of a peer in the same run:
 * `deno task bench [case…] [--rounds N] [--json FILE]`.
 *
 * A group's contenders take turns; the first is the peer that ratios are to. On a busy machine the
 * minimum says most. Peak memory is VmHWM, of the process and of the largest that it started.
 */

import { parseArgs } from "@std/cli/parse-args";
import { columns } from "../src/cli/columns.ts";
import { tempDir } from "../tests/support/mod.ts";
import { CASES } from "./bench/cases.ts";
import { type Figures, measureGroup } from "./bench/rounds.ts";

const USAGE = `usage: bench [case…] [--rounds N] [--json FILE]
cases: ${[...CASES.keys()].join(", ")}`;
const HEAD = ["", "min", "median", "max", "of peer", "(median)", "peak", "child"];

const flags = parseArgs(Deno.args, {
  string: ["rounds", "json", "_"],
  boolean: ["help"],
  default: { rounds: "5" },
  unknown: (arg, name) => name === undefined || fail(`there is no flag "${arg}"`),
});
const rounds = Number(flags.rounds);
const names = flags._.length > 0 ? flags._.map(String) : [...CASES.keys()];
if (flags.help) {
  console.log(USAGE);
  Deno.exit();
}
if (!Number.isSafeInteger(rounds) || rounds < 1) fail(`"${flags.rounds}" is no number of rounds`);
for (const name of names) if (!CASES.has(name)) fail(`there is no case "${name}"`);

const groups: Record<string, Record<string, Figures[]>> = {};
for (const name of names) {
  await using dir = await tempDir();
  await using resources = new AsyncDisposableStack();
  const found = await CASES.get(name)?.({ dir, resources }) ?? [];
  for (const { title, contenders } of found) {
    console.error(`${name}: ${title}`);
    const figures = await measureGroup(contenders, rounds);
    (groups[name] ??= {})[title] = figures;
    console.log(`\n${name}: ${title}\n${columns([HEAD, ...figures.map(row)])}`);
  }
}
if (flags.json !== undefined) {
  const host = { cpus: navigator.hardwareConcurrency, load: Deno.loadavg(), deno: Deno.version };
  const report = { date: new Date().toISOString(), rounds, host, cases: groups };
  await Deno.writeTextFile(flags.json, `${JSON.stringify(report, undefined, 2)}\n`);
}

function row({ name, wall, ratio, memory }: Figures): string[] {
  const ms = (value: number) => `${value.toFixed(value < 100 ? 1 : 0)} ms`;
  const times = (value: number) => `${value.toFixed(2)}×`;
  const mib = (bytes: number) => bytes > 0 ? `${(bytes / 2 ** 20).toFixed(0)} MiB` : "";
  return [
    name,
    ...[wall.min, wall.median, wall.max].map(ms),
    ...[ratio.min, ratio.median].map(times),
    ...[memory?.process ?? 0, memory?.child ?? 0].map(mib),
  ];
}

function fail(message: string): never {
  console.error(`bench: ${message}\n${USAGE}`);
  Deno.exit(2);
}
