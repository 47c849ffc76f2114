/** What a worker does side by side, and what it does alone. */
export class Turns {
  readonly #under = new Set<Promise<unknown>>();
  #free: Promise<void> = Promise.resolve();

  /**
   * Does something side by side with others, after all that came before it to be done alone.
   *
   * @param action Does it; it is told whether nothing else is under way.
   * @returns What it returns.
   */
  async together<Value>(action: (isFirst: boolean) => Promise<Value>): Promise<Value> {
    await this.#free;
    const working = action(this.#under.size === 0);
    this.#under.add(working);
    try {
      return await working;
    } finally {
      this.#under.delete(working);
    }
  }

  /**
   * Does something when all that is under way has ended, and nothing beside it.
   *
   * @param action Does it.
   * @returns What it returns.
   */
  async alone<Value>(action: () => Promise<Value>): Promise<Value> {
    const before = this.#free;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#free = promise;
    try {
      await before;
      await Promise.allSettled(this.#under);
      return await action();
    } finally {
      resolve();
    }
  }
}
