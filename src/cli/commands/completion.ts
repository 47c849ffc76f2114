import { UsageError } from "../../errors/mod.ts";
import type { Command } from "../command.ts";
import { complete } from "../complete.ts";
import { COMPLETION_SCRIPTS } from "../completion_scripts.ts";
import { loadConfig } from "../config_file.ts";
import { loadCommands } from "./mod.ts";

const SHELLS = Object.keys(COMPLETION_SCRIPTS);

/** `stowage completion`. */
export const completion: Command = {
  usage: "SHELL [-- WORD…]",
  flags: [],
  examples: [
    { line: "completion bash > /etc/bash_completion.d/stowage", does: "for bash" },
    { line: "completion zsh > /usr/local/share/zsh/site-functions/_stowage", does: "for zsh" },
    { line: "completion fish > ~/.config/fish/completions/stowage.fish", does: "for fish" },
    {
      line: "completion bash -- fetch w",
      does: "what the last word may be; the script asks this way",
    },
  ],
  completes: SHELLS,
  async run({ flags, terminal, isJson }) {
    const [shell = "", ...words] = flags.words;
    const script = Object.hasOwn(COMPLETION_SCRIPTS, shell) ? COMPLETION_SCRIPTS[shell] : undefined;
    if (script === undefined) {
      const hint = `shells: ${SHELLS.join(", ")}`;
      const why = shell === "" ? "no shell is named" : `there is none for "${shell}"`;
      throw new UsageError(`Cannot print a completion script: ${why}`, { hint });
    }
    if (words.length === 0) {
      if (!isJson) terminal.out(script);
      return { ok: true, script };
    }
    // What cannot be loaded has no names: while somebody types, nothing is said about it.
    const load = (file?: string) => loadConfig(file).then(({ config }) => config, () => ({}));
    const offers = await complete(words, await loadCommands(), load);
    if (!isJson) terminal.out(offers.join("\n"));
    return { ok: true, offers };
  },
};
