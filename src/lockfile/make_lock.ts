import type { Run } from "../run.ts";
import { formatPlatform } from "../../config/mod.ts";
import { formatLocation } from "../transports/mod.ts";
import { type Failures, LockError, type StowageError } from "../errors/mod.ts";
import { nameOf } from "../events.ts";
import { lookUp } from "../graph/pin.ts";
import { isOfRule } from "../graph/expand_tags.ts";
import type { Graph, SourceNode, TagsNode } from "../graph/node.ts";
import { select } from "../graph/select.ts";
import type { Lock, LockedImage, LockedSource } from "../graph/lock_schema.ts";
import type { ArtifactChange, lockArtifacts, LockedArtifacts } from "./lock_artifacts.ts";
import { otherPlatforms } from "../sources/other_platforms.ts";
import { type PreparedImage, SkopeoSource } from "../sources/skopeo.ts";
import { sizeOfImage } from "../store/manifest.ts";

/** What locking has changed of a source on a platform. */
export interface LockChange {
  /** Name of the source; with its platform, where it has several. */
  readonly name: string;
  /** What became of its entry. */
  readonly change: "added" | "moved" | "removed";
  /** What was locked. */
  readonly from?: LockedImage;
  /** What is locked now. */
  readonly to?: LockedImage;
  /** The digests of the indexes, where it is another one now. */
  readonly index?: { readonly from?: string; readonly to?: string };
  /** The references, where the config has another one now. */
  readonly reference?: { readonly from: string; readonly to: string };
}

/** What locking has made. */
export interface LockResult {
  /** The lock. */
  readonly lock: Lock;
  /** What is different from the lock that was there; if nothing is, the lock is the same. */
  readonly changes: readonly LockChange[];
  /** The artifacts that are new, stand for something else now, or are gone. */
  readonly artifacts: readonly ArtifactChange[];
  /** The rules for tags that are new, stand for other tags now, or are gone. */
  readonly rules: readonly LockedRule[];
  /** How many manifests and lists of tags were read from registries. */
  readonly requests: number;
}

/** What locking has changed of a rule for tags. */
export interface LockedRule {
  /** Name of the source. */
  readonly name: string;
  /** The tags that were locked. */
  readonly from?: readonly string[];
  /** The tags that are locked now, the highest first. */
  readonly to?: readonly string[];
}

/** What is locked. */
export interface LockRequest {
  /** The sources that have a rule for tags. */
  readonly rules: readonly TagsNode[];
  /** Compiles the config without a lock, but with what that says of the tags of rules. */
  readonly compile: (tags: Lock["tags"]) => Graph;
  /** Which sources are asked for. */
  readonly scope: {
    /** Their names; what the lock has of the others stays as it is. All if empty. */
    readonly names: readonly string[];
    /** Whether they are asked for again although they are locked. */
    readonly update: boolean;
  };
}

/** What locking could not do. */
interface LockFailures {
  /** The error of each source that could not be locked, by its key. */
  readonly failures: Failures;
  /** How many were meant. */
  readonly total: number;
}

/**
 * Completes a lock; what it has already stays, unless it is to be updated.
 *
 * @param request The sources, and which of them are asked for.
 * @param before The lock that is there.
 * @param run What the run gives.
 * @returns The lock, what has changed, and the error of each source that could not be locked, of
 * which the lock says what it has said before.
 * @throws {UsageError} If a name means nothing.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function makeLock(
  { rules, compile, scope }: LockRequest,
  before: Lock = { schema: 1, sources: {} },
  run: Run,
): Promise<LockResult & LockFailures> {
  const { update } = scope;
  const expanded = await expand(rules, scope, before, run);
  const graph = compile(expanded.tags);
  const lock = withTags(before, expanded.tags);
  const nodes = [...graph.nodes.values()].filter((node) => node.kind === "source");
  const meant = new Set(select(graph, ["source"], scope.names).map(({ key }) => key));
  const names = new Set(nodes.filter(({ key }) => meant.has(key)).map(({ source }) => source));
  const source = new SkopeoSource(run);
  const found = new Map<string, Found>();
  const failures: Record<string, StowageError> = { ...expanded.failures };
  const fail = (node: SourceNode, error: StowageError) => {
    failures[node.key] = error;
    run.emit({ type: "failed", ...nameOf(node), error: error.toJSON() });
  };
  const open = nodes.filter((node) =>
    names.has(node.source) && (update || lookUp(node.source, node, lock).status !== "locked")
  );
  const wanted = open.map((node) => asLocked(node, update ? undefined : entryOf(node, lock)));
  // A lock is about what the source itself has, not about what a fallback has in its place.
  const first = await source.resolve(wanted);
  const added = await Promise.all(
    first.map((outcome) => "error" in outcome ? [] : forOthers(outcome.item, outcome.value)),
  );
  const others = added.flat();
  for (const outcome of [...first, ...await source.resolve(others)]) {
    const { item } = outcome;
    if ("error" in outcome) {
      failures[item.key] = outcome.error;
      continue;
    }
    const now = lockedOf(item, outcome.value);
    const error = now
      ? conflict(item, now, update ? undefined : entryOf(item, lock))
      : untold(item);
    if (error) fail(item, error);
    else if (now) found.set(item.key, now);
  }
  const sources: Record<string, LockedSource> = {};
  const changes: LockChange[] = [];
  for (const [name, group] of Map.groupBy([...nodes, ...others], (node) => node.source)) {
    const before = Object.hasOwn(lock.sources, name) ? lock.sources[name] : undefined;
    const hasFailed = group.some((node) => Object.hasOwn(failures, node.key));
    const after = names.has(name) ? complete(group, before, found, hasFailed) : before;
    if (after) sources[name] = after;
    changes.push(...compare(name, before, after, group));
  }
  for (const [name, before] of Object.entries(lock.sources)) {
    if (nodes.some((node) => node.source === name)) continue;
    if (expanded.kept.some((rule) => name.startsWith(`${rule}:`))) sources[name] = before;
    else changes.push(...compare(name, before));
  }
  const failed = Object.keys(expanded.failures).length;
  const artifacts = [...graph.nodes.values()].filter((node) => node.kind === "artifact");
  const all = await lockAllArtifacts(artifacts, before, {
    isMeant: ({ key }) => meant.has(key),
    update,
    isKept: (name) => expanded.kept.some((rule) => name.startsWith(`${rule}:`)),
  }, run);
  return {
    lock: withArtifacts({ ...lock, sources }, all.artifacts),
    changes,
    artifacts: all.changes,
    rules: changesOf(before.tags, lock.tags),
    requests: await source.manifestReads() + expanded.requests + all.requests,
    failures: { ...failures, ...all.failures },
    total: nodes.filter((node) => names.has(node.source)).length + others.length + failed +
      artifacts.filter(({ key }) => meant.has(key)).length,
  };
}

/** Few configs have artifacts. */
async function lockAllArtifacts(
  ...[nodes, before, scope, run]: Parameters<typeof lockArtifacts>
): Promise<LockedArtifacts> {
  if (nodes.length === 0 && !before.artifacts) {
    return { artifacts: {}, changes: [], failures: {}, requests: 0 };
  }
  const { lockArtifacts } = await import("./lock_artifacts.ts");
  return await lockArtifacts(nodes, before, scope, run);
}

function withArtifacts(
  { artifacts: _, ...lock }: Lock,
  artifacts: NonNullable<Lock["artifacts"]>,
): Lock {
  return Object.keys(artifacts).length > 0 ? { ...lock, artifacts } : lock;
}

/** The tags of rules, as a lock is to have them. */
interface Expanded {
  readonly tags: Lock["tags"];
  readonly failures: Failures;
  readonly requests: number;
  /** Rules of which all stays that the lock says, whatever the config has. */
  readonly kept: readonly string[];
}

/** What is asked for again only to be updated stays where the registry does not answer. */
async function expand(
  rules: readonly TagsNode[],
  { names, update }: LockRequest["scope"],
  before: Lock,
  run: Run,
): Promise<Expanded> {
  if (rules.length === 0) return { tags: undefined, failures: {}, requests: 0, kept: [] };
  const { expandRules, tagsOfRule } = await import("./expand_rules.ts");
  const isMeant = ({ name }: TagsNode) => names.length === 0 || names.includes(name);
  const known = (node: TagsNode) => update && isMeant(node) ? undefined : tagsOfRule(node, before);
  const asked = rules.filter((node) => isMeant(node) || known(node));
  const { tags, failures, requests } = await expandRules(asked, known, run);
  const open = rules.filter(({ name }) => !Object.hasOwn(tags, name)).map(({ name }) => name);
  const old = Object.entries(before.tags ?? {}).filter(([name]) => open.includes(name));
  return { tags: { ...tags, ...Object.fromEntries(old) }, failures, requests, kept: open };
}

function withTags({ tags: _, ...lock }: Lock, tags: Lock["tags"]): Lock {
  return tags && Object.keys(tags).length > 0 ? { ...lock, tags } : lock;
}

/** What is different of the tags of rules. */
function changesOf(before: Lock["tags"] = {}, after: Lock["tags"] = {}): LockedRule[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) => {
    const [old, now] = [before[name], after[name]];
    const isSame = old && now && isOfRule(old, now) &&
      JSON.stringify(old.tags) === JSON.stringify(now.tags);
    return isSame ? [] : [{ name, ...(old && { from: old.tags }), ...(now && { to: now.tags }) }];
  });
}

/** What a source stands for, and what it is on one platform. */
interface Found {
  /** The platform; the image's own, where the source has no other and names none. */
  readonly platform: string;
  readonly head: Omit<LockedSource, "platforms">;
  readonly image: LockedImage;
}

/** What a lock has of the same place. */
function entryOf(node: SourceNode, { sources }: Lock): LockedSource | undefined {
  const entry = Object.hasOwn(sources, node.source) ? sources[node.source] : undefined;
  return entry?.reference === formatLocation(node.locations[0]) ? entry : undefined;
}

/** A platform that is new to an index that is locked belongs to the same index. */
function asLocked(node: SourceNode, entry: LockedSource | undefined): SourceNode {
  const isNew = entry && !Object.hasOwn(entry.platforms, formatPlatform(node.platform));
  const digest = isNew ? entry.index?.digest : undefined;
  return node.digest || !digest ? node : { ...node, digest, digestIsLocked: true };
}

/** Where all platforms of an index are wanted, it says which there are. */
async function forOthers(
  node: SourceNode,
  { found: { index } }: PreparedImage,
): Promise<SourceNode[]> {
  if (!node.wantsAll || !index) return [];
  const { imageId: _, ...rest } = node;
  return [...otherPlatforms(await index.read(), node.platform)].map(([name, platform]) => ({
    ...rest,
    key: `source/${node.source}@${name}`,
    name: `${node.source}@${name}`,
    digest: index.digest,
    platform,
    wantsAll: false,
  }));
}

function lockedOf(
  { locations: [first], tag, platform, platformIsGiven }: SourceNode,
  { found: { digest, index, manifest }, platform: own = platform }: PreparedImage,
): Found | undefined {
  if (!manifest) return undefined;
  return {
    platform: formatPlatform(platformIsGiven || index ? platform : own),
    head: {
      reference: formatLocation(first),
      ...(tag !== undefined && { tag }),
      ...(index && {
        index: { digest: index.digest, mediaType: index.mediaType, size: index.size },
      }),
    },
    image: {
      digest,
      id: manifest.config.digest,
      mediaType: manifest.mediaType,
      size: sizeOfImage(manifest),
    },
  };
}

/** A source without a pin must not get another image for one platform than it has for others. */
function conflict(
  node: SourceNode,
  now: Found,
  entry: LockedSource | undefined,
): LockError | undefined {
  if (!entry || node.digest || node.imageId || isSame(entry, now)) return undefined;
  const [locked, current] = [digestOf(entry), now.head.index?.digest ?? now.image.digest];
  const message = `Cannot lock "${node.name}": it is ${current} now, and ${locked} is locked`;
  return new LockError("LOCK_STALE", message, [], {
    hint: `run \`stowage lock --update ${node.source}\` to accept what it is now`,
  });
}

function untold({ name, source }: SourceNode): LockError {
  const message = `Cannot lock "${name}": its images for several platforms have no names there, ` +
    "so that they are known only when they are fetched";
  return new LockError("LOCK_MISSING", message, [], {
    hint: `give sources.${source} a place with one image, such as a registry's`,
  });
}

/** The digest that a source stood for: of its index, or of its one image. */
function digestOf({ index, platforms }: LockedSource): string | undefined {
  return index?.digest ?? Object.values(platforms)[0]?.digest;
}

function isSame(entry: LockedSource, { head, image }: Found): boolean {
  return digestOf(entry) === (head.index?.digest ?? image.digest);
}

/** The entry of a source, after it was asked for: all of it is of one index. */
function complete(
  group: readonly SourceNode[],
  before: LockedSource | undefined,
  found: ReadonlyMap<string, Found>,
  hasFailed: boolean,
): LockedSource | undefined {
  const [node] = group;
  const fresh = group.flatMap((node) => {
    const now = found.get(node.key);
    return now ? [now] : [];
  });
  const [first] = fresh;
  const stays = before !== undefined &&
    (first ? before.reference === first.head.reference && isSame(before, first) : true);
  if (!first && hasFailed) return before;
  if (!stays && before && hasFailed && before.reference === first?.head.reference) return before;
  const head = first?.head ?? before;
  if (!head) return undefined;
  const known = new Set(
    group.flatMap(({ platform, platformIsGiven }) =>
      platformIsGiven ? [formatPlatform(platform)] : []
    ),
  );
  // Another machine may have locked what is for this machine where the config names no platform.
  const isOpen = !node?.platformIsGiven && (!first || first.head.index);
  const kept = Object.entries(stays ? before.platforms : {}).filter(([platform]) =>
    isOpen || known.has(platform)
  );
  const images = fresh.map(({ platform, image }) => [platform, image] as const);
  return { ...head, platforms: Object.fromEntries([...kept, ...images]) };
}

/** What is different of a source, platform by platform. */
function compare(
  source: string,
  before?: LockedSource,
  after?: LockedSource,
  group: readonly SourceNode[] = [],
): LockChange[] {
  const platforms = new Set(
    [before, after].flatMap((entry) => Object.keys(entry?.platforms ?? {})),
  );
  const names = new Map(group.map(({ name, platform }) => [formatPlatform(platform), name]));
  const [from, to] = [before?.index?.digest, after?.index?.digest];
  const index = { ...(from && { from }), ...(to && { to }) };
  const reference = before && after && before.reference !== after.reference &&
    { from: before.reference, to: after.reference };
  return [...platforms].flatMap((platform): LockChange[] => {
    const [old, now] = [before?.platforms[platform], after?.platforms[platform]];
    const name = names.get(platform) ??
      (platforms.size > 1 ? `${source}@${platform}` : source);
    if (!old || !now) {
      return [{
        name,
        change: old ? "removed" : "added",
        ...(old && { from: old }),
        ...(now && { to: now }),
      }];
    }
    const same = JSON.stringify(factsOf(before, old)) === JSON.stringify(factsOf(after, now));
    if (same) return [];
    const others = { ...(from !== to && { index }), ...(reference && { reference }) };
    return [{ name, change: "moved", from: old, to: now, ...others }];
  });
}

/** All that a lock says of an image, in one order. */
function factsOf(entry: LockedSource | undefined, image: LockedImage): unknown[] {
  const { digest, mediaType, size } = entry?.index ?? {};
  const { digest: own, id, mediaType: type, size: bytes } = image;
  return [entry?.reference, entry?.tag, digest, mediaType, size, own, id, type, bytes];
}
