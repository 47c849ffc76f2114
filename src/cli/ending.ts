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
 * or later.
 */
export function guardEnd(): void {
  globalThis.addEventListener("unload", () => {
    if (isOurs) return;
    tell(
      new ConfigFileError("Cannot go on: code of the config has ended the process", {
        hint: "a config must not call Deno.exit() or process.exit(); it may throw",
      }),
    );
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
