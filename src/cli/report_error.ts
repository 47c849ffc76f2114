import { dim, red } from "@std/fmt/colors";
import { RunError, StowageError } from "../errors/mod.ts";
import { exitCodeOf } from "./exit_code.ts";
import { plain } from "../lib/words.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Says what failed, why, and what to do next.
 *
 * @param error Any error.
 * @param terminal Where to.
 * @param isJson Whether a program reads it.
 * @param isDebug Whether to say where in the code it comes from.
 */
export function reportError(
  error: unknown,
  terminal: Terminal,
  isJson: boolean,
  isDebug: boolean,
): void {
  if (isJson) {
    const data = error instanceof StowageError ? error.toJSON() : { message: String(error) };
    const exitCode = exitCodeOf(error);
    const result = error instanceof RunError ? error.result : {};
    const line = { type: "result", ok: false, exitCode, ...Object(result), error: data };
    terminal.out(JSON.stringify(line));
    return;
  }
  const failures = error instanceof RunError ? Object.values(error.failures) : [error];
  for (const failure of failures) {
    showError(failure, terminal);
    if (isDebug) terminal.err(plain(stackOf(failure)));
  }
  if (error instanceof RunError) terminal.err(error.message.split("\n", 1).join());
}

function showError(error: unknown, terminal: Terminal): void {
  const message = error instanceof Error ? error.message : String(error);
  terminal.err(`${red("error")}: ${plain(message)}`);
  const hint = error instanceof StowageError
    ? error.hint
    : "this is a bug in stowage; please report it, with what --debug says";
  if (hint) terminal.err(`  ${dim("→")} ${plain(hint)}`);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\nCaused by: ${stackOf(error.cause)}`;
  return (error.stack ?? error.message) + cause;
}
