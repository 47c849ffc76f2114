import { join } from "@std/path";

/** What keeps an eye on a download. */
export interface Watch extends Disposable {
  /** Aborts when the download has stalled, or when the run is interrupted. */
  readonly signal: AbortSignal;
  /** Whether the download has stalled. */
  readonly hasStalled: boolean;
}

const INTERVAL_MS = 200;

/**
 * Watches a folder fill, as skopeo tells no progress when it is not on a terminal.
 *
 * @param folder The folder that is written to; it may not be there yet. `undefined` only times.
 * @param stallTimeout How long nothing may arrive, in ms.
 * @param signal Of the run.
 * @param onBytes Takes how many bytes are there, each time that they have become more.
 * @returns The watch; dispose of it when the download has ended.
 */
export function watchFolder(
  folder: string | undefined,
  stallTimeout: number,
  signal: AbortSignal,
  onBytes?: (bytes: number) => void,
): Watch {
  const stall = new AbortController();
  let bytes = 0;
  let last = performance.now();
  const look = async () => {
    const now = folder ? await sizeOfFolder(folder) : 0;
    if (now > bytes) {
      bytes = now;
      last = performance.now();
      onBytes?.(bytes);
    } else if (performance.now() - last > stallTimeout) {
      stall.abort();
    }
  };
  const timer = setInterval(look, Math.min(INTERVAL_MS, stallTimeout));
  return {
    signal: AbortSignal.any([signal, stall.signal]),
    get hasStalled() {
      return stall.signal.aborted;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

async function sizeOfFolder(folder: string): Promise<number> {
  let size = 0;
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      // Names come and go while skopeo works.
      if (isFile) size += await Deno.stat(join(folder, name)).then(({ size }) => size, () => 0);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return size;
}
