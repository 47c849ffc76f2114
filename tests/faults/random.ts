/** Choices that come again with the same seed. */
export class Random {
  #state: number;

  /**
   * Begins a series.
   *
   * @param seed A whole number; another one is another series.
   */
  constructor(readonly seed: number) {
    this.#state = seed | 0;
  }

  /** A number from 0 to below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** Whether it happens, in that share of cases. */
  chance(share: number): boolean {
    return this.next() < share;
  }

  /** One of them. */
  pick<Value>(all: readonly [Value, ...Value[]]): Value {
    return all[this.int(0, all.length - 1)] ?? all[0];
  }

  /** Each of them in half of the cases, but at least one, in any order. */
  some<Value>(all: readonly [Value, ...Value[]]): Value[] {
    const chosen = all.filter(() => this.chance(0.5));
    return chosen.length > 0 ? this.shuffle(chosen) : [this.pick(all)];
  }

  /** All of them, in any order. */
  shuffle<Value>(all: readonly Value[]): Value[] {
    return all.map((value) => ({ value, at: this.next() }))
      .sort((one, other) => one.at - other.at).map(({ value }) => value);
  }
}
