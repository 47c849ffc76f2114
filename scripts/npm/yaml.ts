import { parseAll as parseAllYaml } from "deno-std/yaml/parse.js";
import { stringify as stringifyYaml } from "deno-std/yaml/stringify.js";

export interface ParseOptions {
  schema?: "failsafe" | "json" | "core" | "default" | "extended";
}

/** Stands in for `@std/yaml/parse`. */
export const parseAll: (content: string, options?: ParseOptions) => unknown = parseAllYaml;

export interface StringifyOptions {
  /** The width of lines; -1 does not fold. */
  lineWidth?: number;
  /** Whether what is there twice is written once. */
  useAnchors?: boolean;
}

/** Stands in for `@std/yaml/stringify`. */
export const stringify: (data: unknown, options?: StringifyOptions) => string = stringifyYaml;
