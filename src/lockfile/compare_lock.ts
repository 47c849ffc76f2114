import { formatPlatform } from "../../config/mod.ts";
import { LockError, type LockProblem } from "../errors/mod.ts";
import type { Node } from "../graph/node.ts";
import type { Lock } from "../graph/lock_schema.ts";

/**
 * Finds what a lock does not say of sources.
 *
 * @param nodes The sources, pinned by the lock.
 * @param lock The lock.
 * @returns What is wrong, a source or a platform each.
 */
export function findUnlocked(nodes: readonly Node[], lock: Lock | undefined): LockProblem[] {
  return nodes.flatMap((node): LockProblem[] => {
    const { name } = node;
    if (node.kind === "tags") return [{ name, reason: node.unexpanded }];
    if (node.kind !== "source" && node.kind !== "artifact") return [];
    const { unlocked, isPinned } = node;
    if (!lock) return isPinned ? [] : [{ name, reason: "there is no lock" }];
    return unlocked === undefined ? [] : [{ name, reason: unlocked }];
  });
}

/**
 * Refuses a run whose sources are not all pinned.
 *
 * @param nodes The sources, pinned by the lock.
 * @param options Whether the run is frozen, and the lock.
 * @throws {LockError} If it is, and one is not in the lock, or in the config without one.
 */
export function checkFrozen(
  nodes: readonly Node[],
  { frozen = false, lock }: { readonly frozen?: boolean; readonly lock?: Lock | undefined },
): void {
  if (!frozen) return;
  const sources = nodes.filter((node) => node.kind === "source" || node.kind === "artifact");
  const open = sources.filter(({ isPinned, unlocked }) =>
    lock ? unlocked !== undefined : !isPinned
  );
  if (open.length === 0) return;
  const problems = open.map(({ name, unlocked = "there is no lock" }) => ({
    name,
    reason: unlocked,
  }));
  throw new LockError("LOCK_MISSING", "Cannot run frozen: the lock does not say all", problems, {
    hint: "run `stowage lock` and keep images.lock.json under version control",
  });
}

/**
 * Finds what a lock says of what is not in the config.
 *
 * @param nodes All sources, without the lock.
 * @param lock The lock.
 * @returns What is left over, a source or a platform each.
 */
export function findLeftOver(nodes: readonly Node[], lock: Lock | undefined): LockProblem[] {
  const sources = nodes.filter((node) => node.kind === "source");
  const known = Map.groupBy(sources, ({ source }) => source);
  const artifacts = nodes.filter((node) => node.kind === "artifact");
  const families = new Set([...sources, ...artifacts].map(({ family }) => family));
  const open = nodes.filter(({ kind }) => kind === "tags").map(({ name }) => name);
  const rules = Object.keys(lock?.tags ?? {}).filter((name) =>
    !families.has(name) && !open.includes(name)
  );
  const left = rules.map((name) => ({
    name,
    reason: "the lock has tags of it by a rule, and the config has no such rule",
  }));
  const images = Object.entries(lock?.sources ?? {}).flatMap((
    [name, { platforms }],
  ): LockProblem[] => {
    const group = known.get(name);
    // Of a rule that is not locked, or left over, all is told already.
    if (!group && [...open, ...rules].some((rule) => name.startsWith(`${rule}:`))) return [];
    if (!group) return [{ name, reason: "it is in the lock, and not in the config" }];
    if (!group[0]?.platformIsGiven) return [];
    const named = new Set(group.map(({ platform }) => formatPlatform(platform)));
    return Object.keys(platforms).filter((platform) => !named.has(platform)).map((platform) => ({
      name,
      reason: `it is in the lock for ${platform}, and not in the config`,
    }));
  });
  const others = Object.keys(lock?.artifacts ?? {}).filter((name) =>
    !artifacts.some(({ source }) => source === name) &&
    ![...open, ...rules].some((rule) => name.startsWith(`${rule}:`))
  );
  const gone = others.map((name) => ({
    name,
    reason: "it is in the lock as an artifact, and not in the config",
  }));
  return [...left, ...images, ...gone];
}

/**
 * Compares a lock with a config; no registry is asked.
 *
 * @param named The sources that are meant, pinned by the lock.
 * @param all All sources, without the lock; what is left over does not count if absent.
 * @param lock The lock.
 * @throws {LockError} If something is not locked, or locked and not in the config.
 */
export function checkConfig(
  named: readonly Node[],
  all: readonly Node[] | undefined,
  lock: Lock | undefined,
): void {
  const problems = [...findUnlocked(named, lock), ...(all ? findLeftOver(all, lock) : [])];
  if (problems.length === 0) return;
  const code = lock ? "LOCK_STALE" : "LOCK_MISSING";
  throw new LockError(code, "The lock does not fit the config", problems, {
    hint: "run `stowage lock`",
  });
}
