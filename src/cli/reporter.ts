import { format as formatBytes } from "@std/fmt/bytes";
import { bold, dim, green, red, yellow } from "@std/fmt/colors";
import type { ImageResult, Listener, StowageEvent } from "../events.ts";
import { columns } from "./columns.ts";
import { plain } from "./plain.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Tells a person what happens.
 *
 * @param terminal Where to.
 * @returns The listener: lines where there is no terminal, else a status line as well.
 */
export function reportText(terminal: Terminal): Listener {
  const progress = new Map<string, { bytes: number; total: number | undefined }>();
  return (event) => {
    const line = lineOf(event);
    if (line !== undefined) terminal.err(line);
    if (event.type === "progress") {
      progress.set(event.name, { bytes: event.bytes, total: event.total });
    } else if (event.type === "image" || event.type === "failed") {
      progress.delete(event.name);
    }
    if (progress.size > 0) terminal.status?.(statusOf(progress));
  };
}

/**
 * Tells a program what happens.
 *
 * @param terminal Where to.
 * @returns The listener: one JSON object a line.
 */
export function reportJson(terminal: Terminal): Listener {
  return (event) => terminal.out(JSON.stringify(event));
}

function lineOf(event: StowageEvent): string | undefined {
  switch (event.type) {
    case "notice":
      return `${yellow("note")}     ${event.message}`;
    case "resolved": {
      const size = event.size === undefined ? "" : ` (${formatBytes(event.size)})`;
      return dim(`found    ${event.name} at ${event.from}${size}`);
    }
    case "retry":
      return `${yellow("retry")}    ${event.name}, ${event.attempt} of ${event.attempts}: ${
        plain(event.reason)
      }`;
    case "absent":
      return `${yellow("absent")}   ${event.name} at ${event.from}: ${event.reason}: ${
        plain(event.message)
      }`;
    case "image":
      return event.status === "fetched" ? `${green("fetched")}  ${bold(event.name)}` : undefined;
    case "stage-start":
      return dim(`running  ${event.name}`);
    case "stage":
      return event.status === "ran" ? `${green("ran")}      ${bold(event.name)}` : undefined;
    case "failed":
      return `${red("failed")}   ${bold(event.name)}`;
    case "skipped":
      return `${yellow("skipped")}  ${bold(event.name)}, as ${event.because} failed`;
    case "start":
    case "progress":
      return undefined;
  }
}

function statusOf(
  progress: ReadonlyMap<string, { bytes: number; total: number | undefined }>,
): string {
  return [...progress].map(([name, { bytes, total }]) =>
    total === undefined
      ? `${name} ${formatBytes(bytes)}`
      : `${name} ${Math.floor(100 * bytes / total)} % of ${formatBytes(total)}`
  ).join(", ");
}

/**
 * The part of an id or a digest that tells it from others, as podman shows it.
 *
 * @param digest The id or digest.
 * @returns Its first 12 hex digits; `--json` has them all.
 */
export function shortId(digest: string): string {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}

/**
 * Shows the images of a run.
 *
 * @param images The images.
 * @returns A line an image.
 */
export function showImages(images: readonly ImageResult[]): string {
  return columns(images.map(({ name, status, id, platform, size }) => [
    bold(name),
    status === "fetched" ? green(status) : dim(status),
    platform,
    formatBytes(size),
    dim(shortId(id)),
  ]));
}
