import type { PassedEvent } from "./messages.ts";
import { newest } from "./passed.ts";

/** Events are gathered for so long, in ms: each message costs as much as a job. */
const GATHER = 200;

/** Sends events, several at a time. */
export class Teller {
  #events: PassedEvent[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sent: Promise<void> = Promise.resolve();

  /**
   * @param send Sends them; what it throws is left out, as events are no results.
   */
  constructor(private readonly send: (events: PassedEvent[]) => Promise<void>) {}

  /**
   * Tells an event soon.
   *
   * @param event The event.
   */
  tell(event: PassedEvent): void {
    this.#events.push(event);
    this.#timer ??= setTimeout(() => void this.flush(), GATHER);
  }

  /** Tells all that was not told yet. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const events = newest(this.#events);
    this.#events = [];
    if (events.length > 0) {
      this.#sent = this.#sent.then(() => this.send(events)).catch(() => {});
    }
    return this.#sent;
  }
}
