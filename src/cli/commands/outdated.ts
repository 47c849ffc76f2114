import { bold, dim, yellow } from "@std/fmt/colors";
import { columns } from "../columns.ts";
import { manifests } from "../manifests.ts";
import { plain } from "../plain.ts";
import type { Command } from "../command.ts";

/** `stowage outdated`. */
export const outdated: Command = {
  usage: "[SOURCE…]",
  summary: "says which tags stand for something else than what is pinned; changes nothing",
  flags: [],
  async run({ load, flags, onEvent, signal, terminal, isJson, isQuiet }) {
    const stowage = await load();
    const listen = isJson ? { onEvent } : {};
    const result = await stowage.outdated({ names: flags.words, signal, ...listen });
    if (!isJson && !isQuiet) {
      const rows = result.outdated.map(({ name, reference, pinned, current }) => [
        yellow("moved"),
        bold(name),
        plain(reference),
        dim(`${pinned.slice(0, 19)} → ${current.slice(0, 19)}`),
      ]);
      const count = `${rows.length} moved (${manifests(result.requests)})`;
      terminal.out(rows.length > 0 ? `${columns(rows)}\n${count}` : count);
      const names = result.unpinned.map((name) => `"${plain(name)}"`).join(", ");
      if (names) terminal.out(`nothing pins ${names}\n  → run \`stowage lock\``);
    }
    return { ok: true, ...result };
  },
};
