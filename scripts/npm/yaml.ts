import { parseAll as parseAllYaml } from "deno-std/yaml/parse.js";

export interface ParseOptions {
  schema?: "failsafe" | "json" | "core" | "default" | "extended";
}

/** Stands in for `@std/yaml/parse`. */
export const parseAll: (content: string, options?: ParseOptions) => unknown = parseAllYaml;
