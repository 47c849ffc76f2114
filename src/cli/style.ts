import * as colors from "@std/fmt/colors";
import { inLine, plain } from "../lib/words.ts";

/** Emphasises text of anybody's. */
export const bold = (text: string): string => colors.bold(inLine(text));
/** Shows text of anybody's that matters less. */
export const dim = (text: string): string => colors.dim(inLine(text));
/** Shows that something is as it should be. */
export const green = (text: string): string => colors.green(inLine(text));
/** Shows that something failed. */
export const red = (text: string): string => colors.red(inLine(text));
/** Shows that something has to be looked at. */
export const yellow = (text: string): string => colors.yellow(inLine(text));

/** What the styles above begin and end with. */
// deno-lint-ignore no-control-regex
const OWN = /(\x1b\[(?:1|2|22|31|32|33|39)m)/;

/**
 * Takes out of text all that moves a cursor or does other things to a terminal.
 *
 * @param text Text with line breaks, and with the styles above where there are colours.
 * @returns The same without anything else.
 */
export function safe(text: string): string {
  if (!colors.getColorEnabled()) return plain(text);
  return text.split(OWN).map((part, at) => at % 2 === 1 ? part : plain(part)).join("");
}
