import { type Html, html } from "../lib/html.ts";
import { digestPart } from "./parts.ts";
import type { Report, ReportImage, ReportLayer } from "./report.ts";
import { nameText, shortDigest, sizeText } from "./words.ts";
import { count } from "../lib/words.ts";

/** A layer that several images have, and what it is called in the picture. */
interface Shared extends ReportLayer {
  readonly letter: string;
  /** Its colour, in degrees. */
  readonly hue: number;
}

/** Far apart from each other, however many there are. */
const GOLDEN_ANGLE = 137.508;
/** Narrower parts of a bar, in percent, have no room for a letter. */
const ROOM = 2.5;

/**
 * Shows which images share which layers: a bar an image, a part a layer.
 *
 * @param report The report.
 * @returns The section; nothing without images.
 */
export function layerSection({ images, layers }: Report): Html {
  if (images.length === 0) return html``;
  const several = layers.filter(({ images }) => images.length > 1);
  const shared = new Map(several.map((layer, at): [string, Shared] => [
    layer.digest,
    { ...layer, letter: letterOf(at), hue: Math.round(205 + at * GOLDEN_ANGLE) % 360 },
  ]));
  const sizes = new Map(layers.map(({ digest, size }) => [digest, size]));
  const most = Math.max(1, ...images.map(({ size }) => size));
  const rows = images.map((image) =>
    html`
      <div class="name">${nameText(image)}</div>
      <div class="bar">${image.layers.map((digest) =>
        part(digest, (sizes.get(digest) ?? 0) / most * 100, shared.get(digest))
      )}</div>
      <div class="number">${sizeText(image.size)}</div>
    `
  );
  const legend = shared.size === 0
    ? html`<p class="dim">No two of these images share a layer.</p>`
    : sharedTable([...shared.values()], images);
  return html`
    <section>
      <h2>Layers</h2>
      <div class="bars layers">${rows}</div>
      ${legend}
    </section>
  `;
}

function part(digest: string, percent: number, shared: Shared | undefined): Html {
  const style = `width:${percent.toFixed(3)}%${shared ? `;--hue:${shared.hue}` : ""}`;
  const letter = shared && percent >= ROOM ? shared.letter : "";
  const kind = shared ? "part shared" : "part";
  return html`<span class="${kind}" style="${style}" title="${digest}">${letter}</span>`;
}

function sharedTable(shared: readonly Shared[], images: readonly ReportImage[]): Html {
  const names = new Map(images.map((image) => [image.id, nameText(image)]));
  const rows = shared.map(({ digest, size, letter, hue, images }) => {
    const having = images.map((id) => names.get(id) ?? shortDigest(id)).join(", ");
    return html`
      <tr>
        <td><span class="swatch shared" style="--hue:${hue}">${letter}</span></td>
        <td>${digestPart(digest)}</td>
        <td class="number">${sizeText(size)}</td>
        <td>${having} <span class="dim">(${count(images.length, "image")})</span></td>
      </tr>
    `;
  });
  return html`
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th>Shared layer</th>
            <th>Digest</th>
            <th class="number">Size</th>
            <th>Images</th>
          </tr>
        </thead>
        <tbody>${rows}</tbody>
      </table>
    </div>
  `;
}

/** A, B … Z, AA, AB … */
function letterOf(at: number): string {
  const last = String.fromCharCode("A".charCodeAt(0) + at % 26);
  return at < 26 ? last : `${letterOf(Math.floor(at / 26) - 1)}${last}`;
}
