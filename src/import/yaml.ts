import { parseAll } from "@std/yaml/parse";
import { ImportError } from "../errors/mod.ts";
import type { ImportFile } from "./import_kind.ts";

/** A mapping of YAML. */
export type YamlMap = Readonly<Record<string, unknown>>;

/**
 * Reads the documents of a YAML file. Every scalar stays the text that it is: a tag `1.10` is no
 * number.
 *
 * @param file The file.
 * @returns The documents that are there; merge keys (`<<`) are resolved.
 * @throws {ImportError} If it is no YAML.
 */
export function readYaml({ path, text }: ImportFile): unknown[] {
  try {
    const documents: unknown = parseAll(text, { schema: "failsafe" });
    return listOf(documents).filter((document) => document !== null && document !== undefined);
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw new ImportError(`Cannot read "${path}" as YAML: ${cause.message}`, {
      cause,
      hint: /\{\{/.test(text)
        ? "it looks like a template: render it first, as `helm template` does"
        : undefined,
    });
  }
}

/**
 * A mapping, with what is merged into it.
 *
 * @param value Any value.
 * @returns The mapping; an empty one for what is none.
 */
export function mapOf(value: unknown): YamlMap {
  if (!isMap(value)) return {};
  const { "<<": merged, ...own } = value;
  const below = (Array.isArray(merged) ? merged : [merged]).filter(isMap);
  // The first of several counts most.
  return Object.assign({}, ...below.toReversed(), own);
}

/**
 * A list.
 *
 * @param value Any value.
 * @returns The list; an empty one for what is none.
 */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/**
 * A text that is not empty.
 *
 * @param value Any value.
 * @returns The text, if it is one.
 */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
