/** `@std/cli/unicode-width` over fast-string-width; deno-std's own lacks its data file. */
import width from "fast-string-width";

export const unicodeWidth = (str: string): number => width(str);
