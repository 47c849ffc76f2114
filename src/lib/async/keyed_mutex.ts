/** Lets what has the same key happen one after the other. */
export class KeyedMutex {
  readonly #last = new Map<string, Promise<void>>();

  /**
   * Waits until all that came before under the same key has ended.
   *
   * @param key The key.
   * @param action What is done then.
   * @returns What the action returns.
   */
  async take<Value>(key: string, action: () => Promise<Value>): Promise<Value> {
    const { promise: turn, resolve: end } = Promise.withResolvers<void>();
    const before = this.#last.get(key);
    this.#last.set(key, turn);
    try {
      await before;
      return await action();
    } finally {
      end();
      if (this.#last.get(key) === turn) this.#last.delete(key);
    }
  }
}
