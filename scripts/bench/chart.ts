import { type Figures, type GroupReport, isOwn, type Report } from "./report.ts";
import { formatRatio, formatTime } from "./units.ts";

const WIDTH = 800;
const MARGIN = 16;
const BARS = { left: 236, right: 664, most: 1.5 };
const ROW = 18;
const HEAD = 74;
const GAP = 34;
const LINE = 110;
const NOTE = "Shorter is faster. Medians of rounds, and lines from least to most; dotted: 1.00×.";

/** Colours in the light and in the dark, of contrast enough for text. */
const STYLE = `
    text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
    text, .mark { fill: #1f2328; }
    .title { font-size: 18px; font-weight: 600; }
    .case { font-weight: 600; }
    .note { fill: #59636e; }
    .back { fill: #ffffff; }
    .peer { fill: #afb8c1; }
    .own { fill: #0969da; }
    .line { stroke: #1f2328; }
    .grid { stroke: #59636e; stroke-dasharray: 2 3; }
    @media (prefers-color-scheme: dark) {
      text, .mark { fill: #e6edf3; }
      .note { fill: #9198a1; }
      .back { fill: #0d1117; }
      .peer { fill: #59636e; }
      .own { fill: #4493f8; }
      .line { stroke: #e6edf3; }
      .grid { stroke: #9198a1; }
    }
  `;

/**
 * Draws what a run has measured: of each case, a bar a contender, as long as its wall time is to
 * that of the peer.
 *
 * @param report The run.
 * @returns An SVG image of 800 pixels in width, with a final line break.
 */
export function drawChart(report: Report): string {
  const charted = report.groups.filter(({ isCharted }) => isCharted);
  const parts: string[] = [];
  let top = HEAD;
  for (const group of charted) {
    parts.push(...drawGroup(group, top));
    top += group.figures.length * ROW + GAP;
  }
  const scale = report.scale === 1 ? "" : `; sizes × ${report.scale}`;
  const run = `${report.date.slice(0, 10)}; ${report.rounds} rounds${scale}`;
  const foot = [...wrap(report.machine), run];
  const height = top + foot.length * ROW + MARGIN - ROW;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" ` +
    `height="${height}" role="img" aria-labelledby="title">`,
    `  <title id="title">Wall time of stowage and of other tools</title>`,
    `  <style>${STYLE}</style>`,
    `  <rect class="back" width="${WIDTH}" height="${height}" rx="6"/>`,
    text(MARGIN, 30, "Wall time, as a ratio to the first of each case", "title"),
    text(MARGIN, 50, NOTE, "note"),
    ...parts,
    ...foot.map((line, index) => text(MARGIN, top + index * ROW, line, "note")),
    "</svg>",
    "",
  ].join("\n");
}

function drawGroup({ title, figures }: GroupReport, top: number): string[] {
  const one = xOf(1);
  const bottom = top + figures.length * ROW + 6;
  return [
    text(MARGIN, top, title, "case"),
    ...figures.flatMap((row, index) => drawRow(row, top + 8 + index * ROW)),
    `  <line class="grid" x1="${one}" y1="${top + 6}" x2="${one}" y2="${bottom}"/>`,
  ];
}

function drawRow({ name, ratio, wall }: Figures, top: number): string[] {
  const end = xOf(ratio.median);
  const middle = top + ROW / 2;
  const baseline = middle + 4;
  const isCut = ratio.median > BARS.most;
  const kind = isOwn({ name }) ? "own" : "peer";
  return [
    text(MARGIN, baseline, name),
    `  <rect class="${kind}" x="${BARS.left}" y="${top + 3}" width="${
      round(end - BARS.left)
    }" height="${ROW - 6}"/>`,
    `  <line class="line" x1="${xOf(ratio.min)}" y1="${middle}" x2="${
      xOf(ratio.max)
    }" y2="${middle}"/>`,
    ...(isCut ? [`  <path class="mark" d="M${end} ${top + 3}l8 ${ROW / 2 - 3}l-8 6z"/>`] : []),
    text(BARS.right + 14, baseline, formatRatio(ratio.median)),
    text(BARS.right + 66, baseline, formatTime(wall.median)),
  ];
}

/** Where a ratio is; what is beyond the right end is there. */
function xOf(ratio: number): number {
  const part = Math.min(ratio, BARS.most) / BARS.most;
  return round(BARS.left + part * (BARS.right - BARS.left));
}

function round(value: number): number {
  return Number(value.toFixed(1));
}

/** Breaks a line at commas. */
function wrap(line: string): string[] {
  const lines: string[] = [];
  for (const part of line.split(", ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + part.length < LINE) {
      lines.splice(-1, 1, `${last}, ${part}`);
    } else lines.push(part);
  }
  return lines;
}

function text(x: number, y: number, content: string, kind?: string): string {
  const attributes = `x="${x}" y="${y}"${kind === undefined ? "" : ` class="${kind}"`}`;
  return `  <text ${attributes}>${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
