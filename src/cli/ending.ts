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
    const [why, hint] = isIdle
      ? ["code of the config waits for what never comes", "look for a promise that nobody keeps"]
      : [
        "code of the config has ended the process",
        "a config must not call Deno.exit() or process.exit(); it may throw",
      ];
    tell(new ConfigFileError(`Cannot go on: ${why}`, { hint }));
    Deno.exitCode = EXIT.usage;
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
