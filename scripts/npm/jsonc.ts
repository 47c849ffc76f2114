import { parse as parseJsonc } from "deno-std/jsonc/parse.js";

/** Stands in for `@std/jsonc/parse`. */
export const parse: (text: string) => unknown = parseJsonc;
