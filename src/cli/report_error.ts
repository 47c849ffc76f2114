import {
  type Attempt,
  FetchError,
  RunError,
  type StowageError,
  UnexpectedError,
} from "../errors/mod.ts";
import { exitCodeOf } from "./exit_code.ts";
import { inLine } from "../lib/words.ts";
import { resultLine } from "./json_line.ts";
import type { Terminal } from "./terminal.ts";
import { dim, red } from "./style.ts";

/**
 * Says what failed, why, and what to do next.
 *
 * @param error Any error.
 * @param terminal Where to.
 * @param isJson Whether a program reads it.
 * @param isDebug Whether to say where in the code it comes from.
 */
export function reportError(
  error: StowageError,
  terminal: Terminal,
  isJson: boolean,
  isDebug: boolean,
): void {
  if (isJson) {
    const exitCode = exitCodeOf(error);
    const result = error instanceof RunError ? error.result : {};
    const data = error.toJSON();
    const line = { ok: false, exitCode, ...Object(result), error: data };
    terminal.out(resultLine(line));
    return;
  }
  const failures = error instanceof RunError ? Object.values(error.failures) : [error];
  const causes = Map.groupBy(failures, isDebug ? (failure) => failure : causeOf);
  for (const [failure, ...others] of causes.values()) {
    if (!failure) continue;
    showError(failure, others.flatMap(itemOf), terminal);
    if (isDebug) terminal.err(stackOf(failure));
  }
  if (error instanceof RunError) terminal.err(error.summary);
}

/** What is the same in failures of one cause, which differ by what they are of. */
function causeOf(failure: StowageError): unknown {
  const [item] = itemOf(failure);
  if (item === undefined) return failure;
  const { code, message, hint = "" } = failure;
  const [source = item] = item.split("@");
  const names = [`"${item}"`, `sources.${source}`, `--update ${source}`];
  if (failure instanceof FetchError) names.push(...failure.attempts.flatMap(namesIn));
  return names.reduce((text, name) => text.replaceAll(name, "…"), `${code} ${message} ${hint}`)
    .replace(/sha256:[0-9a-f]{64}/g, "…");
}

/** What others' words call an image of a registry: its reference, its repository, its tag. */
function namesIn({ reference }: Attempt): string[] {
  const [, host, path, tag] = /^docker:\/\/([^/]+)\/([^:@]+)(?::([^@]+))?/.exec(reference) ?? [];
  if (path === undefined) return [reference];
  return [reference, `${host}/${path}`, `"${path}"`, ...tag ? [`manifest ${tag} in`] : []];
}

function itemOf(failure: StowageError): string[] {
  return "item" in failure && typeof failure.item === "string" ? [failure.item] : [];
}

function showError(
  { message, hint }: StowageError,
  others: readonly string[],
  terminal: Terminal,
): void {
  const [first = "", ...rest] = message.split("\n");
  // Set in, so that no line of others' words passes for one of stowage's own.
  const lines = rest.map((line) => line.startsWith("  ") ? line : `  ${line}`);
  terminal.err([`${red("error")}: ${first}`, ...lines].join("\n"));
  if (others.length > 0) terminal.err(`  the same for ${others.map(inLine).join(", ")}`);
  if (hint !== undefined) terminal.err(`  ${dim("→")} ${inLine(hint)}`);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return new UnexpectedError(error).message;
  const cause = error.cause === undefined ? "" : `\nCaused by: ${stackOf(error.cause)}`;
  return (error.stack ?? error.message) + cause;
}
