import { inLine } from "./words.ts";

/** HTML, which is put into other HTML as it is. */
export class Html {
  /**
   * @param text The HTML.
   */
  constructor(readonly text: string) {}
}

/** What HTML is made of: text, which is escaped, and HTML, which is not. */
export type HtmlPart = string | number | Html | readonly Html[] | undefined;

/**
 * Makes HTML: html`<b>${name}</b>`. Whatever the values say, they are text there, within tags and
 * in attributes with quotes.
 *
 * @param strings HTML.
 * @param parts What stands between them; nothing for `undefined`.
 * @returns The HTML.
 */
export function html(strings: TemplateStringsArray, ...parts: HtmlPart[]): Html {
  return new Html(String.raw({ raw: strings }, ...parts.map(textOf)));
}

function textOf(part: HtmlPart): string {
  if (part === undefined) return "";
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(({ text }) => text).join("");
  return escapeHtml(inLine(String(part)));
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
