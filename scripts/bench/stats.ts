/** Least, middle and most. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/**
 * Sums numbers up.
 *
 * @param values The numbers, at least one.
 * @returns The least, the middle (between two, their mean) and the most.
 */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? NaN;
  const half = (sorted.length - 1) / 2;
  return {
    min: at(0),
    median: (at(Math.floor(half)) + at(Math.ceil(half))) / 2,
    max: at(sorted.length - 1),
  };
}

/**
 * Compares what two contenders took, round by round: what slows a machine down for a while slows
 * both.
 *
 * @param values What one took, a number a round.
 * @param peer What the other took in the same rounds.
 * @returns The one to the other, of each round.
 */
export function ratios(values: readonly number[], peer: readonly number[]): number[] {
  return values.map((value, round) => value / (peer[round] ?? NaN));
}

/**
 * Lets each contender be first once.
 *
 * @param items The contenders.
 * @param round Which round it is, from 0.
 * @returns The same, in the order of this round.
 */
export function rotate<Item>(items: readonly Item[], round: number): Item[] {
  const start = round % (items.length || 1);
  return [...items.slice(start), ...items.slice(0, start)];
}
