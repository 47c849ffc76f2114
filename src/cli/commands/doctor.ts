import { bold, green, red, yellow } from "@std/fmt/colors";
import { examine } from "../../tools/doctor.ts";
import { columns } from "../columns.ts";
import type { Command } from "../command.ts";

/** `stowage doctor`. */
export const doctor: Command = {
  usage: "",
  summary: "says whether what stowage needs is on this machine",
  flags: [],
  async run({ terminal, isJson, isQuiet }) {
    const findings = await examine();
    const colors = { good: green, limited: yellow, bad: red };
    if (!isJson && !isQuiet) {
      terminal.out(columns(findings.map(({ name, verdict, message }) => [
        colors[verdict](verdict),
        bold(name),
        message,
      ])));
    }
    return { ok: findings.every(({ verdict }) => verdict !== "bad"), findings };
  },
};
