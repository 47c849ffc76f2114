import { compare, parseRange, satisfies, type SemVer, tryParse } from "@std/semver";
import type { TagRule } from "../../config/mod.ts";
import { tagPattern } from "../../config/tags.ts";

/** What stands for what refers to an image, and is none itself. */
const OF_REFERRERS = /^sha256-[0-9a-f]{64}(?:$|\.)/;

/** A tag that fits. */
interface Fitting {
  readonly tag: string;
  /** What it is ordered by. */
  readonly text: string;
  /** The version that is. */
  readonly version: SemVer | undefined;
}

/**
 * Chooses tags by a rule.
 *
 * @param tags All tags of a repository.
 * @param rule Which are meant.
 * @returns Those that fit, the highest first.
 * @throws {TypeError} If the range of the rule is none.
 */
export function chooseTags(tags: readonly string[], { semver, regex, newest }: TagRule): string[] {
  const range = semver === undefined ? undefined : parseRange(semver);
  const pattern = regex === undefined ? undefined : tagPattern(regex);
  const fitting = tags.flatMap((tag): Fitting[] => {
    if (OF_REFERRERS.test(tag)) return [];
    const match = pattern?.exec(tag);
    if (pattern && !match) return [];
    const text = match?.slice(1).find((group) => group !== undefined) ?? tag;
    if (!range) return [{ tag, text, version: undefined }];
    const version = tryParse(text);
    return version && satisfies(version, range) ? [{ tag, text, version }] : [];
  });
  const ordered = fitting.sort((one, other) => {
    const byVersion = one.version && other.version ? compare(other.version, one.version) : 0;
    return byVersion || compareNumbers(other.text, one.text) || compareNumbers(other.tag, one.tag);
  });
  return ordered.slice(0, newest).map(({ tag }) => tag);
}

/** Numbers in a text count as such, whatever their length: 1.10 is behind 1.9. */
function compareNumbers(one: string, other: string): number {
  const [left, right] = [one, other].map((text) => text.match(/\d+|\D+/g) ?? []);
  for (const [at, part] of (left ?? []).entries()) {
    const against = right?.[at];
    if (against === undefined) return 1;
    if (part === against) continue;
    const [a, b] = [part, against].map((text) => /^\d/.test(text) ? BigInt(text) : text);
    if (typeof a === "bigint" && typeof b === "bigint" && a !== b) return a < b ? -1 : 1;
    return part < against ? -1 : 1;
  }
  return (left?.length ?? 0) - (right?.length ?? 0);
}
