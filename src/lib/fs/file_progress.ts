/** How far a file has grown that somebody else writes. */
export class FileProgress {
  #size = 0;
  #isWhole = false;
  #changed = Promise.withResolvers<void>();

  /** The file's size, in bytes. */
  get size(): number {
    return this.#size;
  }

  /** Whether that is all. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Waits until that is all. */
  async whole(): Promise<void> {
    while (!this.#isWhole) await this.changed();
  }

  /**
   * Notes that the file has grown.
   *
   * @param size Its size, in bytes.
   * @param isWhole Whether that is all.
   */
  grow(size: number, isWhole = false): void {
    this.#size = size;
    this.#isWhole ||= isWhole;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /**
   * Waits until more is known.
   *
   * @returns Fulfilled the next time that something is noted.
   */
  changed(): Promise<void> {
    return this.#changed.promise;
  }

  /**
   * Waits for bytes.
   *
   * @param offset Where they have to begin.
   * @returns The file's size, which is more than the offset, or not where that was all.
   */
  async beyond(offset: number): Promise<number> {
    while (this.#size <= offset && !this.#isWhole) await this.changed();
    return this.#size;
  }
}
