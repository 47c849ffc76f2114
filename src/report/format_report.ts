import type { Report } from "./report.ts";

/** What a report is written as. */
export const REPORT_FORMATS = ["html", "md", "json", "spdx"] as const;

/** What a report is written as. */
export type ReportFormat = (typeof REPORT_FORMATS)[number];

/**
 * Writes a report.
 *
 * @param report The report, of `report()`.
 * @param format `html` (one page, which needs nothing else), `md` (Markdown for pull requests),
 * `json` (the report itself; `stowage schema report` says its form) or `spdx` (SPDX 2.3 in JSON).
 * @returns The text, with a final line break.
 */
export async function formatReport(report: Report, format: ReportFormat): Promise<string> {
  switch (format) {
    case "html":
      return await (await import("./page.ts")).formatPage(report);
    case "md":
      return (await import("./markdown.ts")).formatMarkdown(report);
    case "json":
      return `${JSON.stringify(report, undefined, 2)}\n`;
    case "spdx": {
      const { formatSpdx } = await import("./spdx.ts");
      return `${JSON.stringify(formatSpdx(report), undefined, 2)}\n`;
    }
  }
}
