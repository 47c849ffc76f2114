import { compare as compareVersions } from "deno-std/semver/compare.js";
import { parseRange as parse } from "deno-std/semver/parse_range.js";
import { satisfies as satisfiesRange } from "deno-std/semver/satisfies.js";
import { tryParse as tryParseVersion } from "deno-std/semver/try_parse.js";

/** `@std/semver` from npm, typed. */
export interface SemVer {
  major: number;
  minor: number;
  patch: number;
  prerelease?: (string | number)[];
  build?: string[];
}

type Operator = undefined | "=" | "!=" | ">" | ">=" | "<" | "<=";
export type Comparator = SemVer & { operator?: Operator };
export type Range = Comparator[][];

export const compare: (version1: SemVer, version2: SemVer) => 1 | 0 | -1 = compareVersions;
export const parseRange: (value: string) => Range = parse;
export const satisfies: (version: SemVer, range: Range) => boolean = satisfiesRange;
export const tryParse: (value: string) => SemVer | undefined = tryParseVersion;
