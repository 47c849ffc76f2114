import type { Cache } from "../../config/mod.ts";
import { Meter } from "../carry/meter.ts";
import { Sender } from "../carry/sender.ts";
import type { Run } from "../run.ts";
import { reachCache } from "../sources/caches.ts";
import { Registries } from "../transports/docker/registries.ts";

/**
 * Opens a cache to write to.
 *
 * @param cache The cache.
 * @param run The run.
 * @param meter Counts bytes; nobody does if absent.
 * @returns Writes to it; nothing is asked yet.
 */
export function senderTo(cache: Cache, run: Run, meter: Meter = new Meter(() => {}, 0)): Sender {
  return new Sender(new Registries(run), () => reachCache(cache, run), run, meter);
}
