import { extname } from "@std/path";
import { emitTo } from "../../events.ts";
import type { NodeKind } from "../../graph/node.ts";
import type { Command } from "../command.ts";
import { findConfig } from "../config_file.ts";
import { count } from "../../lib/words.ts";

/** `stowage check`. */
export const check: Command = {
  usage: "",
  flags: [{ name: "no-types", help: "do not check the types of a config that is TypeScript" }],
  examples: [
    { line: "check", does: "is the config right?" },
    { line: "check --config edge.config.ts --json", does: "says so to a program" },
  ],
  maxWords: 0,
  async run({ flags, load, onEvent, signal, terminal, isJson, isQuiet }) {
    const { graph } = await load();
    const file = await findConfig(flags.text("config"));
    if (extname(file) === ".ts" && !flags.has("no-types")) {
      const { checkTypes } = await import("../project/check_types.ts");
      if (!await checkTypes(file, { isOffline: flags.has("offline"), signal })) {
        const message = "types are not checked: this stowage was built without its own";
        emitTo(onEvent)({ type: "notice", code: "CONFIG_NOTE", message });
      }
    }
    const counts = { source: 0, input: 0, stage: 0 };
    for (const { kind } of graph.nodes.values()) counts[isOfSources(kind) ? "source" : kind]++;
    if (!isJson && !isQuiet) {
      const parts = Object.entries(counts).map(([kind, n]) => count(n, kind));
      terminal.out(`The config is right: ${parts.join(", ")}`);
    }
    return { ok: true, ...counts };
  },
};

function isOfSources(kind: NodeKind): kind is "source" | "artifact" | "tags" {
  return kind !== "input" && kind !== "stage";
}
