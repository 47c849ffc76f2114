/** `@std/cli/unicode-width` over string-width; deno-std's own lacks its data file. */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** string-width takes a while to load, and most texts do not need it. */
export const unicodeWidth = (str: string): number =>
  /^[\x20-\x7e]*$/.test(str)
    ? str.length
    : require("string-width").default(str, { countAnsiEscapeCodes: true });
