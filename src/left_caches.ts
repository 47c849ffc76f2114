import type { Cache } from "../config/mod.ts";
import { InterruptedError, StoreError, StowageError } from "./errors/mod.ts";
import type { Emit } from "./events.ts";
import { PlaceError } from "./transports/absence.ts";

/** What a run does with a cache. */
export type CacheUse = "read" | "write";

/** Which caches have failed in a run: such a one is not used again, and that is told once. */
export class LeftCaches {
  readonly #left = { read: new Set<Cache>(), write: new Set<Cache>() };

  /**
   * @param emit Takes notices.
   */
  constructor(private readonly emit: Emit) {}

  /**
   * Tells whether a cache has failed.
   *
   * @param cache The cache.
   * @param use What it is to be used for.
   * @returns Whether it has.
   */
  has(cache: Cache, use: CacheUse): boolean {
    return this.#left[use].has(cache);
  }

  /**
   * Passes over a cache that does not give, or does not take, what it should. One that gives what is
   * wrong may be written to, as that puts it right; one that is away may not.
   *
   * @param cache The cache.
   * @param error What has failed; one that only does not have something has not.
   * @param use What the cache was used for.
   * @returns Whether the run can go on without the cache.
   */
  passOver(cache: Cache, error: unknown, use: CacheUse): boolean {
    const isPlaces = error instanceof PlaceError;
    const isOwn = error instanceof InterruptedError || error instanceof StoreError;
    if (isOwn || !(isPlaces || error instanceof StowageError)) return false;
    if ((isPlaces && error.reason === "unknown") || this.has(cache, use)) return true;
    this.#left[use].add(cache);
    if (use === "read" && isPlaces) this.#left.write.add(cache);
    const told = use === "read" ? "left out" : "not written";
    const message = `the cache ${cache.repository} is ${told}: ${error.message}`;
    this.emit({ type: "notice", code: "CACHE_LEFT", message });
    return true;
  }
}
