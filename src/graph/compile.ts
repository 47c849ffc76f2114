import * as v from "valibot";
import {
  type Config,
  formatPlatform,
  formatReference,
  type Input,
  InvalidValueError,
  parsePlatform,
  type Platform,
  type Source,
  type Stage,
} from "../../config/mod.ts";
import { isArtifact } from "../../config/artifacts.ts";
import { InputSchema } from "../../config/inputs.ts";
import { ConfigSchema } from "../../config/schema.ts";
import { SourceSchema } from "../../config/sources.ts";
import { StageSchema } from "../../config/stages/schemas.ts";
import { ConfigError, type ConfigIssue, UsageError } from "../errors/mod.ts";
import { inputKind, type Surroundings } from "../inputs/mod.ts";
import { hashOf } from "../lib/hash/hash.ts";
import { copyPlain } from "../lib/plain_data.ts";
import { keepsTree, stageKind } from "../stages/mod.ts";
import {
  type ArtifactDraft,
  artifactMeaning,
  draftArtifact,
  pinArtifact,
} from "./artifact_draft.ts";
import type { Lock } from "./lock_schema.ts";
import { checkMirrors } from "./check_mirrors.ts";
import { checkFilled } from "./check_filled.ts";
import { checkNames } from "./check_names.ts";
import { checkStages } from "./check_stages.ts";
import { explain, under } from "./issues.ts";
import { pin } from "./pin.ts";
import { nearest } from "./nearest.ts";
import { checkTagRule, expandTags, hasTagRule, repositoryOf } from "./expand_tags.ts";
import type { Graph, Node, Settings, TagsNode } from "./node.ts";
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
    const node = buildNode({ key, needs: needs.get(key) ?? [] }, { parts, nodes, continued });
    nodes.set(key, node);
  }
  issues.push(...checkNames(nodes), ...checkFilled(nodes));
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

function readPlain(config: unknown): unknown {
  const copy = copyPlain(config);
  if ("data" in copy) return copy.data;
  const expected = copy.fault === "a Promise" ? "plain data: await it first" : "plain data";
  throw new ConfigError([{ path: copy.path.join("."), value: copy.fault, expected }]);
}

type TagsDraft = Pick<TagsNode, "location" | "repository" | "rule" | "unexpanded">;

interface Parts {
  /** What the config says of the whole run. */
  readonly settings: Settings;
  /** Platform of what names none. */
  readonly platform: Platform;
  readonly sources: ReadonlyMap<string, SourceDraft>;
  readonly artifacts: ReadonlyMap<string, ArtifactDraft>;
  /** Sources that stand for several tags, and the lock does not say which. */
  readonly tags: ReadonlyMap<string, TagsDraft>;
  /** A source for several platforms or tags is a node for each: their names by the source's. */
  readonly nodesOf: ReadonlyMap<string, readonly string[]>;
  readonly inputs: ReadonlyMap<string, Input>;
  readonly stages: ReadonlyMap<string, Stage>;
  /** The names that every stage says, also one that is wrong in other ways. */
  readonly namesOf: ReadonlyMap<string, v.InferOutput<typeof StageNamesSchema>>;
  /** What inputs may ask of the rest. */
  readonly around: Surroundings;
  /** Every name, also of entries that are wrong, so that these are not missed as well. */
  readonly names: Readonly<Record<"sources" | "inputs" | "stages", readonly string[]>>;
}

function readParts(
  config: unknown,
  platform: Platform,
  lock: Lock | undefined,
  issues: ConfigIssue[],
): Parts {
  const shape = v.safeParse(ConfigSchema, readPlain(config));
  for (const issue of shape.issues ?? []) issues.push(explain(issue));
  if (!shape.typed) throw new ConfigError(issues);
  const { $schema: _, platform: own, sources, inputs, stages, ...settings } = shape.output;
  const isWrong = issues.some(({ path }) => path === "platform");
  const platforms = { given: isWrong ? undefined : own, other: platform };
  // Wrong ones are told already.
  const hasRegistries = !issues.some(({ path }) => path.startsWith("registries"));
  const registries = hasRegistries ? settings.registries : undefined;
  issues.push(...checkMirrors(settings.mirrors, registries));
  const around = { platform: platforms, registries };
  const drafts = new Map<string, SourceDraft>();
  const nodesOf = new Map<string, readonly string[]>();
  const artifacts = new Map<string, ArtifactDraft>();
  const tags = new Map<string, TagsDraft>();
  const add = (name: string, found: readonly SourceDraft[]): string[] => {
    const several = found.length > 1;
    return found.map((draft) => {
      const node = several ? platformName(name, draft) : name;
      drafts.set(node, lock ? pin(name, draft, lock) : draft);
      return node;
    });
  };
  /** Reads a source; where it is one tag of several, its mistakes are told already. */
  const read = (name: string, source: Source, issues: ConfigIssue[], family?: string) => {
    const own = family === undefined ? {} : { family };
    if (!isArtifact(source)) {
      const found = draftSource(name, source, around, issues).map((draft) => ({
        ...draft,
        ...own,
      }));
      const { locations } = found[0] ?? {};
      return { locations, add: () => add(name, found) };
    }
    const draft = { ...draftArtifact(name, source, registries, issues), ...own };
    const put = () => {
      artifacts.set(name, lock ? pinArtifact(draft, lock) : draft);
      return [name];
    };
    return { locations: draft.locations, add: put };
  };
  const kinds = new Map<string, boolean>();
  for (const [name, source] of readSection("sources", SourceSchema, sources, issues).right) {
    kinds.set(name, isArtifact(source));
    const found = read(name, source, issues);
    if (!hasTagRule(source)) {
      nodesOf.set(name, found.add());
      continue;
    }
    const [location, ...fallbacks] = found.locations ?? [];
    if (!location) continue;
    issues.push(...checkTagRule(name, source, fallbacks));
    const expanded = expandTags(name, source, lock);
    if ("unexpanded" in expanded) {
      const repository = repositoryOf(source.reference);
      tags.set(name, { location, repository, rule: source.tags, ...expanded });
      nodesOf.set(name, [name]);
      continue;
    }
    nodesOf.set(
      name,
      [...expanded.sources].flatMap(([tagged, source]) => read(tagged, source, [], name).add()),
    );
  }
  const parts = {
    sources: drafts,
    artifacts,
    tags,
    nodesOf,
    inputs: readSection("inputs", InputSchema, inputs, issues).typed,
    stages: readSection("stages", StageSchema, stages, issues).typed,
  };
  return {
    settings,
    platform,
    ...parts,
    namesOf: new Map(
      Object.entries(stages).map(([name, stage]) => [name, v.parse(StageNamesSchema, stage)]),
    ),
    around: surround(parts, platform, kinds),
    names: {
      sources: Object.keys(sources),
      inputs: Object.keys(inputs),
      stages: Object.keys(stages),
    },
  };
}

const NO_NAMES = { inputs: [], on: undefined };
/** What stages are asked for where the rest of them cannot be read. */
const StageNamesSchema = v.fallback(
  v.object({
    inputs: v.fallback(v.array(v.string()), []),
    on: v.fallback(v.optional(v.string()), undefined),
  }),
  NO_NAMES,
);

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
  const look = (
    section: keyof typeof known,
    name: string,
    path: string,
    self?: string,
  ): readonly string[] => {
    if (!known[section].has(name)) {
      const others = parts.names[section].filter((other) => other !== self);
      const suggestion = nearest(name, others);
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
  for (const name of [...parts.nodesOf.values()].flat()) needs.set(`source/${name}`, []);
  for (const [name, input] of parts.inputs) {
    const kind = inputKind(input);
    issues.push(...kind.check(input, parts.around).map((issue) => under(`inputs.${name}`, issue)));
    const found = kind.needs(input).flatMap((need) =>
      look(need.section, need.name, `inputs.${name}.${need.path}`)
    );
    needs.set(`input/${name}`, [...new Set(found)]);
  }
  for (const [name, { inputs: read, on: before }] of parts.namesOf) {
    const inputs = read.flatMap((input, index) =>
      look("inputs", input, `stages.${name}.inputs.${index}`)
    );
    const on = before === undefined ? [] : look("stages", before, `stages.${name}.on`, name);
    needs.set(`stage/${name}`, [...new Set([...inputs, ...on])]);
  }
  return needs;
}

function surround(
  { sources, tags, nodesOf, stages }: Pick<Parts, "sources" | "tags" | "nodesOf" | "stages">,
  platform: Platform,
  /** Whether sources are artifacts, by name. */
  kinds: ReadonlyMap<string, boolean>,
): Surroundings {
  return {
    isArtifact: (name) => kinds.get(name),
    source: (name) =>
      (nodesOf.get(name) ?? []).flatMap((node): ReturnType<Surroundings["source"]> => {
        const key = `source/${node}`;
        const draft = sources.get(node);
        if (!draft) return tags.has(node) ? [{ key, platform, ownTag: "" }] : [];
        const { family, tag = "", wantsAll } = draft;
        const ownTag = family === undefined ? undefined : tag;
        const imageName = ownName(draft);
        return [{ key, platform: draft.platform, wantsAll, imageName, ownTag }];
      }),
    hasNoTree(name) {
      const stage = stages.get(name);
      return stage !== undefined && !keepsTree(stage);
    },
    imageName(name) {
      const stage = stages.get(name);
      return stage && stageKind(stage).imageName(stage);
    },
  };
}

/** What a source's image is called where nothing else is said: its reference, without the digest. */
function ownName({ locations: [location] }: SourceDraft): string | undefined {
  if (!("reference" in location)) return undefined;
  const { domain, path, tag = "latest" } = location.reference;
  return formatReference({ domain, path, tag });
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
  { key, needs }: Pick<Node, "key" | "needs">,
  { parts, nodes, continued }: {
    readonly parts: Parts;
    /** The nodes that it needs, and more. */
    readonly nodes: ReadonlyMap<string, Node>;
    /** Names of the stages that others continue. */
    readonly continued: ReadonlySet<string | undefined>;
  },
): Node {
  const name = key.slice(key.indexOf("/") + 1);
  const idOf = (needed: string): string | undefined => nodes.get(needed)?.id;
  const source = key.startsWith("source/") ? parts.sources.get(name) : undefined;
  if (source) {
    let id: string | undefined;
    return {
      ...{ kind: "source", key, name, needs, ...source },
      get id() { // there may be a thousand of them, and a fetch needs none
        return id ??= hashOf(sourceMeaning(source));
      },
    };
  }
  const artifact = key.startsWith("source/") ? parts.artifacts.get(name) : undefined;
  if (artifact) {
    return {
      kind: "artifact",
      key,
      name,
      id: hashOf(artifactMeaning(artifact)),
      needs,
      ...artifact,
    };
  }
  const tags = key.startsWith("source/") ? parts.tags.get(name) : undefined;
  if (tags) {
    const meaning = { kind: "tags", repository: tags.repository, rule: tags.rule };
    return { kind: "tags", key, name, id: hashOf(meaning), needs, ...tags };
  }
  const input = key.startsWith("input/") ? parts.inputs.get(name) : undefined;
  if (input) {
    const kind = inputKind(input);
    const images = kind.images(input, parts.around);
    const meaning = {
      kind: "input",
      type: input.type,
      ...kind.meaning(input),
      needs: needs.map(idOf).sort(),
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
      ...stageKind(stage).meaning(stage, parts.platform),
      inputs: inputs.map(idOf),
      on: on && idOf(on),
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

function platformName(name: string, { platform }: SourceDraft): string {
  return `${name}@${formatPlatform(platform)}`;
}
