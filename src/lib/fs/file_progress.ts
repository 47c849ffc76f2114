/** How far a file has grown that somebody else writes. */
export class Growth {
  #size = 0;
  #isWhole = false;
  #changed = Promise.withResolvers<void>();

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
   * Waits for bytes.
   *
   * @param offset Where they have to begin.
   * @returns The file's size, which is more than the offset, or not where that was all.
   */
  async beyond(offset: number): Promise<number> {
    while (this.#size <= offset && !this.#isWhole) await this.#changed.promise;
    return this.#size;
  }
}
