/** How many paths are named. */
const SHOWN = 3;

/** Counts paths, and names the first few of them. */
export class PathSample {
  readonly #paths: string[] = [];
  #count = 0;

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /**
   * Counts a path.
   *
   * @param path The path.
   */
  add(path: string): void {
    if (this.#count++ < SHOWN) this.#paths.push(path);
  }

  /**
   * Names them.
   *
   * @returns Such as `"a", "b", "c" and 5 more`.
   */
  toString(): string {
    const more = this.#count - this.#paths.length;
    const named = this.#paths.map((path) => JSON.stringify(path)).join(", ");
    return more > 0 ? `${named} and ${more} more` : named;
  }
}
