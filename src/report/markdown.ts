import { count, inLine } from "../lib/words.ts";
import type { Report, ReportImage } from "./report.ts";
import {
  ageText,
  asksNothing,
  asksText,
  nameText,
  otherPlace,
  shortDigest,
  signaturesText,
  sizeText,
  timeText,
} from "./words.ts";

/**
 * Writes a report as Markdown, as GitHub and GitLab have it in pull requests.
 *
 * @param report The report.
 * @returns The text, with a final line break.
 */
export function formatMarkdown(report: Report): string {
  const { images, absent, others, layers } = report;
  const shared = layers.filter(({ images }) => images.length > 1);
  const parts = [
    "# Container images",
    [count(images.length, "image"), sizeText(report.size), timeText(report.generated)]
      .join(" · "),
    ...(images.length > 0 ? [imageTable(report)] : []),
    ...(absent.length > 0 ? [`Not in the store: ${absent.map(code).join(", ")}`] : []),
    ...(others > 0 ? [`The store has ${count(others, "other image")}.`] : []),
    ...(shared.length > 0
      ? [
        "## Shared layers",
        table(
          ["Layer", "Size", "Images"],
          shared.map((layer) => [
            code(shortDigest(layer.digest)),
            sizeText(layer.size),
            layer.images.map((id) => code(nameOf(id, images))).join(", "),
          ]),
        ),
      ]
      : []),
    "## Verification",
    ...verification(report),
  ];
  return `${parts.join("\n\n")}\n`;
}

function imageTable({ images, generated }: Report): string {
  const head = ["Image", "Digest", "Platform", "Size", "Alone", "Policy", "Fetched"];
  return table(
    head,
    images.map((image) => [
      [
        code(nameText(image)),
        ...(image.names.length > 0 && image.reference ? [code(image.reference)] : []),
        ...(otherPlace(image) ? [`from ${code(otherPlace(image) ?? "")}`] : []),
      ].join("<br>"),
      image.digest ? code(image.digest) : "",
      code(image.platform ?? ""),
      sizeText(image.size) + (image.complete ? "" : " (not whole)"),
      sizeText(image.own),
      trustCell(image),
      image.fetched ? `${ageText(image.fetched, generated)} ago` : "",
    ]),
  );
}

function trustCell(image: ReportImage): string {
  const rulings = image.trust.map((trust) =>
    trust.problem
      ? `**not accepted**: ${code(trust.problem)}`
      : !trust.accepted
      ? `**not accepted**: ${code(asksText(trust))}`
      : asksNothing(trust)
      ? "any image"
      : `accepted: ${code(asksText(trust))}`
  );
  return [...new Set(rulings), signaturesText(image)].join("<br>");
}

function verification({ verification: found }: Report): string[] {
  if (!found) return ["Not verified in this report."];
  const { findings, images, files, bytes } = found;
  const looked = `${count(images, "image")}, ${count(files, "file")} hashed (${sizeText(bytes)})`;
  if (findings.length === 0) return [`No problems found: ${looked}.`];
  return [
    `**${count(findings.length, "problem")}**: ${looked}.`,
    table(
      ["What", "Problem", "Where"],
      findings.map((finding) => [
        `${finding.kind}, ${finding.problem}`,
        code(finding.message),
        code(finding.path),
      ]),
    ),
  ];
}

function nameOf(id: string, images: readonly ReportImage[]): string {
  const image = images.find((image) => image.id === id);
  return image ? nameText(image) : shortDigest(id);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Others' words mean nothing to Markdown in a span of code, with more backticks than they have. */
function code(text: string): string {
  const plain = inLine(text);
  if (plain.trim() === "") return "";
  const longest = Math.max(0, ...[...plain.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  const room = longest > 0 ? " " : "";
  return `${fence}${room}${plain.replaceAll("|", "\\|")}${room}${fence}`;
}
