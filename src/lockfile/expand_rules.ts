import { ConfigError, InterruptedError, LockError, StowageError } from "../errors/mod.ts";
import { formatRule, isOfRule, lockedTags } from "../graph/expand_tags.ts";
import type { Lock, LockedTags } from "../graph/lock_schema.ts";
import type { TagsNode } from "../graph/node.ts";
import type { Run } from "../run.ts";
import { TagLists } from "../sources/tag_lists.ts";
import { chooseTags } from "./choose_tags.ts";

/** What asking for the tags of rules has given. */
export interface ExpandedRules {
  /** The tags of each rule that has some, by name of the source. */
  readonly tags: Readonly<Record<string, LockedTags>>;
  /** Why others have none, by key of the source. */
  readonly failures: Readonly<Record<string, StowageError>>;
  /** How many lists were read from registries. */
  readonly requests: number;
}

/**
 * Asks registries which tags rules stand for.
 *
 * @param nodes The sources with their rules.
 * @param isKnown What is known already, of which no registry is asked.
 * @param run The run.
 * @returns The tags, and what failed.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function expandRules(
  nodes: readonly TagsNode[],
  isKnown: (node: TagsNode) => LockedTags | undefined,
  run: Run,
): Promise<ExpandedRules> {
  const lists = new TagLists(run);
  const tags: Record<string, LockedTags> = {};
  const failures: Record<string, StowageError> = {};
  let requests = 0;
  await Promise.all(nodes.map(async (node) => {
    try {
      const known = isKnown(node);
      if (!known) requests++;
      tags[node.name] = known ?? await expandRule(node, lists);
    } catch (error) {
      if (run.signal.aborted) throw new InterruptedError(run.signal.reason);
      if (!(error instanceof StowageError)) throw error;
      failures[node.key] = error;
      run.emit({ type: "failed", key: node.key, name: node.name, error: error.toJSON() });
    }
  }));
  const ordered = nodes.flatMap(({ name }) => {
    const own = tags[name];
    return own ? [[name, own] as const] : [];
  });
  return { tags: Object.fromEntries(ordered), failures, requests };
}

/**
 * What a lock has of the very rule of a source.
 *
 * @param node The source.
 * @param lock The lock.
 * @returns The tags; `undefined` where it has none, or those of another rule.
 */
export function tagsOfRule(node: TagsNode, lock: Lock | undefined): LockedTags | undefined {
  const locked = lock && lockedTags(node.name, lock);
  return locked && isOfRule(locked, node) ? locked : undefined;
}

async function expandRule(node: TagsNode, lists: TagLists): Promise<LockedTags> {
  const { name, repository, rule } = node;
  const all = await lists.read(node);
  const chosen = choose(all, node);
  if (chosen.length > 0) return { repository, rule, tags: chosen };
  const some = all.slice(0, 5).map((tag) => `"${tag}"`).join(", ");
  const has = all.length === 0 ? "it has none" : `it has ${all.length}, such as ${some}`;
  const message = `Cannot lock "${name}": no tag of "${repository}" fits ${formatRule(rule)}`;
  throw new LockError("LOCK_MISSING", `${message}; ${has}`, [], {
    hint: `change sources.${name}.tags; versions have three numbers, and regex is of the whole tag`,
  });
}

function choose(all: readonly string[], { name, rule }: TagsNode): string[] {
  try {
    return chooseTags(all, rule);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const path = `sources.${name}.tags.semver`;
    throw new ConfigError([{ path, value: rule.semver, expected: "a range of versions" }]);
  }
}
