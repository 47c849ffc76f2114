/**
 * Lets so many things happen at a time. Of those that wait, one of that kind is next of which the
 * fewest are under way: what one kind waits for does not keep the others.
 */
export class FairLimit {
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #running = new Map<string, number>();
  #free: number;

  /**
   * @param most How many at a time.
   */
  constructor(most: number) {
    this.#free = most;
  }

  /**
   * Does something when its turn has come.
   *
   * @param kind Its kind.
   * @param action Does it.
   * @returns What the action returns.
   */
  async run<Value>(kind: string, action: () => Promise<Value>): Promise<Value> {
    await new Promise<void>((start) => {
      const queue = this.#waiting.get(kind) ?? [];
      this.#waiting.set(kind, queue);
      queue.push(start);
      // What is asked for at the same moment is there to choose from.
      queueMicrotask(() => this.#startNext());
    });
    try {
      return await action();
    } finally {
      this.#running.set(kind, this.#count(kind) - 1);
      this.#free++;
      this.#startNext();
    }
  }

  #startNext(): void {
    const [kind] = [...this.#waiting.keys()].sort((a, b) => this.#count(a) - this.#count(b));
    if (this.#free === 0 || kind === undefined) return;
    const queue = this.#waiting.get(kind);
    const start = queue?.shift();
    if (!queue?.length) this.#waiting.delete(kind);
    this.#free--;
    this.#running.set(kind, this.#count(kind) + 1);
    start?.();
  }

  #count(kind: string): number {
    return this.#running.get(kind) ?? 0;
  }
}
