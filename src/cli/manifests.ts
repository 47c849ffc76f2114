import { count } from "../lib/words.ts";

/**
 * Says what a run has cost.
 *
 * @param number How many manifests were read from registries.
 * @returns Such as "2 manifests asked for".
 */
export function manifests(number: number): string {
  return `${count(number, "manifest")} asked for`;
}
