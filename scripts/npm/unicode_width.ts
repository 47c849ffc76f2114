/** `@std/cli/unicode-width` from npm, typed. */
import * as std from "deno-std/cli/unicode_width.js";

export const unicodeWidth: (str: string) => number = std.unicodeWidth;
