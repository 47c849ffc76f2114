import type { CarriedBytes, Emit } from "../events.ts";

const INTERVAL_MS = 200;

/** Counts the bytes that a run carries, and tells of them, at most five times a second. */
export class Meter {
  readonly #counts = { sent: 0, mounted: 0, present: 0 };
  #told = -Infinity;

  /**
   * @param emit Takes events.
   * @param total How many bytes there are, as far as that is known yet.
   * @param now Tells the time, in ms.
   */
  constructor(
    private readonly emit: Emit,
    private total: number,
    private readonly now = () => performance.now(),
  ) {}

  /** What was counted so far. */
  get counts(): CarriedBytes {
    return { ...this.#counts };
  }

  /**
   * Says that there are more bytes than was known.
   *
   * @param bytes How many more.
   */
  expect(bytes: number): void {
    this.total += bytes;
  }

  /**
   * Counts bytes.
   *
   * @param way How they came to be where they are.
   * @param bytes How many; fewer than 0 takes back what was lost.
   */
  add(way: keyof CarriedBytes, bytes: number): void {
    this.#counts[way] += bytes;
    const { sent, mounted, present } = this.#counts;
    const done = sent + mounted + present;
    const now = this.now();
    if (now - this.#told < INTERVAL_MS && done < this.total) return;
    this.#told = now;
    this.emit({ type: "carrying", bytes: done, total: this.total, ...this.#counts });
  }
}
