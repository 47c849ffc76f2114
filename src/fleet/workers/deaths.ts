import type { WorkerEvent } from "../../events.ts";

/** As a job dies once beside one that kills its worker, and is done alone from then on. */
const ODD = 2;

/** Counts workers that have died, by what they did, so that no job is blamed for what befalls all. */
export class Deaths {
  /** Keys of what is under way. */
  readonly #begun = new Set<string>();
  readonly #of = new Map<string, number>();

  /**
   * Takes what a worker tells.
   *
   * @param event Its event; what begins again and has not ended was lost.
   */
  take({ status, key }: Pick<WorkerEvent, "status" | "key">): void {
    if (key === undefined) return;
    if (status !== "begun") {
      this.#begun.delete(key);
      return;
    }
    if (this.#begun.has(key)) this.#of.set(key, (this.#of.get(key) ?? 0) + 1);
    this.#begun.add(key);
  }

  /**
   * Tells whether workers die of anything.
   *
   * @param key Key of a job.
   * @returns How many other jobs have lost so many workers that this one cannot be to blame.
   */
  besides(key: string): number {
    return [...this.#of].filter(([other, deaths]) => other !== key && deaths >= ODD).length;
  }
}
