/**
 * Says what a run has cost.
 *
 * @param count How many manifests were read from registries.
 * @returns Such as "2 manifests asked for".
 */
export function manifests(count: number): string {
  return count === 1 ? "1 manifest asked for" : `${count} manifests asked for`;
}
