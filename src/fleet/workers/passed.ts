import type { ToldEvent } from "../../events.ts";
import type { PassedEvent } from "./messages.ts";

/**
 * Chooses what of an event is told elsewhere. What became of items is told by the jobs.
 *
 * @param event An event of a worker.
 * @returns The event as it is sent; `undefined` if it is of no use elsewhere.
 */
export function passedOn(event: ToldEvent): PassedEvent | undefined {
  switch (event.type) {
    case "notice": {
      const { type, code, message, keys } = event;
      return { type, code, message, ...(keys && { keys: [...keys] }) };
    }
    case "resolved": {
      const { type, key, name, from, digest } = event;
      return { type, key, name, from, digest };
    }
    case "progress": {
      const { type, key, name, bytes, fetched, shared, resumed, total } = event;
      const known = total === undefined ? {} : { total };
      return { type, key, name, bytes, fetched, shared, resumed, ...known };
    }
    case "traffic": {
      const { type, bytes, fetched, shared, resumed, total, rate } = event;
      return { type, bytes, fetched, shared, resumed, total, rate };
    }
    case "retry": {
      const { type, key, name, from, attempt, attempts, reason } = event;
      return { type, key, name, from, attempt, attempts, reason };
    }
    case "absent": {
      const { type, key, name, from, reason, message } = event;
      return { type, key, name, from, reason, message };
    }
    case "image": {
      const { type, key, name, status, id, digest, manifest, platform, path, size, from } = event;
      const image = { type, key, name, status, id, digest, manifest, platform, path, size };
      return { ...image, ...(from !== undefined && { from }) };
    }
    case "stage-start": {
      const { type, key, name } = event;
      return { type, key, name };
    }
    case "stage": {
      const { type, key, name, status, id } = event;
      return { type, key, name, status, id };
    }
    case "worker": {
      const { type, status, worker, queue, run, key } = event;
      if (status === "waiting" || run === undefined || key === undefined) return undefined;
      return { type, status, worker, queue, run, key };
    }
    default:
      return undefined;
  }
}

/**
 * Of events that follow each other, those that say how far something is are replaced by the last.
 *
 * @param events The events, in order.
 * @returns Those that are worth telling.
 */
export function newest(events: readonly PassedEvent[]): PassedEvent[] {
  const last = new Map(events.map((event, at) => [measured(event) ?? at, at]));
  return events.filter((event, at) => last.get(measured(event) ?? at) === at);
}

function measured(event: PassedEvent): string | undefined {
  if (event.type === "traffic") return event.type;
  return event.type === "progress" ? event.key : undefined;
}
