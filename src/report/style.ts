/** How the page looks. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --fg: #1b2127; --dim: #5d6873; --line: #e1e5e9; --bg: #fff; --panel: #f6f8fa;
  --good: #18794e; --bad: #c62a2f; --warn: #96600a; --bar: #c3cad1; --step: #4a7fb5;
  --source: #dbe9f6; --input: #fdf0d5; --stage: #e0f2e1; --edge: #8a949e; --shared: 72%; --ink: #1b2127;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --fg: #e2e6ea; --dim: #98a3ad; --line: #30373e; --bg: #14181c; --panel: #1b2126;
    --good: #5cc28b; --bad: #ff8080; --warn: #e2b154; --bar: #4a545e; --step: #6f9fcf;
    --source: #21384e; --input: #45391c; --stage: #213f2b; --edge: #78838d; --shared: 40%; --ink: #f4f6f8;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 76rem; padding: 2.5rem 2rem 4rem; background: var(--bg); color: var(--fg);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif;
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 1.1rem; margin: 2.75rem 0 0.75rem; }
p { margin: 0.4rem 0; }
code, .reference { font: 0.86em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
code { overflow-wrap: anywhere; }
small { display: block; font-size: 0.82rem; color: var(--dim); }
small code { font-size: 0.95em; }
.dim { color: var(--dim); }
.good { color: var(--good); }
.bad { color: var(--bad); }
.warn { color: var(--warn); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.facts { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1px; margin: 1.5rem 0 0;
  background: var(--line); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.facts > div { background: var(--panel); padding: 0.8rem 1.1rem; }
.facts dt { color: var(--dim); font-size: 0.82rem; }
.facts dd { margin: 0; font-size: 0.82rem; }
.facts dt + dd { font-size: 1.25rem; font-weight: 600; line-height: 1.4; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { font-size: 0.82rem; font-weight: 500; color: var(--dim); text-align: left; white-space: nowrap; }
th.number { text-align: right; }
th, td { padding: 0.5rem 1.1rem 0.5rem 0; vertical-align: top; border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
small.reference { overflow-wrap: anywhere; }
.images td:first-child { min-width: 12rem; }
.images td:nth-child(n + 2):nth-child(-n + 3), .images td:nth-child(6) > span, .images td:nth-child(7) { white-space: nowrap; }
.digest .short { white-space: nowrap; }
.digest .full { display: none; }
.picture { border: 1px solid var(--line); border-radius: 8px; padding: 1rem; overflow-x: auto; }
.picture svg { display: block; margin: 0 auto; max-width: 100%; height: auto; }
.picture .graph > polygon { fill: none; }
.picture text { fill: var(--fg); font-family: ui-monospace, "Liberation Mono", monospace; }
.picture .node text:first-of-type { font-weight: 600; }
.picture .node path, .picture .node polygon { stroke: var(--edge); }
.picture .source path { fill: var(--source); }
.picture .input path { fill: var(--input); }
.picture .stage polygon { fill: var(--stage); }
.picture .edge path { stroke: var(--edge); }
.picture .edge polygon { stroke: var(--edge); fill: var(--edge); }
.bars { display: grid; grid-template-columns: fit-content(16rem) 1fr auto; gap: 0.4rem 1rem; align-items: center; }
.bars .name { overflow-wrap: anywhere; }
.bars + .wide { margin-top: 1.25rem; }
.layers .bar { display: flex; height: 1.5rem; gap: 1px; }
.part { background: var(--bar); min-width: 2px; border-radius: 2px; text-align: center; line-height: 1.5rem;
  font-size: 0.78rem; font-weight: 600; overflow: hidden; }
.shared { background: hsl(var(--hue) 50% var(--shared)); color: var(--ink); }
.swatch { display: inline-block; min-width: 1.5rem; padding: 0 0.35rem; border-radius: 2px; text-align: center;
  font-size: 0.78rem; font-weight: 600; line-height: 1.5rem; }
.timeline { grid-template-columns: fit-content(16rem) 1fr auto auto; row-gap: 0; }
.timeline .number { font-size: 0.86rem; }
.timeline .bar { position: relative; height: 1.8rem;
  background: repeating-linear-gradient(to right, var(--line) 0 1px, transparent 1px 25%); border-right: 1px solid var(--line); }
.timeline .ticks { background: none; border: 0; height: 1.1rem; color: var(--dim); font-size: 0.78rem; }
.timeline .ticks span { position: absolute; }
.step { position: absolute; top: 0.5rem; height: 0.8rem; min-width: 3px; border-radius: 2px; background: var(--step); }
.step.cached { background: var(--bar); }
.step.failed { background: var(--bad); }
.step.skipped, .step.unfinished { background: var(--warn); }
@media (max-width: 45rem) { .facts { grid-template-columns: 1fr 1fr; } body { padding: 1.5rem 1rem; } }
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  * { print-color-adjust: exact; }
  body { padding: 0; max-width: none; font-size: 10pt; }
  h2 { break-after: avoid; }
  tr, .facts, .picture { break-inside: avoid; }
  .wide, .picture { overflow: visible; }
  .picture { border: 0; padding: 0; }
  .picture svg { max-height: 160mm; }
  .digest .short { display: none; }
  .digest .full { display: inline; }
  .images td:nth-child(2) { white-space: normal; min-width: 15rem; }
}
`;
