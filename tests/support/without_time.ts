import type { RunEvent, StowageEvent } from "@stowage/stowage";

/** An event without what no test can expect. */
export function withoutTime({ time: _, ...event }: StowageEvent): RunEvent {
  return event;
}
