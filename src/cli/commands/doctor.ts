import { columns } from "../columns.ts";
import type { Command } from "../command.ts";
import { bold, green, red, yellow } from "../style.ts";

/** `stowage doctor`. */
export const doctor: Command = {
  usage: "",
  flags: [],
  examples: [
    { line: "doctor", does: "which programs are there, and what they can do" },
  ],
  maxWords: 0,
  async run({ terminal, options, isJson, isQuiet }) {
    const { examine } = await import("../../tools/doctor.ts");
    const { checkOptions } = await import("../../options.ts");
    const findings = await examine(checkOptions(options).store);
    const colors = { good: green, limited: yellow, bad: red };
    const shown = isQuiet ? findings.filter(({ verdict }) => verdict === "bad") : findings;
    if (!isJson && shown.length > 0) {
      terminal.out(columns(shown.map(({ name, verdict, message }) => [
        colors[verdict](verdict),
        bold(name),
        message,
      ])));
    }
    return { ok: findings.every(({ verdict }) => verdict !== "bad"), findings };
  },
};
