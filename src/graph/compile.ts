import * as v from "valibot";
import {
  type Config,
  formatPlatform,
  formatReference,
  type Input,
  InvalidValueError,
  parsePlatform,
  parseReference,
  type Platform,
  type Reference,
  type Stage,
} from "../../config/mod.ts";
import { InputSchema } from "../../config/inputs.ts";
import { ConfigSchema, SourceSchema } from "../../config/schema.ts";
import { StageSchema } from "../../config/stages/mod.ts";
import { ConfigError, type ConfigIssue, UsageError } from "../errors/mod.ts";
import { hashOf } from "../lib/hash/hash.ts";
import type { Lock } from "./lock_schema.ts";
import { findNameClashes, findOverfull } from "./check_names.ts";
import { checkStages } from "./check_stages.ts";
import { explain } from "./issues.ts";
import { pin } from "./pin.ts";
import { nearest } from "./nearest.ts";
import type { Graph, InputImage, Node, Settings } from "./node.ts";
import { order } from "./order.ts";
import { draftSource, type SourceDraft, sourceMeaning } from "./source_draft.ts";

/** What a config leaves to its surroundings. */
export interface CompileOptions {
  /** What tags stood for when they were locked; it supplies the pins that the config leaves out. */
  readonly lock?: Lock;
  /** Platform of sources where neither they nor the config name one; `linux/amd64` if absent. */
  readonly platform?: string;
}

/**
 * Compiles a config into a graph. It reads no disk and no network.
 *
 * @param config A config, of `defineConfig()` or of JSON; it is checked here.
 * @param options What the config leaves to its surroundings.
 * @returns The nodes, each behind those that it needs. The id of a node is a hash of what it means:
 * the order of keys and the place of the checkout do not change it, all that changes the result
 * does.
 * @throws {ConfigError} With every mistake: wrong shapes, names that name nothing, cycles.
 * @throws {UsageError} If an option is wrong.
 *
 * @example Usage
 * ```ts
 * import { compile, docker } from "@stowage/stowage";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = compile({ sources: { web: docker("nginx:1.27") } });
 * assertEquals([...graph.nodes.keys()], ["source/web"]);
 * ```
 */
export function compile(config: Config, options: CompileOptions = {}): Graph {
  const issues: ConfigIssue[] = [];
  const platform = readPlatform(options.platform ?? "linux/amd64");
  const parts = readParts(config, platform, options.lock, issues);
  const needs = findNeeds(parts, issues);
  checkStages(parts.inputs, parts.stages, issues);
  const keys = orderNodes(needs, issues);
  if (issues.length > 0) throw new ConfigError(issues);
  const continued = new Set([...parts.stages.values()].map((stage) => stage.on));
  const nodes = new Map<string, Node>();
  for (const key of keys) {
    nodes.set(key, buildNode(key, needs.get(key) ?? [], parts, nodes, continued));
  }
  issues.push(...findNameClashes(nodes), ...findOverfull(nodes));
  if (issues.length > 0) throw new ConfigError(issues);
  return { nodes, settings: parts.settings };
}

function readPlatform(text: string): Platform {
  try {
    return parsePlatform(text);
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    throw new UsageError(`Cannot use platform: expected ${error.expected}, it is "${text}"`);
  }
}

interface Parts {
  /** What the config says of the whole run. */
  readonly settings: Settings;
  /** Platform of what names none. */
  readonly platform: Platform;
  readonly sources: ReadonlyMap<string, SourceDraft>;
  /** A source for several platforms is a node for each: their names by the source's. */
  readonly nodesOf: ReadonlyMap<string, readonly string[]>;
  readonly inputs: ReadonlyMap<string, Input>;
  readonly stages: ReadonlyMap<string, Stage>;
  /** Every name, also of entries that are wrong, so that these are not missed as well. */
  readonly names: Readonly<Record<"sources" | "inputs" | "stages", readonly string[]>>;
}

function readParts(
  config: unknown,
  platform: Platform,
  lock: Lock | undefined,
  issues: ConfigIssue[],
): Parts {
  const shape = v.safeParse(ConfigSchema, config);
  for (const issue of shape.issues ?? []) issues.push(explain(issue));
  if (!shape.typed) throw new ConfigError(issues);
  const { $schema: _, platform: own, sources, inputs, stages, ...settings } = shape.output;
  const isWrong = issues.some(({ path }) => path === "platform");
  const platforms = { given: isWrong ? undefined : own, other: platform };
  const drafts = new Map<string, SourceDraft>();
  const nodesOf = new Map<string, readonly string[]>();
  for (const [name, source] of readSection("sources", SourceSchema, sources, issues).right) {
    const found = draftSource(name, source, platforms, issues);
    const several = found.length > 1;
    const named = found.map((draft) =>
      [several ? platformName(name, draft) : name, draft] as const
    );
    for (const [node, draft] of named) drafts.set(node, lock ? pin(name, draft, lock) : draft);
    nodesOf.set(name, named.map(([node]) => node));
  }
  return {
    settings,
    platform,
    sources: drafts,
    nodesOf,
    inputs: readSection("inputs", InputSchema, inputs, issues).typed,
    stages: readSection("stages", StageSchema, stages, issues).typed,
    names: {
      sources: Object.keys(sources),
      inputs: Object.keys(inputs),
      stages: Object.keys(stages),
    },
  };
}

/** What is `typed` may have wrong values, and its names can be looked up all the same. */
function readSection<Entry>(
  section: string,
  schema: v.GenericSchema<Entry>,
  entries: Readonly<Record<string, unknown>>,
  issues: ConfigIssue[],
): { readonly right: Map<string, Entry>; readonly typed: Map<string, Entry> } {
  const [right, typed] = [new Map<string, Entry>(), new Map<string, Entry>()];
  for (const [name, entry] of Object.entries(entries)) {
    const result = v.safeParse(schema, entry);
    if (result.success) right.set(name, result.output);
    if (result.typed) typed.set(name, result.output);
    for (const issue of result.issues ?? []) issues.push(explain(issue, [section, name]));
  }
  return { right, typed };
}

/** Looks up every name; what it returns is whole only if there was no issue. */
function findNeeds(parts: Parts, issues: ConfigIssue[]): Map<string, readonly string[]> {
  const known = {
    sources: new Set(parts.names.sources),
    inputs: new Set(parts.names.inputs),
    stages: new Set(parts.names.stages),
  };
  const look = (section: keyof typeof known, name: string, path: string): readonly string[] => {
    if (!known[section].has(name)) {
      const suggestion = nearest(name, parts.names[section]);
      issues.push({
        path,
        value: name,
        expected: `the name of one of the ${section}`,
        ...(suggestion !== undefined && { suggestion }),
      });
    }
    const nodes = section === "sources" ? parts.nodesOf.get(name) ?? [name] : [name];
    return nodes.map((node) => `${section.slice(0, -1)}/${node}`);
  };
  const needs = new Map<string, readonly string[]>();
  for (const name of parts.sources.keys()) needs.set(`source/${name}`, []);
  for (const [name, input] of parts.inputs) {
    const path = `inputs.${name}`;
    if (input.type === "images") {
      const found = listImages(input).flatMap(([source, names, at]) => {
        if (names === undefined && parts.nodesOf.has(source) && !ownName(parts, source)) {
          issues.push({
            path: `${path}.${at}`,
            expected: `a name as well, as sources.${source} has no reference`,
          });
        }
        checkTags(source, names, parts, `${path}.${at}`, issues);
        return look("sources", source, `${path}.${at}`);
      });
      needs.set(`input/${name}`, [...new Set(found)]);
    } else {
      const found = input.type === "output" ? look("stages", input.stage, `${path}.stage`) : [];
      needs.set(`input/${name}`, found);
    }
  }
  for (const [name, stage] of parts.stages) {
    const inputs = (stage.inputs ?? []).flatMap((input, index) =>
      look("inputs", input, `stages.${name}.inputs.${index}`)
    );
    const on = stage.on === undefined ? [] : look("stages", stage.on, `stages.${name}.on`);
    needs.set(`stage/${name}`, [...new Set([...inputs, ...on])]);
  }
  return needs;
}

/** What tells several platforms apart has to fit behind the tag. */
function checkTags(
  source: string,
  names: string | readonly string[] | undefined,
  parts: Parts,
  path: string,
  issues: ConfigIssue[],
): void {
  const nodes = parts.nodesOf.get(source) ?? [];
  if (nodes.length < 2) return;
  const listed = [names ?? ownName(parts, source) ?? []].flat();
  const suffixes = nodes.map((node) => suffixOf(parts.sources.get(node)));
  for (const name of listed) {
    const { tag = "" } = parseReference(name);
    const room = MAX_TAG - Math.max(...suffixes.map(({ length }) => length));
    if (tag.length <= room) continue;
    const expected = `a tag of at most ${room} characters, as the platform is put behind it`;
    issues.push({ path, value: tag, expected });
  }
}

/** As registries have it. */
const MAX_TAG = 128;

/** The images of an input: source, names, and where in the input it stands. */
function listImages(
  input: Extract<Input, { type: "images" }>,
): (readonly [source: string, names: string | readonly string[] | undefined, path: string])[] {
  if (isList(input.images)) {
    return input.images.map(({ source, name }, index) => [source, name, `images.${index}.source`]);
  }
  return Object.entries(input.images).map(([source, name]) => [source, name, `images.${source}`]);
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList<Item>(value: readonly Item[] | object): value is readonly Item[] {
  return Array.isArray(value);
}

/** Orders the nodes; of several cycles each is told. */
function orderNodes(
  needs: ReadonlyMap<string, readonly string[]>,
  issues: ConfigIssue[],
): readonly string[] {
  const left = new Map(needs);
  while (true) {
    const ordered = order(left);
    if ("keys" in ordered) return ordered.keys;
    issues.push(explainCycle(ordered.cycle));
    const [from = "", to] = ordered.cycle.slice(-2);
    left.set(from, (left.get(from) ?? []).filter((need) => need !== to));
  }
}

function explainCycle(cycle: readonly string[]): ConfigIssue {
  const [first = ""] = cycle;
  const names = cycle.map((key) => key.replace("/", "s."));
  return {
    path: first.replace("/", "s."),
    value: names.join(" → "),
    expected: "parts that do not need each other in a circle",
  };
}

function buildNode(
  key: string,
  needs: readonly string[],
  parts: Parts,
  nodes: ReadonlyMap<string, Node>,
  continued: ReadonlySet<string | undefined>,
): Node {
  const name = key.slice(key.indexOf("/") + 1);
  const idOf = (needed: string): string | undefined => nodes.get(needed)?.id;
  const source = key.startsWith("source/") ? parts.sources.get(name) : undefined;
  if (source) {
    return { kind: "source", key, name, id: hashOf(sourceMeaning(source)), needs, ...source };
  }
  const input = key.startsWith("input/") ? parts.inputs.get(name) : undefined;
  if (input) {
    const images = input.type === "images"
      ? nameImages(input, parts)
      : input.type === "output"
      ? [nameOutput(input, parts)]
      : [];
    const meaning = {
      kind: "input",
      type: input.type,
      ...(input.type === "tree" && { path: input.path }),
      ...(input.type === "output" && { stage: idOf(`stage/${input.stage}`), name: input.name }),
      images: images.map(({ source, names }) => hashOf([idOf(source), names])).sort(),
    };
    return { kind: "input", key, name, id: hashOf(meaning), needs, input, images };
  }
  const stage = parts.stages.get(name);
  if (!stage) throw new TypeError(`Cannot build "${key}": it is not in the config`);
  const inputs = (stage.inputs ?? []).map((input) => `input/${input}`);
  const on = stage.on === undefined ? undefined : `stage/${stage.on}`;
  const meaning = {
    kind: "stage",
    stage: {
      ...stage,
      inputs: inputs.map(idOf),
      on: on && idOf(on),
      // What it makes is for this machine unless it says otherwise.
      ...(stage.type === "oci-archive" && {
        platform: stage.platform === undefined ? parts.platform : parsePlatform(stage.platform),
      }),
    },
  };
  return {
    kind: "stage",
    key,
    name,
    id: hashOf(meaning),
    needs,
    stage,
    inputs,
    ...(on !== undefined && { on }),
    isResult: !continued.has(name),
  };
}

function nameOutput({ stage, as }: Extract<Input, { type: "output" }>, parts: Parts): InputImage {
  const made = parts.stages.get(stage);
  const own = (made?.type === "oci-archive" && made.name) ||
    `localhost/${stage.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/-$/, "")}`;
  const names = as === undefined ? [own] : typeof as === "string" ? [as] : as;
  const normal = names.map((name) => formatReference(parseReference(name)));
  return { source: `stage/${stage}`, names: [...new Set(normal)].sort() };
}

function nameImages(input: Extract<Input, { type: "images" }>, parts: Parts): InputImage[] {
  const names = new Map<string, Set<string>>();
  for (const [base, given] of listImages(input)) {
    const listed = given === undefined
      ? [ownName(parts, base) ?? base]
      : typeof given === "string"
      ? [given]
      : given;
    const nodes = parts.nodesOf.get(base) ?? [];
    for (const node of nodes) {
      const suffix = nodes.length > 1 ? suffixOf(parts.sources.get(node)) : "";
      const found = names.get(node) ?? new Set();
      for (const name of listed) found.add(formatReference(withSuffix(name, suffix)));
      names.set(node, found);
    }
  }
  return [...names]
    .map(([source, found]) => ({ source: `source/${source}`, names: [...found].sort() }))
    .sort((a, b) => a.source < b.source ? -1 : 1);
}

/** Images for several platforms cannot have one name: `app:2` is `app:2-arm64`, `app:2-arm-v7`. */
function withSuffix(name: string, suffix: string): Reference {
  const { tag = "latest", ...reference } = parseReference(name);
  return { ...reference, tag: `${tag}${suffix}` };
}

function suffixOf(draft: SourceDraft | undefined): string {
  const { os, architecture, variant } = draft?.platform ?? {};
  const parts = [os === "linux" ? undefined : os, architecture, variant];
  return parts.filter(Boolean).map((part) => `-${part}`).join("");
}

function platformName(name: string, { platform }: SourceDraft): string {
  return `${name}@${formatPlatform(platform)}`;
}

/** What a source's image is called where nothing else is said: its reference, without the digest. */
function ownName(parts: Parts, source: string): string | undefined {
  const [node = source] = parts.nodesOf.get(source) ?? [];
  const location = parts.sources.get(node)?.locations[0];
  if (!location || !("reference" in location)) return undefined;
  const { domain, path, tag = "latest" } = location.reference;
  return formatReference({ domain, path, tag });
}
