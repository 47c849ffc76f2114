const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

/** What comes next: a number that has to be read, or bytes that are passed over. */
type Part = "magic" | "descriptor" | "block" | "skip-size" | "header" | "content" | "end" | "skip";

const NUMBERS: readonly Part[] = ["magic", "descriptor", "block", "skip-size"];

/**
 * Walks over the frames of zstd, https://www.rfc-editor.org/rfc/rfc8878.html#section-3. Its program
 * takes frames of other formats among them, which engines do not.
 */
export class ZstdFrames {
  #part: Part = "magic";
  /** How many bytes of it are to come. */
  #left = 4;
  /** The number, as far as it was read, the lowest byte first. */
  #number = 0;
  #bits = 0;
  #isLast = false;
  #hasChecksum = false;

  /**
   * Takes the next bytes.
   *
   * @param chunk The bytes.
   * @returns Whether there is nothing but zstd so far.
   */
  walk(chunk: Uint8Array): boolean {
    for (let at = 0; at < chunk.length || this.#left === 0;) {
      if (NUMBERS.includes(this.#part)) {
        for (; this.#left > 0 && at < chunk.length; this.#left--, this.#bits += 8) {
          this.#number += (chunk[at++] ?? 0) * 2 ** this.#bits;
        }
      } else {
        const step = Math.min(this.#left, chunk.length - at);
        this.#left -= step;
        at += step;
      }
      if (this.#left > 0) return true;
      const next = this.#next(this.#number);
      if (!next) return false;
      [this.#part, this.#left] = next;
      this.#number = this.#bits = 0;
    }
    return true;
  }

  /** What comes behind a part, and how many bytes it has. */
  #next(number: number): readonly [Part, number] | undefined {
    switch (this.#part) {
      case "magic":
        if (number === MAGIC) return ["descriptor", 1];
        return (number & ~0xf) >>> 0 === SKIPPABLE ? ["skip-size", 4] : undefined;
      case "skip-size":
        return ["skip", number];
      case "descriptor": {
        const isSingle = (number & 0x20) !== 0;
        const size = [isSingle ? 1 : 0, 2, 4, 8][number >> 6] ?? 0;
        const dictionary = [0, 1, 2, 4][number & 3] ?? 0;
        this.#hasChecksum = (number & 4) !== 0;
        return ["header", (isSingle ? 0 : 1) + dictionary + size];
      }
      case "block":
        this.#isLast = (number & 1) !== 0;
        // A block of one byte that is repeated has just that byte.
        return ["content", ((number >> 1) & 3) === 1 ? 1 : number >> 3];
      case "header":
        return ["block", 3];
      case "content":
        if (!this.#isLast) return ["block", 3];
        return ["end", this.#hasChecksum ? 4 : 0];
      case "end":
      case "skip":
        return ["magic", 4];
    }
  }
}
