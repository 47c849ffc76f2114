import { parse as parseToml } from "deno-std/toml/parse.js";

/** Stands in for `@std/toml/parse`. */
export const parse: (text: string) => Record<string, unknown> = parseToml;
