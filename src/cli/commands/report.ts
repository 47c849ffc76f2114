import { extname } from "@std/path";
import { UsageError } from "../../errors/mod.ts";
import { nearest } from "../../graph/nearest.ts";
import { guard, writeAtomically } from "../../lib/fs/files.ts";
import { refuseOddOutput } from "../../lib/fs/outside_file.ts";
import { plain } from "../../lib/words.ts";
import { formatReport, REPORT_FORMATS, type ReportFormat } from "../../report/format_report.ts";
import type { Command } from "../command.ts";
import { exitCodeOfFindings } from "../exit_code.ts";

/** `stowage report`. */
export const report: Command = {
  usage: "[SOURCE…] [-o FILE] [--format FORMAT] [--verify]",
  flags: [
    { name: "output", value: "FILE", alias: "o", help: "the file (standard output)" },
    {
      name: "format",
      value: "FORMAT",
      alias: "f",
      choices: REPORT_FORMATS,
      help: `${REPORT_FORMATS.join(", ")} (by the ending of FILE, else md)`,
    },
    { name: "verify", help: "hash the images first, as verify does, and report what was found" },
  ],
  examples: [
    { line: "report -o report.html", does: "as one page for a browser" },
    { line: "report --verify -o report.html", does: "the same, of what was hashed for it" },
    { line: "report --format md", does: "for a pull request" },
    { line: "report --format spdx -o images.spdx.json", does: "as SPDX, for other tools" },
  ],
  completes: "sources",
  async run({ load, flags, onEvent, signal, terminal, isJson, isQuiet }) {
    const output = flags.text("output");
    const format = formatOf(flags.text("format"), output);
    if (output !== undefined) await refuseOddOutput(output);
    const stowage = await load({ isOptional: true, lock: "optional" });
    const verify = flags.has("verify");
    const report = await stowage.report({ names: flags.words, verify, onEvent, signal });
    if (output !== undefined) {
      const text = await formatReport(report, format);
      await guard("write", output, () => writeAtomically(output, text));
      if (!isJson && !isQuiet) terminal.out(`Wrote ${plain(output)}`);
    } else if (!isJson) terminal.out((await formatReport(report, format)).trimEnd());
    const findings = report.verification?.findings ?? [];
    return { ok: findings.length === 0, exitCode: exitCodeOfFindings(findings), report };
  },
};

function formatOf(name: string | undefined, output: string | undefined): ReportFormat {
  if (name !== undefined) {
    const format = REPORT_FORMATS.find((format) => format === name);
    if (format) return format;
    const near = nearest(name, REPORT_FORMATS);
    throw new UsageError(`Cannot write a report as "${name}": there is no such format`, {
      hint: near ? `did you mean "${near}"?` : `formats: ${REPORT_FORMATS.join(", ")}`,
    });
  }
  if (output === undefined) return "md";
  if (output.endsWith(".spdx.json")) return "spdx";
  const extension = extname(output).slice(1);
  const format = REPORT_FORMATS.find((format) => format === extension);
  if (format) return format;
  throw new UsageError(`Cannot tell the format of "${output}" by its name`, {
    hint: `give it with --format: ${REPORT_FORMATS.join(", ")}`,
  });
}
