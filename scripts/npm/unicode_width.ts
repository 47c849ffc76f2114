/** `@std/cli/unicode-width` over string-width; deno-std's own lacks its data file. */
import stringWidth from "string-width";

export const unicodeWidth = (str: string): number =>
  stringWidth(str, { countAnsiEscapeCodes: true });
