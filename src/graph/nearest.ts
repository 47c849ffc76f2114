import { closestString } from "@std/text/closest-string";
import { levenshteinDistance } from "@std/text/levenshtein-distance";

/**
 * Finds the name that was probably meant.
 *
 * @param name The name that is not there.
 * @param names The names that are.
 * @returns The nearest of them, or `undefined` if none is near.
 */
export function nearest(name: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const found = closestString(name, names);
  const far = Math.max(2, Math.floor(name.length / 3));
  return levenshteinDistance(name.toLowerCase(), found.toLowerCase()) <= far ? found : undefined;
}
