import { helpOf, helpOfAll } from "../help.ts";
import type { Command } from "../command.ts";
import { COMMANDS, findCommand } from "./mod.ts";

/** `stowage help`. */
export const help: Command = {
  usage: "[COMMAND]",
  flags: [],
  examples: [{ line: "help gc", does: "the flags of `stowage gc`, with examples" }],
  maxWords: 1,
  completes: Object.keys(COMMANDS),
  async run({ flags, terminal, isJson }) {
    const [name] = flags.words;
    const text = name === undefined ? helpOfAll(COMMANDS) : helpOf(name, await findCommand(name));
    if (!isJson) terminal.out(text);
    return { ok: true, text };
  },
};
