/**
 * Says what a run has cost.
 *
 * @param count How many manifests were read from registries.
 * @returns Such as "2 manifests read".
 */
export function manifests(count: number): string {
  return count === 1 ? "1 manifest read" : `${count} manifests read`;
}
