import type { Command } from "../command.ts";

/** `stowage check`. */
export const check: Command = {
  usage: "",
  summary: "checks the config, and names every mistake with the nearest right name",
  flags: [],
  examples: [
    { line: "check", does: "is the config right?" },
    { line: "check --config edge.config.ts --json", does: "says so to a program" },
  ],
  maxWords: 0,
  async run({ load, terminal, isJson, isQuiet }) {
    const { graph } = await load();
    const counts = { source: 0, input: 0, stage: 0 };
    for (const { kind } of graph.nodes.values()) counts[kind]++;
    if (!isJson && !isQuiet) {
      const parts = Object.entries(counts).map(([kind, n]) => `${n} ${kind}${n === 1 ? "" : "s"}`);
      terminal.out(`The config is right: ${parts.join(", ")}`);
    }
    return { ok: true, ...counts };
  },
};
