import { UsageError } from "../../errors/mod.ts";
import { GRAPH_FORMATS } from "../../graph/formats.ts";
import { nearest } from "../../graph/nearest.ts";
import type { Command } from "../command.ts";

/** `stowage graph`. */
export const graph: Command = {
  usage: "[--format FORMAT]",
  flags: [{
    name: "format",
    value: "FORMAT",
    alias: "f",
    choices: GRAPH_FORMATS,
    help: `${GRAPH_FORMATS.join(", ")} (text)`,
  }],
  examples: [
    { line: "graph", does: "as text" },
    { line: "graph --format svg > graph.svg", does: "as a picture" },
    { line: "graph -f mermaid", does: "for a page in Markdown" },
  ],
  maxWords: 0,
  async run({ load, flags, terminal, isJson }) {
    const name = flags.text("format") ?? "text";
    const format = GRAPH_FORMATS.find((format) => format === name);
    if (!format) {
      const near = nearest(name, GRAPH_FORMATS);
      throw new UsageError(`Cannot draw "${name}": there is no such format`, {
        hint: near ? `did you mean "${near}"?` : `formats: ${GRAPH_FORMATS.join(", ")}`,
      });
    }
    const { graph } = await load();
    if (isJson) return { ok: true, nodes: [...graph.nodes.values()] };
    const { draw } = await import("../../graph/draw.ts");
    terminal.out(await draw(graph, format));
    return { ok: true };
  },
};
