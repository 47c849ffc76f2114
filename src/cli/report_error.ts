import { dim, red } from "@std/fmt/colors";
import { RunError, StowageError } from "../errors.ts";
import { exitCodeOf } from "./exit_code.ts";
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
  if (!(error instanceof StowageError)) {
    terminal.err(`${red("error")}: ${error instanceof Error ? error.message : String(error)}`);
    terminal.err(dim("this is a mistake of stowage itself; run with --debug and tell its makers"));
  } else if (error instanceof RunError) {
    for (const failure of Object.values(error.failures)) showError(failure, terminal);
    terminal.err(error.message.split("\n", 1).join());
  } else {
    showError(error, terminal);
  }
  if (isDebug && error instanceof Error) terminal.err(error.stack ?? "");
}

function showError(error: StowageError, terminal: Terminal): void {
  terminal.err(`${red("error")}: ${error.message}`);
  if (error.hint) terminal.err(`  ${dim("→")} ${error.hint}`);
}
