/** A part of a larger program: it fetches what is missing, within a budget. */

import { type Config, type ImageResult, type Listener, stowage } from "@stowage/stowage";

/** What `sync` takes. */
export interface SyncOptions {
  /** Folder of the store. */
  readonly store: string;
  /** How many bytes it may download. */
  readonly budget: number;
  /** Takes how much has arrived, from 0 to 1. */
  readonly onProgress?: (name: string, done: number) => void;
  /** Ends it; what is in the store by then stays. */
  readonly signal?: AbortSignal;
}

/**
 * Fetches what is missing.
 *
 * @param config The config.
 * @param options The store, the budget, progress and cancellation.
 * @returns The images, all of them in the store.
 * @throws {RangeError} If it would cost more than the budget; nothing is downloaded then.
 */
export async function sync(config: Config, options: SyncOptions): Promise<readonly ImageResult[]> {
  const { store, budget, onProgress, signal } = options;
  const images = stowage(config, { store });
  const run = signal ? { signal } : {};

  const { bytes } = await images.plan(run);
  if (bytes > budget) throw new RangeError(`It would cost ${bytes} bytes, not ${budget}`);

  const onEvent: Listener = (event) => {
    if (event.type === "progress" && event.total) {
      onProgress?.(event.name, event.bytes / event.total);
    } else if (event.type === "image") {
      onProgress?.(event.name, 1);
    }
  };
  return (await images.fetch({ ...run, onEvent })).images;
}
