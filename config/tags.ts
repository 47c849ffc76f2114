import * as v from "valibot";
import type { Same } from "./same.ts";
import { closed, described } from "./schema_parts.ts";

/** Which tags of a repository a source stands for: what fits all that is said. */
export interface TagRule {
  /**
   * Tags that are versions in this range, such as `^1.8` or `>=2.1 <4`, after https://semver.org.
   * A version has three numbers, `v` may be before it; releases only, unless the range names a
   * pre-release.
   */
  readonly semver?: string;
  /**
   * Tags that this regular expression fits from end to end. Where it has a group, what that has
   * matched counts as the version: `(.+)-alpine`.
   */
  readonly regex?: string;
  /** So many of them, the highest first: by version with `semver`, else by the numbers in them. */
  readonly newest?: number;
}

/** What a source takes that stands for several tags. */
export interface TagsOptions {
  /**
   * Which tags of the repository are meant; each is a source of its own, called `name:tag`.
   * `stowage lock` asks the registry for them, and nothing else does. One, or `latest`, if absent.
   */
  readonly tags?: TagRule;
}

const VERSION = String
  .raw`(?:[<>]=?|[=^~])?\s*v?(?:\d+|[xX*])(?:\.(?:\d+|[xX*])){0,2}(?:-[\w.-]+)?`;
const RANGE = new RegExp(
  String.raw`^\s*${VERSION}(?:(?:\s*\|\|\s*|\s+-\s+|\s+)${VERSION})*\s*$`,
);

/** The schema of {@linkcode TagRule}. */
export const TagRuleSchema = v.pipe(
  closed({
    semver: v.exactOptional(described(
      v.pipe(v.string(), v.regex(RANGE, 'a range of versions, such as "^1.8" or ">=2.1 <4"')),
      "Tags that are versions in this range, such as ^1.8; releases only, unless it names a pre-release",
    )),
    regex: v.exactOptional(described(
      v.pipe(v.string(), v.check(isPattern, "a regular expression of JavaScript")),
      "Tags that this fits from end to end; where it has a group, that is the version: (.+)-alpine",
    )),
    newest: v.exactOptional(described(
      v.pipe(v.number(), v.safeInteger("a whole number"), v.minValue(1, "a number from 1")),
      "So many of them, the highest first: by version with semver, else by the numbers in them",
    )),
  }),
  v.check(
    ({ semver, regex }) => semver !== undefined || regex !== undefined,
    '"semver", "regex" or both',
  ),
);
true satisfies Same<v.InferOutput<typeof TagRuleSchema>, TagRule>;

/** The schema's part of {@linkcode TagsOptions}. */
export const tagsEntries = {
  tags: v.exactOptional(described(
    TagRuleSchema,
    "Which tags of the repository are meant, each a source of its own, called name:tag; stowage lock asks the registry for them",
  )),
};

/** What a pattern of tags fits: the whole of one. */
export function tagPattern(regex: string): RegExp {
  return new RegExp(`^(?:${regex})$`, "u");
}

function isPattern(text: string): boolean {
  try {
    tagPattern(text);
    return true;
  } catch {
    return false;
  }
}
