/** `@std/text/{closest-string,levenshtein-distance}` from npm, typed. */
import * as closest from "deno-std/text/closest_string.js";
import * as levenshtein from "deno-std/text/levenshtein_distance.js";

export interface ClosestStringOptions {
  caseSensitive?: boolean;
  compareFn?: (a: string, b: string) => number;
}

export const closestString: (
  givenWord: string,
  possibleWords: readonly string[],
  options?: ClosestStringOptions,
) => string = closest.closestString;
export const levenshteinDistance: (str1: string, str2: string) => number =
  levenshtein.levenshteinDistance;
