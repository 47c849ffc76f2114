import { drawSvg } from "../graph/draw.ts";
import { Html, html } from "../lib/html.ts";
import { layerSection } from "./layer_section.ts";
import { digestPart, small } from "./parts.ts";
import type { Report, ReportImage, ReportTrust } from "./report.ts";
import { STYLE } from "./style.ts";
import { timelineSection } from "./timeline_section.ts";
import {
  ageText,
  asksNothing,
  asksText,
  madeText,
  otherPlace,
  signaturesText,
  sizeText,
  timeText,
} from "./words.ts";
import { count } from "../lib/words.ts";

/** Nothing on the page is loaded or run, whatever got into it. */
const CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/**
 * Writes a report as one page, which needs no script and nothing else. It follows the light or dark
 * of its reader, and prints with whole digests.
 *
 * @param report The report.
 * @returns The page, with a final line break.
 */
export async function formatPage(report: Report): Promise<string> {
  const { text } = html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="${CSP}">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta name="generator" content="stowage ${report.stowage}">
        <title>Container images</title>
        <link rel="icon" href="data:,">
        <style>${new Html(STYLE)}</style>
      </head>
      <body>
        <header>
    <h1>Container images</h1>
    <p class="dim">${timeText(report.generated)} · stowage ${report.stowage} · <code>${report
      .store}</code></p>
    ${facts(report)}
        </header>
        <main>
    ${await graphSection(report)}
    ${imageSection(report)}
    ${layerSection(report)}
    ${timelineSection(report)}
    ${verificationSection(report)}
        </main>
      </body>
    </html>
  `;
  return `${text.trim()}\n`;
}

function facts(report: Report): Html {
  const { images, absent, size, verification } = report;
  const saved = images.reduce((sum, image) => sum + image.size, 0) - size;
  const trust = images.flatMap(({ trust }) => trust);
  const refused = trust.filter(({ accepted }) => !accepted).length;
  const signed = trust.filter((each) => each.accepted && !asksNothing(each)).length;
  const found = verification?.findings.length;
  const all: Html[] = [
    fact("Images", images.length, absent.length > 0 ? `${absent.length} not in the store` : ""),
    fact("Size", sizeText(size), saved > 0 ? `${sizeText(saved)} less by sharing` : ""),
    trust.length === 0
      ? fact("Policy", "–", "no sources")
      : refused > 0
      ? fact("Policy", `${refused} refused`, `of ${trust.length}`, "bad")
      : signed > 0
      ? fact("Policy", "Accepted", `${signed} of ${trust.length} by signature`, "good")
      : fact("Policy", "Accepted", "signatures are not asked for"),
    found === undefined
      ? fact("Content", "Not verified", "in this report")
      : found > 0
      ? fact("Content", count(found, "problem"), "see below", "bad")
      : fact("Content", "Verified", sizeText(verification?.bytes ?? 0), "good"),
  ];
  return html`<dl class="facts">${all}</dl>`;
}

function fact(name: string, value: string | number, more: string, mood = ""): Html {
  return html`
    <div>
      <dt>${name}</dt>
      <dd class="${mood}">${value}</dd>
      <dd class="dim">${more}</dd>
    </div>
  `;
}

async function graphSection({ nodes }: Report): Promise<Html> {
  if (nodes.length === 0) return html``;
  const svg = await drawSvg(nodes);
  return html`
    <section>
      <h2>Graph</h2>
      <div class="picture">${new Html(svg.slice(svg.indexOf("<svg")))}</div>
    </section>
  `;
}

function imageSection(report: Report): Html {
  const { images, absent, others } = report;
  const notes = [
    ...absent.map((name) =>
      html`<p><strong class="warn">Not in the store:</strong> <code>${name}</code></p>`
    ),
    ...(others > 0
      ? [html`<p class="dim">The store has ${count(others, "other image")}.</p>`]
      : []),
  ];
  if (images.length === 0) return html`<section><h2>Images</h2><p>None.</p>${notes}</section>`;
  const rows = images.map((image) => imageRow(image, report));
  return html`
    <section>
      <h2>Images</h2>
      <div class="wide">
        <table class="images">
          <thead>
            <tr>
              <th>Image</th>
              <th>Digest</th>
              <th>Platform</th>
              <th class="number">Size</th>
              <th>Policy</th>
              <th>From</th>
              <th>Fetched</th>
            </tr>
          </thead>
          <tbody>${rows}</tbody>
        </table>
      </div>
      ${notes}
    </section>
  `;
}

function imageRow(image: ReportImage, { generated }: Report): Html {
  const { names, reference = "", digest, id, platform, size, own, complete } = image;
  const place = reference.replace(/^docker:\/\//, "");
  return html`
    <tr>
      <td><strong>${names.join(", ") || "–"}</strong>${small(place, "reference")}</td>
      <td>${digest === undefined ? "–" : digestPart(digest)}<small>id ${digestPart(id)}</small></td>
      <td>${platform ?? "–"}${complete ? undefined : small("not whole", "bad")}</td>
      <td class="number">
        ${sizeText(size)}${small(`${sizeText(own)} alone`)}${small(
          `${sizeText(size - own)} shared`,
        )}
      </td>
      <td>${trustCell(image)}${small(signaturesText(image))}</td>
      <td>${placeCell(image)}</td>
      <td>${fetchedCell(image, generated)}</td>
    </tr>
  `;
}

function placeCell(image: ReportImage): Html {
  const other = otherPlace(image);
  if (other === undefined) {
    return image.from === undefined ? html`–` : html`<span class="dim">as named</span>`;
  }
  const what = image.mirror === undefined ? "another place" : "a mirror";
  return html`<span>${what}</span>${small(other, "reference")}`;
}

function fetchedCell(image: ReportImage, now: string): Html {
  const { fetched } = image;
  const made = madeText(image, now);
  const when = fetched === undefined
    ? html`–`
    : html`<span title="${timeText(fetched)}">${ageText(fetched, now)} ago</span>`;
  return html`${when}${small(made === undefined ? "image not dated" : `made ${made} ago`)}`;
}

function trustCell({ trust }: ReportImage): Html {
  if (trust.length === 0) return html`–`;
  // Several sources may be told the same of one image.
  const rulings = new Map(trust.map(rulingOf).map((ruling) => [ruling.text, ruling]));
  return html`${[...rulings.values()]}`;
}

function rulingOf(trust: ReportTrust): Html {
  const { accepted, problem } = trust;
  const verdict = !accepted
    ? html`<span class="bad">refused</span>`
    : asksNothing(trust)
    ? html`<span>any image</span>`
    : html`<span class="good">accepted</span>`;
  return html`<div>${verdict}${small(asksText(trust))}${
    problem === undefined ? undefined : small(problem, "bad")
  }</div>`;
}

function verificationSection({ verification: found }: Report): Html {
  if (!found) {
    return html`
      <section>
        <h2>Verification</h2>
        <p>Not verified in this report. <code>stowage report --verify</code> hashes every byte first.</p>
      </section>
    `;
  }
  const { findings, images, files, trees, bytes } = found;
  const looked = [
    count(images, "image"),
    ...(trees > 0 ? [count(trees, "tree")] : []),
    `${count(files, "file")} hashed (${sizeText(bytes)})`,
  ].join(", ");
  if (findings.length === 0) {
    return html`
      <section>
        <h2>Verification</h2>
        <p><strong class="good">No problems found:</strong> ${looked}</p>
      </section>
    `;
  }
  return html`
    <section>
      <h2>Verification</h2>
      <p><strong class="bad">${count(findings.length, "problem")}:</strong> ${looked}</p>
      <div class="wide">
        <table>
          <thead>
            <tr>
              <th>What<th>Problem<th>Where</tr></thead>
    <tbody>${findings.map(({ kind, problem, message, path, quarantine }) =>
      html`
        <tr>
          <td>${kind}<td>${problem}<small>${message}</small><td><code>${path}</code>${quarantine ===
              undefined
            ? undefined
            : html`<small>now in <code>${quarantine}</code></small>`}</tr>
      `
    )}</tbody>
    </table></div>
    </section>
  `;
}
