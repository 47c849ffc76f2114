import { format as formatBytes } from "@std/fmt/bytes";
import type { ProgressEvent, RunEvent, TrafficEvent } from "../events.ts";
import { inLine } from "../lib/words.ts";

/** How far a run is, as its events tell it. */
export class Progress {
  /** Keys of what counts, and of what is done of it. */
  readonly #open = new Set<string>();
  readonly #done = new Set<string>();
  readonly #images = new Map<string, ProgressEvent>();
  /** Names of the stages that run, by key. */
  readonly #stages = new Map<string, string>();
  #traffic: TrafficEvent | undefined;
  /** How far a check or a push is. */
  #other: string | undefined;

  /**
   * Takes what a run tells.
   *
   * @param event The event.
   * @returns Whether that changes what is shown.
   */
  take(event: RunEvent): boolean {
    switch (event.type) {
      case "start":
        for (const key of event.keys) if (!key.startsWith("input/")) this.#open.add(key);
        return false;
      case "progress":
        this.#images.set(event.key, event);
        return true;
      case "traffic":
        this.#traffic = event;
        return true;
      case "verifying":
      case "carrying":
        this.#other = sayOther(event);
        return true;
      case "stage-start":
        this.#stages.set(event.key, event.name);
        return true;
      case "image":
      case "stage":
      case "failed":
      case "skipped":
        this.#images.delete(event.key);
        this.#stages.delete(event.key);
        if (this.#open.has(event.key)) this.#done.add(event.key);
        return true;
      default:
        return false;
    }
  }

  /** How far all of it is, in a line; `undefined` where nothing is on its way. */
  get summary(): string | undefined {
    if (this.#other !== undefined) return this.#other;
    if (!this.#traffic && this.#stages.size === 0) return undefined;
    const count = this.#open.size > 0 ? [`[${this.#done.size}/${this.#open.size}]`] : [];
    return [...count, this.#traffic ? sayTraffic(this.#traffic) : "running stages"].join(" ");
  }

  /**
   * Shows it on a terminal.
   *
   * @param columns How many characters a line has.
   * @returns The summary, and a line for each image that is on its way and each stage that runs.
   */
  lines(columns: number): string[] {
    const { summary } = this;
    if (summary === undefined) return [];
    const rows = [...this.#images.values()];
    const names = [...rows.map(({ name }) => name), ...this.#stages.values()].map(inLine);
    const width = Math.min(Math.max(0, ...names.map(({ length }) => length)), MAX_NAME);
    const name = (text: string) => cut(inLine(text), width).padEnd(width);
    return [
      summary,
      ...rows.map((row) => `${name(row.name)}  ${sayImage(row, columns - width - 2)}`),
      ...[...this.#stages.values()].map((stage) => `${name(stage)}  runs`),
    ].map((line) => cut(line, columns));
  }
}

/** How long names may be, in characters. */
const MAX_NAME = 24;
/** How long a bar is, in characters. */
const BAR = 24;
/** What stands behind a bar, at its longest. */
const BEHIND = " 100 %  999.99 of 999.99 MB".length;

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(columns - 1, 0))}…`;
}

function sayImage({ bytes, total, waitsFor }: ProgressEvent, columns: number): string {
  if (waitsFor !== undefined) return `waits for a layer of ${inLine(waitsFor)}`;
  if (total === undefined) return formatBytes(bytes);
  const share = total > 0 ? Math.min(bytes / total, 1) : 1;
  const filled = Math.floor(share * BAR);
  const bar = columns < BAR + BEHIND + 2
    ? []
    : [`[${"#".repeat(filled)}${"-".repeat(BAR - filled)}]`];
  const percent = `${Math.floor(100 * share)} %`.padStart(5);
  return [...bar, `${percent}  ${sayShare(bytes, total)}`].join(" ");
}

function sayOther(event: RunEvent & { readonly type: "verifying" | "carrying" }): string {
  const { type, bytes, total } = event;
  return type === "verifying"
    ? `verifying ${total > 0 ? Math.floor(100 * bytes / total) : 100} % of ${formatBytes(total)}`
    : `${sayShare(bytes, total)} are there`;
}

function sayTraffic({ bytes, total, unknown, rate, left }: TrafficEvent): string {
  // There is more of images that nobody has told of yet.
  const more = unknown ? " or more" : "";
  const speed = rate > 0 ? [`${formatBytes(rate)}/s`] : [];
  const time = left ? [`${sayTime(left)} left`] : [];
  return [`${sayShare(bytes, total)}${more}`, ...speed, ...time].join(" · ");
}

/** `27 of 83 MB`: a unit that both have stands once. */
function sayShare(bytes: number, total: number): string {
  const [done, all] = [formatBytes(bytes), formatBytes(total)];
  const [number = done, unit] = done.split(" ");
  return `${all.endsWith(` ${unit}`) ? number : done} of ${all}`;
}

function sayTime(seconds: number): string {
  const [s, min, h] = [seconds % 60, Math.floor(seconds / 60) % 60, Math.floor(seconds / 3600)];
  if (h > 0) return `${h} h ${min} min`;
  return min > 0 ? `${min} min ${s} s` : `${s} s`;
}
