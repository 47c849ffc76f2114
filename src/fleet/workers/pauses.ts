import type { Fleet } from "../../run.ts";
import type { ControlMessage } from "./messages.ts";

type Pause = ControlMessage & { readonly kind: "pause" };

/** What registries ask of one worker, all of them do. */
export class Pauses implements Fleet {
  readonly #listeners = new Set<(host: string, ms: number) => void>();
  /** When each host may be asked again, in ms since 1970. */
  readonly #until = new Map<string, number>();

  /**
   * @param worker Name of this worker.
   * @param send Tells the others.
   */
  constructor(
    private readonly worker: string,
    private readonly send: (pause: Pause) => void,
  ) {}

  pause(host: string, ms: number): void {
    const until = Math.round(Date.now() + ms);
    if (until <= (this.#until.get(host) ?? 0)) return;
    this.#until.set(host, until);
    this.send({ kind: "pause", host, ms: Math.round(ms), until, from: this.worker });
    for (const listener of this.#listeners) listener(host, ms);
  }

  /**
   * Takes what another worker has told.
   *
   * @param pause What it has told.
   */
  take({ host, ms, until, from }: Pause): void {
    if (from === this.worker) return;
    // Clocks differ: nobody waits for longer than was asked for.
    const left = Math.min(until - Date.now(), ms);
    if (left <= 0) return;
    this.#until.set(host, Math.max(this.#until.get(host) ?? 0, until));
    for (const listener of this.#listeners) listener(host, left);
  }

  listen(onPause: (host: string, ms: number) => void): Disposable {
    this.#listeners.add(onPause);
    for (const [host, until] of this.#until) {
      const left = until - Date.now();
      if (left > 0) onPause(host, left);
    }
    return { [Symbol.dispose]: () => void this.#listeners.delete(onPause) };
  }
}
