import {
  formatReference,
  hasTag,
  parseReference,
  type Source,
  type TagRule,
} from "../../config/mod.ts";
import { type ConfigIssue, LockError } from "../errors/mod.ts";
import { formatLocation, type Location } from "../transports/mod.ts";
import type { Lock, LockedTags } from "./lock_schema.ts";
import type { Node } from "./node.ts";

/** A source that stands for several tags. */
export type TaggedSource = Extract<Source, { readonly tags?: TagRule }> & {
  readonly type: "docker" | "artifact";
  readonly reference: string;
  readonly tags: TagRule;
};

/**
 * Tells sources that stand for several tags from others.
 *
 * @param source A source.
 * @returns Whether it has a rule for tags.
 */
export function hasTagRule(source: Source): source is TaggedSource {
  return "tags" in source && source.tags !== undefined;
}

/**
 * Finds what cannot be beside a rule for tags.
 *
 * @param name Name of the source.
 * @param source The source.
 * @param fallbacks Where else it may come from.
 * @returns What is wrong.
 */
export function checkTagRule(
  name: string,
  source: TaggedSource,
  fallbacks: readonly Location[],
): ConfigIssue[] {
  const at = `sources.${name}`;
  const { digest } = parseReference(source.reference);
  const expected = "none beside tags, which stand for several images";
  return [
    ...(hasTag(source.reference) || digest !== undefined
      ? [{
        path: `${at}.reference`,
        value: source.reference,
        expected: "a repository, without tag and digest, as tags says which are meant",
      }]
      : []),
    ...(source.digest ? [{ path: `${at}.digest`, value: source.digest, expected }] : []),
    ...("id" in source ? [{ path: `${at}.id`, value: source.id, expected }] : []),
    ...fallbacks.flatMap((location, index) => {
      const given = "fallback" in source ? source.fallback?.[index] : undefined;
      const isOfSource = "reference" in location && !Object.hasOwn(given ?? {}, "reference");
      const path = `${at}.fallback.${index}`;
      return isOfSource ? [] : [{
        path,
        value: formatLocation(location),
        expected: "a place that takes the reference of the source, as it has several tags",
      }];
    }),
  ];
}

/** What a lock says of a source that stands for several tags. */
export type ExpandedTags =
  | {
    /** A source for each tag, by name. */
    readonly sources: ReadonlyMap<string, Source>;
  }
  | {
    /** Why it does not say the tags. */
    readonly unexpanded: string;
  };

/**
 * Makes a source for each tag that the lock has of a rule.
 *
 * @param name Name of the source.
 * @param source The source.
 * @param lock The lock.
 * @returns The sources; or why the lock does not say them.
 */
export function expandTags(
  name: string,
  { tags: rule, ...source }: TaggedSource,
  lock: Lock | undefined,
): ExpandedTags {
  if (!lock) return { unexpanded: "there is no lock, which says the tags of its rule" };
  const locked = lockedTags(name, lock);
  if (!locked) return { unexpanded: "the lock does not say the tags of its rule" };
  const reference = parseReference(source.reference);
  const of = { repository: repositoryOf(source.reference), rule };
  if (!isOfRule(locked, of)) {
    const [now, before] = [of, locked].map(({ repository, rule }) =>
      `tags of ${repository} by ${formatRule(rule)}`
    );
    return { unexpanded: `the config has ${now}, and the lock ${before}` };
  }
  const { domain, path } = reference;
  return {
    sources: new Map(locked.tags.map((tag) => [
      `${name}:${tag}`,
      { ...source, reference: formatReference({ domain, path, tag }) },
    ])),
  };
}

/**
 * Looks up what a lock says of a rule.
 *
 * @param name Name of the source.
 * @param lock The lock.
 * @returns Its tags; `undefined` where there are none of that name.
 */
export function lockedTags(name: string, { tags = {} }: Lock): LockedTags | undefined {
  return Object.hasOwn(tags, name) ? tags[name] : undefined;
}

/**
 * Whether tags in a lock are those of a rule.
 *
 * @param locked What the lock has.
 * @param of The repository, and the rule.
 * @returns Whether they are.
 */
export function isOfRule(
  locked: Pick<LockedTags, "repository" | "rule">,
  of: Pick<LockedTags, "repository" | "rule">,
): boolean {
  return locked.repository === of.repository && formatRule(locked.rule) === formatRule(of.rule);
}

/**
 * Says which repository a reference names.
 *
 * @param reference The reference.
 * @returns `host[:port]/path`.
 */
export function repositoryOf(reference: string): string {
  const { domain, path } = parseReference(reference);
  return formatReference({ domain, path });
}

/**
 * Writes a rule for tags.
 *
 * @param rule The rule.
 * @returns Text such as `semver "^1.8", newest 3`.
 */
export function formatRule({ semver, regex, newest }: TagRule): string {
  return [
    ...(semver === undefined ? [] : [`semver ${JSON.stringify(semver)}`]),
    ...(regex === undefined ? [] : [`regex ${JSON.stringify(regex)}`]),
    ...(newest === undefined ? [] : [`newest ${newest}`]),
  ].join(", ");
}

/**
 * Refuses what cannot be done as long as nobody knows which tags are meant.
 *
 * @param nodes What is meant.
 * @throws {LockError} If one has a rule for tags, and the lock does not say which.
 */
export function requireTags(nodes: readonly Node[]): void {
  const problems = nodes.flatMap((node) =>
    node.kind === "tags" ? [{ name: node.name, reason: node.unexpanded }] : []
  );
  if (problems.length === 0) return;
  throw new LockError("LOCK_MISSING", "Cannot tell which tags are meant", problems, {
    hint: "run `stowage lock`, which asks registries for them",
  });
}
