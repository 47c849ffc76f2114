import { ConfigFileError } from "../errors/mod.ts";
import { EXIT, exitCodeOf } from "./exit_code.ts";
import { reportError } from "./report_error.ts";
import { openTerminal } from "./terminal.ts";

let isOurs = false;

/**
 * Ends the process. Nothing else in stowage does, so that what a config ends is known as such.
 *
 * @param code The exit code.
 */
export function endProcess(code: number): never {
  isOurs = true;
  Deno.exit(code);
}

/**
 * Lets no code of others end the process as if all were done: a config may call `Deno.exit(0)`, now
 * or later, or may leave nothing to wait for.
 */
export function guardEnd(): void {
  let isIdle = false;
  globalThis.addEventListener("beforeunload", () => void (isIdle = true));
  globalThis.addEventListener("unload", () => {
    if (isOurs) return;
    const why = "code of the config waits for what never comes";
    tell(isIdle ? new ConfigFileError(`Cannot go on: ${why}`, { hint: LOST_PROMISE }) : hasEnded());
    Deno.exitCode = EXIT.usage;
  });
}

/** What to do where a config waits for what never comes. */
export const LOST_PROMISE = "look for a promise that nobody keeps";

/**
 * Makes the error of a config that ends the process which loads it.
 *
 * @returns The error.
 */
export function hasEnded(): ConfigFileError {
  return new ConfigFileError("Cannot go on: code of the config has ended the process", {
    hint: "a config must not call Deno.exit() or process.exit(); it may throw",
  });
}

/**
 * Ends the process where nobody waits for what failed, such as what a config has begun.
 *
 * @param error What failed.
 */
export function endWith(error: Parameters<typeof reportError>[0]): never {
  tell(error);
  endProcess(exitCodeOf(error));
}

function tell(error: Parameters<typeof reportError>[0]): void {
  const [isJson, isDebug] = [Deno.args.includes("--json"), Deno.args.includes("--debug")];
  reportError(error, openTerminal(), isJson, isDebug);
}
