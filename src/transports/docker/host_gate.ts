import { abortable } from "@std/async/abortable";
import { delay } from "@std/async/delay";
import pLimit, { type LimitFunction } from "p-limit";
import { InterruptedError } from "../../errors/mod.ts";

/** A host that asks for hours is not waited for; the run would rather fail, or go elsewhere. */
const MAX_PAUSE_MS = 60_000;

/** Holds requests back, for each host by itself. */
export class HostGate {
  readonly #limits = new Map<string, LimitFunction>();
  /** By the clock that nobody sets, in milliseconds. */
  readonly #closedUntil = new Map<string, number>();
  /** Hosts that have asked for more than they are let. */
  readonly #spent = new Set<string>();

  /**
   * @param perHost How many {@linkcode enter} at once, for each host.
   * @param onSlowDown Told of a pause when it begins: the host, and its length in milliseconds.
   * @param maxPause How long a pause is at most, in milliseconds.
   */
  constructor(
    private readonly perHost: number,
    private readonly onSlowDown?: (host: string, ms: number) => void,
    private readonly maxPause = MAX_PAUSE_MS,
  ) {}

  /**
   * Waits for one of the host's places.
   *
   * @param host The host.
   * @param signal Ends the waiting.
   * @returns Gives the place back.
   * @throws {InterruptedError} If the signal is aborted.
   */
  async enter(host: string, signal: AbortSignal): Promise<() => void> {
    const limit = this.#limits.get(host) ?? pLimit(Math.max(1, this.perHost));
    this.#limits.set(host, limit);
    const { promise: entered, resolve: enter } = Promise.withResolvers<() => void>();
    limit(() => new Promise<void>((leave) => enter(leave)));
    try {
      return await abortable(entered, signal);
    } catch {
      entered.then((leave) => leave());
      throw new InterruptedError(signal.reason);
    }
  }

  /**
   * Waits until the host takes requests again.
   *
   * @param host The host.
   * @param signal Ends the waiting.
   * @throws {InterruptedError} If the signal is aborted.
   */
  async wait(host: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      if (signal.aborted) throw new InterruptedError(signal.reason);
      const left = (this.#closedUntil.get(host) ?? 0) - performance.now();
      if (left <= 0) return;
      await delay(left, { signal }).catch(() => {});
    }
  }

  /**
   * Lets no request to a host pass for some time.
   *
   * @param host The host.
   * @param ms For how long, in milliseconds; a minute at most.
   * @returns Whether it is worth asking again then: who asks for more than a minute gets it once.
   */
  pause(host: string, ms: number): boolean {
    const pause = Math.min(ms, this.maxPause);
    const now = performance.now();
    const before = this.#closedUntil.get(host) ?? 0;
    if (ms > this.maxPause && before <= now) {
      if (this.#spent.has(host)) return false;
      this.#spent.add(host);
    }
    if (now + pause <= Math.max(before, now)) return true;
    this.#closedUntil.set(host, now + pause);
    if (before <= now) this.onSlowDown?.(host, pause);
    return true;
  }
}
