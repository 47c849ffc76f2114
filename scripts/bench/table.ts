import { columns } from "../../src/cli/columns.ts";
import type { Figures, GroupReport } from "./report.ts";
import { formatRatio, formatSize, formatTime } from "./units.ts";

const HEAD = ["", "wall min", "median", "max", "ratio min", "median", "max", "CPU"];
const SIZES = ["peak", "child", "wire", "", "disk", ""];
const CHECKS = "verifies";

/**
 * Writes what was measured of a group as a table.
 *
 * @param group The group.
 * @returns Its title, then a line a contender, without a final line break.
 */
export function formatGroup({ id, title, whole, least, figures }: GroupReport): string {
  const hasChecks = figures.some(({ verifies }) => verifies !== undefined);
  const checks = (text = "") => hasChecks ? [text] : [];
  const rows = figures.map((row) => [
    ...[...times(row), ...sizes(row, whole)],
    ...checks(row.verifies),
  ]);
  const bound = least === undefined ? "" : `; at least ${formatTime(least)}`;
  return `${id}: ${title}${bound}\n${columns([[...HEAD, ...SIZES, ...checks(CHECKS)], ...rows])}`;
}

function times({ name, wall, ratio, cpu }: Figures): string[] {
  return [
    name,
    ...[wall.min, wall.median, wall.max].map(formatTime),
    ...[ratio.min, ratio.median, ratio.max].map(formatRatio),
    cpu === undefined ? "" : formatTime(cpu),
  ];
}

function sizes({ memory, wire, disk }: Figures, whole: number | undefined): string[] {
  return [
    ...[memory?.process, memory?.child].map((bytes) => bytes ? formatSize(bytes) : ""),
    ...[wire, disk].flatMap((bytes) =>
      bytes === undefined ? ["", ""] : [
        formatSize(bytes),
        whole ? formatRatio(bytes / whole) : "",
      ]
    ),
  ];
}
