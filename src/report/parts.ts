import { type Html, html } from "../lib/html.ts";
import { shortDigest } from "./words.ts";

/** A digest: short on the screen, whole in print and where the pointer rests on it. */
export function digestPart(digest: string): Html {
  const short = html`<span class="short">${shortDigest(digest)}</span>`;
  const full = html`<span class="full">${digest}</span>`;
  return html`<code class="digest" title="${digest}">${short}${full}</code>`;
}

/** A line of small text. */
export function small(text: string, mood = ""): Html {
  return html`<small class="${mood}">${text}</small>`;
}
