import type { Emit, TrafficEvent } from "../../events.ts";

type Traffic = Omit<TrafficEvent, "type" | "left" | "unknown">;

const NONE: Traffic = { bytes: 0, fetched: 0, shared: 0, resumed: 0, total: 0, rate: 0 };

/** What comes to all workers together. */
export class TotalTraffic {
  readonly #of = new Map<string, Traffic>();

  /**
   * @param emit Takes the sum.
   */
  constructor(private readonly emit: Emit) {}

  /**
   * Takes what comes to one.
   *
   * @param worker Its name.
   * @param traffic All that has come to it in this run.
   */
  take(worker: string, traffic: Traffic): void {
    this.#of.set(worker, traffic);
    const sum = [...this.#of.values()].reduce((a, b) => ({
      bytes: a.bytes + b.bytes,
      fetched: a.fetched + b.fetched,
      shared: a.shared + b.shared,
      resumed: a.resumed + b.resumed,
      total: a.total + b.total,
      rate: a.rate + b.rate,
    }), NONE);
    const left = sum.rate > 0 ? Math.max(0, sum.total - sum.bytes) / sum.rate : undefined;
    this.emit({ type: "traffic", ...sum, ...(left !== undefined && { left }) });
  }
}
