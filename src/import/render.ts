import type { Input, Source, Stage } from "../../config/mod.ts";
import { isArtifact } from "../../config/artifacts.ts";
import { builderOf } from "../transports/mod.ts";
import type { Draft } from "./draft.ts";

const WIDTH = 100;

/** A call of a builder. */
class Call {
  constructor(readonly builder: string, readonly args: readonly unknown[]) {}
}

/** A constant of the file. */
class Constant {
  constructor(readonly name: string) {}
}

/** What a builder takes before its options, as keys of the data that it makes. */
interface Builder {
  readonly name: string;
  readonly first?: string;
}

const INPUTS: { readonly [Type in Input["type"]]: Builder } = {
  images: { name: "images", first: "images" },
  "host-image": { name: "hostImage", first: "name" },
  artifacts: { name: "artifacts", first: "artifacts" },
  output: { name: "output", first: "stage" },
  tree: { name: "tree", first: "path" },
};

/**
 * Writes a config as a person would: with the builders, names as they are, options that several
 * sources share once, and what there is to say before what it is about.
 *
 * @param draft The config.
 * @returns The text of `images.config.ts`.
 */
export function render(draft: Draft): string {
  const { config } = draft;
  const shared = findShared(Object.values(config.sources ?? {}));
  const sections: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    sources: mapValues(config.sources, (source) => callOf(sourceBuilder(source), source, shared)),
    inputs: mapValues(config.inputs, (input) => callOf(INPUTS[input.type], input)),
    stages: mapValues(config.stages, (stage) => callOf({ name: stageBuilder(stage) }, stage)),
  };
  const lines = ["export default defineConfig({"];
  if (config.platform !== undefined) lines.push(`  platform: ${JSON.stringify(config.platform)},`);
  for (const [section, entries] of Object.entries(sections)) {
    if (Object.keys(entries).length === 0) continue;
    lines.push(`  ${section}: {`);
    for (const [name, value] of Object.entries(entries)) {
      for (const text of draft.commentsOn(`${section}.${name}`)) lines.push(...comment(text, 4));
      const key = keyOf(name);
      lines.push(`    ${key}: ${print(value, 4, key.length + 2)},`);
    }
    lines.push("  },");
  }
  const builders = new Set(["defineConfig"]);
  for (const entries of Object.values(sections)) {
    for (const value of Object.values(entries)) {
      if (value instanceof Call) builders.add(value.builder);
    }
  }
  return [
    importOf([...builders]),
    "",
    ...draft.commentsOn("").flatMap((text) => comment(text, 0)),
    ...(draft.commentsOn("").length > 0 ? [""] : []),
    ...shared.values().flatMap(({ name, options }) => [
      `const ${name} = ${print(options, 0, name.length + 9)} as const;`,
      "",
    ]),
    ...lines,
    "});",
    "",
  ].join("\n");
}

function mapValues<Value>(
  record: Readonly<Record<string, Value>> | undefined,
  map: (value: Value) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record ?? {}).map(([key, value]) => [key, map(value)]));
}

/** `oci-archive` is made by `ociArchive()`. */
function stageBuilder({ type }: Stage): string {
  return type.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

type Shared = ReadonlyMap<string, { readonly name: string; readonly options: object }>;

function callOf(
  { name, first }: Builder,
  data: Source | Input | Stage,
  shared: Shared = new Map(),
): Call {
  const options = optionsOf(data, first);
  const head = first !== undefined && first in data ? [Reflect.get(data, first)] : [];
  const constant = shared.get(JSON.stringify(options));
  const tail = constant ? new Constant(constant.name) : options;
  return new Call(name, Object.keys(options).length > 0 ? [...head, tail] : head);
}

function sourceBuilder(source: Source): Builder {
  return isArtifact(source) ? { name: "artifact", first: "reference" } : builderOf(source);
}

function optionsOf(data: object, first?: string): object {
  return Object.fromEntries(
    Object.entries(data).filter(([key]) => key !== "type" && key !== first),
  );
}

/** Options that several sources have, each called by what it says. */
function findShared(sources: readonly Source[]): Shared {
  const groups = Map.groupBy(
    sources.map((source) => optionsOf(source, sourceBuilder(source).first)),
    (options) => JSON.stringify(options),
  );
  const shared = new Map<string, { readonly name: string; readonly options: object }>();
  for (const [text, [options = {}, ...others]] of groups) {
    if (others.length === 0 || Object.keys(options).length === 0 || "digest" in options) continue;
    const keys = Object.keys(options);
    const base = keys.length > 1 ? "options" : `with${upperFirst(keys[0] ?? "")}`;
    const same = [...shared.values()].filter(({ name }) => name.startsWith(base)).length;
    shared.set(text, { name: same === 0 ? base : `${base}${same + 1}`, options });
  }
  return shared;
}

function upperFirst(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function importOf(builders: readonly string[]): string {
  const names = builders.toSorted((a, b) => a.toLowerCase() < b.toLowerCase() ? -1 : 1);
  const line = `import { ${names.join(", ")} } from "@stowage/stowage";`;
  if (line.length <= WIDTH) return line;
  return `import {\n${names.map((name) => `  ${name},\n`).join("")}} from "@stowage/stowage";`;
}

/** A text as comments, broken between words. */
function comment(text: string, indent: number): string[] {
  const start = `${" ".repeat(indent)}//`;
  const lines: string[] = [];
  let line = start;
  // What comes from a file must not end the comment, whatever it takes for the end of a line.
  for (const word of text.split(/[\s\p{Cc}\u2028\u2029]+/u).filter(Boolean)) {
    if (line !== start && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = start;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

function keyOf(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key);
}

/** A value on one line. */
function flat(value: unknown): string {
  if (value instanceof Constant) return value.name;
  if (value instanceof Call) return `${value.builder}(${value.args.map(flat).join(", ")})`;
  if (Array.isArray(value)) return `[${value.map(flat).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, each]) => `${keyOf(key)}: ${flat(each)}`);
  return entries.length > 0 ? `{ ${entries.join(", ")} }` : "{}";
}

/**
 * A value, broken where a line would be too long.
 *
 * @param indent Where its line begins.
 * @param before How much stands before it in that line.
 */
function print(value: unknown, indent: number, before: number): string {
  const line = flat(value);
  if (indent + before + line.length + 1 <= WIDTH) return line;
  const inner = " ".repeat(indent + 2);
  const block = (parts: readonly string[]) =>
    `${parts.map((part) => `${inner}${part},\n`).join("")}${" ".repeat(indent)}`;
  if (value instanceof Call) {
    const last = value.args.at(-1);
    const head = value.args.slice(0, -1).map((arg) => `${flat(arg)}, `).join("");
    if (typeof last === "object" && !(last instanceof Constant)) {
      return `${value.builder}(${head}${broken(last)})`;
    }
    return `${value.builder}(\n${block(value.args.map((arg) => print(arg, indent + 2, 0)))})`;
  }
  return broken(value);

  function broken(value: unknown): string {
    if (Array.isArray(value)) {
      return `[\n${block(value.map((each) => print(each, indent + 2, 0)))}]`;
    }
    if (typeof value !== "object" || value === null) return flat(value);
    const entries = Object.entries(value).map(([key, each]) => {
      const start = `${keyOf(key)}: `;
      const text = print(each, indent + 2, start.length);
      // A text that is too long for its line gets one of its own.
      const isLong = typeof each === "string" &&
        indent + 2 + start.length + text.length + 1 > WIDTH;
      return isLong ? `${keyOf(key)}:\n${inner}  ${text}` : `${start}${text}`;
    });
    return `{\n${block(entries)}}`;
  }
}
