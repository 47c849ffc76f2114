import { unicodeWidth } from "@std/cli/unicode-width";
import { stripAnsiCode } from "@std/fmt/colors";

/**
 * Sets rows in columns.
 *
 * @param cells The cells of each row; what breaks a line in one is written as in JSON.
 * @returns A line a row, two spaces between columns, none at its end.
 */
export function columns(cells: readonly (readonly string[])[]): string {
  const rows = cells.map((row) => row.map((cell) => cell.replaceAll("\n", "\\n")));
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, widthOf(cell));
    });
  }
  const line = (row: readonly string[]) =>
    row.map((cell, index) => cell + " ".repeat((widths[index] ?? 0) - widthOf(cell))).join("  ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}

function widthOf(cell: string): number {
  return unicodeWidth(stripAnsiCode(cell));
}
