import type { Run } from "../run.ts";
import { formatLocation, transportOf } from "../transports/mod.ts";
import type { Failures, StowageError } from "../errors/mod.ts";
import type { ArtifactNode, Node, SourceNode, TagsNode } from "../graph/node.ts";
import type { Lock } from "../graph/lock_schema.ts";
import { SkopeoSource } from "../sources/skopeo.ts";

/** What asking for tags has found. */
export interface OutdatedResult {
  /** The sources whose tags moved. */
  readonly outdated: readonly OutdatedSource[];
  /** The sources whose rule stands for other tags now. */
  readonly rules: readonly OutdatedRule[];
  /** Names of sources that have a tag or a rule, and that nothing pins: they were not asked for. */
  readonly unpinned: readonly string[];
  /** How many manifests and lists of tags were asked for in registries. */
  readonly requests: number;
}

/** A source whose tag stands for something else now. */
export interface OutdatedSource {
  /** Name of the source. */
  readonly name: string;
  /** What it is asked for by. */
  readonly reference: string;
  /** The digest that the lock or the config pins. */
  readonly pinned: string;
  /** The digest that the tag stands for now. */
  readonly current: string;
}

/** A source whose rule stands for other tags now. */
export interface OutdatedRule {
  /** Name of the source. */
  readonly name: string;
  /** The repository, `host[:port]/path`. */
  readonly repository: string;
  /** The tags that the lock does not have, the highest first. */
  readonly added: readonly string[];
  /** The tags that the lock has, and the rule stands for no more. */
  readonly removed: readonly string[];
}

/**
 * Asks which tags stand for something else than what is pinned.
 *
 * @param all The sources, pinned by the lock.
 * @param rules Those that have a rule for tags.
 * @param lock The lock.
 * @param run What the run gives.
 * @returns The sources whose tags moved, how many manifests were read, what failed, and of how many.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function findOutdated(
  all: readonly Node[],
  rules: readonly TagsNode[],
  lock: Lock | undefined,
  run: Run,
): Promise<OutdatedResult & { readonly failures: Failures; readonly total: number }> {
  const nodes = all.filter((node) => node.kind === "source");
  const source = new SkopeoSource(run);
  const entryOf = ({ source, unlocked }: SourceNode) =>
    lock && unlocked === undefined && Object.hasOwn(lock.sources, source)
      ? lock.sources[source]
      : undefined;
  const pinnedTo = (node: SourceNode) => entryOf(node)?.index?.digest ?? node.digest;
  const expected = (node: SourceNode) => {
    const digest = pinnedTo(node);
    // A lock has what the tag itself stood for; a config may pin an image of an index.
    const isWhole = entryOf(node) !== undefined && !node.isPinned;
    return digest === undefined ? undefined : { digest, isWhole };
  };
  const bySource = new Map(
    nodes.filter((node) => node.tag && pinnedTo(node)).map((
      node,
    ) => [node.source, { ...node, key: `source/${node.source}`, name: node.source }]),
  );
  const failures: Record<string, StowageError> = {};
  const outdated: OutdatedSource[] = [];
  for (const outcome of await source.readTags([...bySource.values()], expected)) {
    const { item } = outcome;
    if ("error" in outcome) {
      failures[item.key] = outcome.error;
      continue;
    }
    const pinned = pinnedTo(item);
    const current = outcome.value;
    if (!current || !pinned || current.includes(pinned)) continue;
    const [digest = ""] = current;
    const reference = formatLocation(item.locations[0]);
    outdated.push({ name: item.source, reference, pinned, current: digest });
  }
  const unpinned = nodes.filter((node) => node.tag && !pinnedTo(node)).map(({ source }) => source);
  const artifacts = all.filter((node) => node.kind === "artifact");
  const open = [
    ...all.filter(({ kind }) => kind === "tags").map(({ name }) => name),
    ...artifacts.filter(({ tag, digest }) => tag && !digest).map(({ name }) => name),
  ];
  const moved = await askArtifacts(artifacts, run);
  const now = await askRules(rules, lock, run);
  return {
    outdated: [...outdated, ...moved.outdated],
    rules: now.rules,
    unpinned: [...new Set([...unpinned, ...open])],
    requests: await source.manifestReads() + now.requests + moved.requests,
    failures: { ...failures, ...now.failures, ...moved.failures },
    total: new Set(nodes.map(({ source }) => source)).size + rules.length + artifacts.length,
  };
}

/** Rules that were never locked are told as not pinned. */
async function askRules(nodes: readonly TagsNode[], lock: Lock | undefined, run: Run): Promise<{
  readonly rules: readonly OutdatedRule[];
  readonly failures: Failures;
  readonly requests: number;
}> {
  if (nodes.length === 0) return { rules: [], failures: {}, requests: 0 };
  const { expandRules, tagsOfRule } = await import("./expand_rules.ts");
  const locked = nodes.filter((node) => tagsOfRule(node, lock));
  const { tags, failures, requests } = await expandRules(locked, () => undefined, run);
  const rules = locked.flatMap((node) => {
    const [before, now] = [tagsOfRule(node, lock), tags[node.name]];
    if (!before || !now) return [];
    const added = now.tags.filter((tag) => !before.tags.includes(tag));
    const removed = before.tags.filter((tag) => !now.tags.includes(tag));
    if (added.length + removed.length === 0) return [];
    return [{ name: node.name, repository: now.repository, added, removed }];
  });
  return { rules, failures, requests };
}

async function askArtifacts(nodes: readonly ArtifactNode[], run: Run): Promise<{
  readonly outdated: readonly OutdatedSource[];
  readonly failures: Failures;
  readonly requests: number;
}> {
  const tagged = nodes.filter(({ tag, digest }) => tag !== undefined && digest !== undefined);
  if (tagged.length === 0) return { outdated: [], failures: {}, requests: 0 };
  const { ArtifactDownloads } = await import("../sources/artifacts.ts");
  const downloads = new ArtifactDownloads(run);
  const failures: Record<string, StowageError> = {};
  const outdated: OutdatedSource[] = [];
  for (const outcome of await downloads.resolve(tagged.map(byTag))) {
    const { item: { key, source, locations: [location] } } = outcome;
    const pinned = nodes.find((node) => node.key === key)?.digest;
    if ("error" in outcome) failures[key] = outcome.error;
    else if (pinned !== undefined && outcome.value.digest !== pinned) {
      const reference = formatLocation(location);
      outdated.push({ name: source, reference, pinned, current: outcome.value.digest });
    }
  }
  return { outdated, failures, requests: downloads.manifestReads };
}

/** The same, but asked for by its tag alone. */
function byTag(node: ArtifactNode): ArtifactNode {
  const { digest: _, locations: [location], ...rest } = node;
  return { ...rest, locations: [transportOf(location).byTag(location) ?? location] };
}
