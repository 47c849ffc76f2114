import { type Html, html } from "../lib/html.ts";
import type { RunStep } from "../store/last_run.ts";
import type { Report } from "./report.ts";
import { durationText, sizeText, timeText } from "./words.ts";

/**
 * Shows when which item of the last run was worked on.
 *
 * @param report The report.
 * @returns The section.
 */
export function timelineSection({ run }: Report): Html {
  if (!run) {
    return html`
      <section>
        <h2>Last run</h2>
        <p class="dim">The store has no record of a run that fetched or built something.</p>
      </section>
    `;
  }
  const start = Date.parse(run.start);
  const length = Math.max(1, Date.parse(run.end) - start);
  const at = (time: string) => Math.min(1, Math.max(0, (Date.parse(time) - start) / length));
  const ticks = [0, 0.25, 0.5, 0.75].map((part) =>
    html`<span style="left:${part * 100}%">${durationText(part * length)}</span>`
  );
  const rows = run.steps.map((step) => row(step, at));
  const what = html`<code>stowage ${run.action}</code>`;
  return html`
    <section>
      <h2>Last run</h2>
      <p class="dim">${what} · ${timeText(run.start)} · ${durationText(length)}</p>
      <div class="bars timeline">
        <div></div>
        <div class="bar ticks">${ticks}</div>
        <div></div>
        <div></div>
        ${rows}
      </div>
    </section>
  `;
}

function row(step: RunStep, at: (time: string) => number): Html {
  const { key, status, start, end, fetched } = step;
  const left = at(start) * 100;
  const width = at(end) * 100 - left;
  const took = durationText(Math.max(0, Date.parse(end) - Date.parse(start)));
  const what = [status, ...(fetched === undefined ? [] : [sizeText(fetched)])].join(" ");
  const style = `left:${left.toFixed(2)}%;width:${width.toFixed(2)}%`;
  return html`
    <div class="name">${key}</div>
    <div
      class="bar"><span class="step ${status}" style="${style}" title="${what}"></span></div>
    <div class="number">${took}</div>
    <div class="number dim">${what}</div>
  `;
}
