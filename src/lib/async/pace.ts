/** How patient a run is with places. */
export interface Patience {
  /** How long a place may give no byte, in ms. */
  readonly stallTimeout: number;
  /** How many bytes a second it has to give at least, over as long a time; 0 if it need not. */
  readonly minRate: number;
}

/** Finds out whether bytes come too slowly. */
export class Pace {
  #bytes = 0;
  #waited = 0;

  /**
   * @param patience How slow they may be.
   */
  constructor(private readonly patience: Patience) {}

  /**
   * Counts bytes.
   *
   * @param bytes How many have come.
   * @param waited How long they were waited for, in ms.
   * @returns Whether too few have come, once that can be said.
   */
  isTooSlow(bytes: number, waited: number): boolean {
    const { stallTimeout, minRate } = this.patience;
    this.#bytes += bytes;
    this.#waited += waited;
    if (this.#waited < stallTimeout) return false;
    const isTooSlow = this.#bytes * 1000 < minRate * this.#waited;
    this.restart();
    return isTooSlow;
  }

  /** Forgets what was counted, as something else is waited for. */
  restart(): void {
    this.#bytes = this.#waited = 0;
  }
}
