import { UsageError } from "../errors/mod.ts";
import type { Flag, ParsedFlags } from "./flags.ts";

/** As skopeo has it; each command says in its help of what. */
export const TLS_VERIFY = {
  name: "tls-verify",
  value: "BOOL",
  choices: ["true", "false"],
} as const satisfies Omit<Flag, "help">;

/**
 * Reads whether TLS is required.
 *
 * @param flags The command line.
 * @returns What it says, if anything.
 * @throws {UsageError} If it says neither true nor false.
 */
export function readTlsVerify(flags: ParsedFlags): boolean | undefined {
  const text = flags.text("tls-verify");
  if (text === undefined || text === "true" || text === "false") {
    return text === undefined ? undefined : text === "true";
  }
  throw new UsageError(`Cannot use --tls-verify "${text}": expected true or false`);
}
