import { format as formatBytes } from "@std/fmt/bytes";
import type {
  ArtifactResult,
  Emit,
  ImageResult,
  IndexedImage,
  Listener,
  RunEvent,
  WorkerEvent,
} from "../events.ts";
import type { Finding, LeftFinding } from "../finding.ts";
import { columns } from "./columns.ts";
import { jsonLine } from "./json_line.ts";
import { count, inLine, plain } from "../lib/words.ts";
import { Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { bold, dim, green, red, yellow } from "./style.ts";

/** How long a log is silent while something is on its way, in ms. */
const SILENCE = 60_000;

/** How it is told how far a run is. */
export const PROGRESS = ["bar", "plain", "none"] as const;

/**
 * Tells a person what happens.
 *
 * @param terminal Where to.
 * @param how Whether bars on the terminal say how far the run is, or a line each minute, or nothing;
 * bars where there is a terminal, if absent.
 * @param now Tells the time, in ms.
 * @returns The listener; in any way it has lines of all that happens.
 */
export function reportText(
  terminal: Terminal,
  how: typeof PROGRESS[number] = terminal.status ? "bar" : "plain",
  now = () => performance.now(),
): Emit {
  const progress = new Progress();
  let told = now();
  let title = namesOf([]);
  return (event) => {
    if (event.type === "start") title = namesOf(event.keys);
    const hasChanged = progress.take(event);
    const isOverdue = how === "plain" && hasChanged && now() - told >= SILENCE;
    const line = lineOf(event, title) ?? (isOverdue ? progress.summary : undefined);
    if (line !== undefined) {
      terminal.err(line);
      told = now();
    }
    if (how === "bar" && hasChanged) terminal.status?.((columns) => progress.lines(columns));
  };
}

/**
 * Tells a program what happens.
 *
 * @param terminal Where to.
 * @returns The listener: one JSON object a line.
 */
export function reportJson(terminal: Terminal): Listener {
  return (event) => terminal.out(jsonLine(event));
}

/**
 * Leaves out what a command that shows a table at its end need not tell on its way there.
 *
 * @param listener Takes the rest: what takes long, and what else a person has to know.
 * @returns The listener.
 */
export function onlyNotes(listener: Listener): Listener {
  return (event) => {
    if (event.type === "retry" || event.type === "notice") listener(event);
  };
}

function lineOf(event: RunEvent, title: (key: string) => string): string | undefined {
  switch (event.type) {
    case "notice":
      return `${yellow("note")}     ${inLine(event.message)}`;
    case "resolved": {
      const size = event.size === undefined ? "" : ` (${formatBytes(event.size)})`;
      return dim(`found    ${event.name} at ${inLine(event.from)}${size}`);
    }
    case "retry":
      return `${yellow("retry")}    ${inLine(event.name)}, ${event.attempt} of ${event.attempts}: ${
        inLine(event.reason)
      }`;
    case "absent":
      return `${yellow("absent")}   ${inLine(event.name)} at ${
        inLine(event.from)
      }: ${event.reason}: ${inLine(event.message)}`;
    case "image":
    case "artifact":
      return event.status === "fetched" ? `${green("fetched")}  ${bold(event.name)}` : undefined;
    case "referrers": {
      const fetched = event.referrers.filter(({ status }) => status === "fetched").length;
      return fetched > 0
        ? `${green("fetched")}  ${count(fetched, "referrer")} of ${bold(event.name)}`
        : undefined;
    }
    case "stage-start":
      return dim(`running  ${event.name}`);
    case "stage":
      return event.status === "ran" ? `${green("ran")}      ${bold(event.name)}` : undefined;
    case "pushed":
      return event.status === "pushed"
        ? `${green("pushed")}   ${bold(event.name)} to ${plain(event.target)}`
        : undefined;
    case "failed":
      return `${red("failed")}   ${bold(title(event.key))}`;
    case "skipped":
      return `${yellow("skipped")}  ${bold(title(event.key))}, as ${title(event.because)} failed`;
    case "damaged":
      return showFinding(event);
    case "repaired": {
      const from = event.from === undefined ? "" : ` from ${inLine(event.from)}`;
      return `${green("repaired")} ${what(event)}${from}`;
    }
    case "unrepaired":
      return showLeft(event);
    case "piece":
      return event.status === "verified"
        ? `${green("verified")} ${bold(inLine(event.name))} (piece ${event.number} of ${event.of})`
        : undefined;
    case "worker":
      return showWorker(event);
    case "start":
    case "progress":
    case "traffic":
    case "carrying":
    case "verifying":
    case "garbage": // the command shows a table of it
    case "garbage-total":
    case "removed":
    case "pruned":
      return undefined;
  }
}

/** Who runs something on workers sees what comes of it; who looks at a worker sees its jobs. */
function showWorker({ status, worker, queue, key = "" }: WorkerEvent): string | undefined {
  switch (status) {
    case "waiting":
      return `${green("ready")}    ${bold(inLine(worker))} waits for jobs at ${inLine(queue)}`;
    case "begun":
      return dim(`begun    ${inLine(key)} on ${inLine(worker)}`);
    case "returned":
      return `${yellow("returned")} ${bold(inLine(key))}`;
    case "done":
    case "failed":
      return undefined;
  }
}

/**
 * Names items as people do.
 *
 * @param keys The keys of all items of a run.
 * @returns Names one of them: with its kind where another kind has the same name.
 */
function namesOf(keys: readonly string[]): (key: string) => string {
  const bare = (key: string) => key.slice(key.indexOf("/") + 1);
  const uses = Map.groupBy(keys, bare);
  return (key) =>
    inLine((uses.get(bare(key))?.length ?? 0) > 1 ? key.replace("/", " ") : bare(key));
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
 * Shows what is not what it has to be.
 *
 * @param finding What was found.
 * @returns A line.
 */
export function showFinding(
  finding: Finding,
): string {
  const { problem, path, message, quarantine } = finding;
  const aside = quarantine === undefined ? "" : `; it is in ${inLine(quarantine)} now`;
  const word = problem === "missing"
    ? yellow("missing")
    : problem === "unreadable"
    ? yellow("unread ")
    : red("damaged");
  return `${word}  ${what(finding)}: ${inLine(path)}: ${inLine(message)}${aside}`;
}

/**
 * Shows what could not be repaired.
 *
 * @param finding What it is.
 * @returns A line, or more where several places were asked.
 */
export function showLeft(finding: LeftFinding): string {
  return `${red("left")}     ${what(finding)}: ${plain(finding.reason)}`;
}

function what({ kind, entries, stage }: Finding): string {
  const owners = stage === undefined ? entries.map(shortId).join(", ") : `stage ${inLine(stage)}`;
  return `${bold(kind)}${owners ? ` of ${owners}` : ""}`;
}

/**
 * Shows the images and artifacts of a run.
 *
 * @param images The images.
 * @param artifacts The artifacts.
 * @returns A line each.
 */
export function showImages(
  images: readonly ImageResult[],
  artifacts: readonly ArtifactResult[] = [],
): string {
  const row = ({ name, status }: ImageResult | ArtifactResult | IndexedImage) => [
    bold(name),
    status === "fetched" ? green(status) : dim(status),
  ];
  return columns([
    ...withIndexed(images).map((image) => [
      ...[...row(image), image.platform, formatBytes(image.size), dim(shortId(image.id))],
    ]),
    ...artifacts.map((one) => [
      ...[...row(one), plain(one.kind), formatBytes(one.size), dim(shortId(one.digest))],
    ]),
  ]);
}

/**
 * Shows what workers have done and only the cache has.
 *
 * @param keys Their keys.
 * @returns A line, if there is anything.
 */
export function showCached({ length }: readonly string[]): string[] {
  return length === 0 ? [] : [`${count(length, "result")} in the cache`];
}

/**
 * The images of a run, with those of all platforms of an index where they are wanted.
 *
 * @param images The images, one a source and platform.
 * @returns All of them.
 */
export function withIndexed(images: readonly ImageResult[]): readonly IndexedImage[] {
  return images.flatMap((image) => image.index?.images ?? [image]);
}
