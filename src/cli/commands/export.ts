import { formatLeft, ImportError, UsageError } from "../../errors/mod.ts";
import { plain } from "../../lib/words.ts";
import { readLock } from "../../lockfile/lock_file.ts";
import type { Command } from "../command.ts";

/** `stowage export`. */
export const exportTo: Command = {
  usage: "osbuild",
  flags: [],
  examples: [
    { line: "export osbuild", does: "what osbuild needs to build from the store of this config" },
  ],
  maxWords: 1,
  completes: ["osbuild"],
  async run({ flags, load, lockPath, terminal, isJson, isQuiet }) {
    const [kind] = flags.words;
    if (kind !== "osbuild") {
      throw new UsageError(`Cannot export to "${kind ?? ""}": expected osbuild`);
    }
    const { graph } = await load();
    const { exportOsbuild } = await import("../../import/export_osbuild.ts");
    const { left, ...part } = exportOsbuild(graph, await readLock(await lockPath()));
    if (Object.keys(part.sources).length === 0) {
      throw new ImportError("Cannot export anything of the config", {
        left,
        hint: "run `stowage lock`: osbuild needs digests and ids",
      });
    }
    if (!isJson) terminal.out(JSON.stringify(part, undefined, 2));
    if (!isJson && !isQuiet && left.length > 0) {
      terminal.err("Left out:");
      for (const each of left) terminal.err(plain(formatLeft(each)));
    }
    return { ok: true, ...part, left };
  },
};
