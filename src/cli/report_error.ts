import { RunError, type StowageError, UnexpectedError } from "../errors/mod.ts";
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
  for (const failure of failures) {
    showError(failure, terminal);
    if (isDebug) terminal.err(stackOf(failure));
  }
  if (error instanceof RunError) terminal.err(error.message.split("\n", 1).join());
}

function showError({ message, hint }: StowageError, terminal: Terminal): void {
  const [first = "", ...rest] = message.split("\n");
  // Set in, so that no line of others' words passes for one of stowage's own.
  const lines = rest.map((line) => line.startsWith("  ") ? line : `  ${line}`);
  terminal.err([`${red("error")}: ${first}`, ...lines].join("\n"));
  if (hint !== undefined) terminal.err(`  ${dim("→")} ${inLine(hint)}`);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return new UnexpectedError(error).message;
  const cause = error.cause === undefined ? "" : `\nCaused by: ${stackOf(error.cause)}`;
  return (error.stack ?? error.message) + cause;
}
