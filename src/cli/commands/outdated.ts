import type { OutdatedResult } from "../../lockfile/outdated.ts";
import { RunError } from "../../errors/mod.ts";
import { columns } from "../columns.ts";
import { EXIT } from "../exit_code.ts";
import { manifests } from "../manifests.ts";
import { plain } from "../../lib/words.ts";
import { onlyNotes } from "../reporter.ts";
import type { Command } from "../command.ts";
import { bold, dim, green, yellow } from "../style.ts";

/** `stowage outdated`. */
export const outdated: Command = {
  usage: "[SOURCE…]",
  flags: [{ name: "exit-code", help: "exit with 4 if a tag has moved or is new" }],
  examples: [
    { line: "outdated", does: "all sources" },
    { line: "outdated --exit-code", does: "for a job in CI that tells of new images" },
  ],
  completes: "sources",
  async run({ load, flags, onEvent, signal, terminal, isJson, isQuiet }) {
    const stowage = await load();
    const tell = (result: OutdatedResult) => {
      if (!isJson && !isQuiet) terminal.out(show(result));
    };
    try {
      const listener = isJson ? onEvent : onlyNotes(onEvent);
      const result = await stowage.outdated({ names: flags.words, signal, onEvent: listener });
      tell(result);
      const found = result.outdated.length + result.rules.length;
      const isStale = flags.has("exit-code") && found > 0;
      return { ok: !isStale, ...(isStale && { exitCode: EXIT.lock }), ...result };
    } catch (error) {
      // What has moved is told, also where others could not be asked.
      if (error instanceof RunError && isOutdatedResult(error.result)) tell(error.result);
      throw error;
    }
  },
};

function isOutdatedResult(result: unknown): result is OutdatedResult {
  return typeof result === "object" && result !== null && "outdated" in result &&
    "unpinned" in result;
}

function show({ outdated, rules, unpinned, requests }: OutdatedResult): string {
  const tags = rules.flatMap(({ name, repository, added, removed }) => [
    ...added.map((tag) => [green("new"), bold(`${name}:${tag}`), plain(repository), ""]),
    ...removed.map((tag) => [yellow("gone"), bold(`${name}:${tag}`), plain(repository), ""]),
  ]);
  const moved = outdated.map(({ name, reference, pinned, current }) => [
    yellow("moved"),
    bold(name),
    plain(reference),
    dim(`${pinned.slice(0, 19)} → ${current.slice(0, 19)}`),
  ]);
  const rows = [...tags, ...moved];
  const isNew = tags.length > 0 ? `, ${tags.length} new or gone` : "";
  const names = unpinned.map((name) => `"${plain(name)}"`).join(", ");
  return [
    ...(rows.length > 0 ? [columns(rows)] : []),
    `${moved.length} moved${isNew} (${manifests(requests)})`,
    ...(names ? [`not pinned: ${names}`, "  → run `stowage lock`"] : []),
  ].join("\n");
}
