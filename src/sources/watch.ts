import { join } from "@std/path";

/** What keeps an eye on a download. */
export interface Watch extends AsyncDisposable {
  /** Aborts when the download has stalled or cannot be watched, or when the run is interrupted. */
  readonly signal: AbortSignal;
  /** Whether the download has stalled. */
  readonly hasStalled: boolean;
  /** What `onBytes` has thrown, which ends the download too. */
  readonly error: unknown;
}

/** What a download fills. */
export interface Watched {
  /** Folder of all that it writes, temporary files too; as long as it changes, something arrives. */
  readonly work: string;
  /** Folder of what it is for. */
  readonly image?: string | undefined;
}

const INTERVAL_MS = 200;

/**
 * Watches folders fill, as skopeo tells no progress when it is not on a terminal.
 *
 * @param folders What is written to; it may not be there yet.
 * @param stallTimeout How long nothing may arrive, in ms.
 * @param signal Of the run.
 * @param onBytes Takes how many bytes of the image are there, each time that they have become more.
 * @returns The watch; dispose of it when the download has ended.
 */
export function watchFolders(
  { work, image }: Watched,
  stallTimeout: number,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Watch {
  const stall = new AbortController();
  const broken = new AbortController();
  let most = 0;
  let before = -1;
  let last = performance.now();
  let looking: Promise<void> | undefined;
  const look = async () => {
    const [all, bytes] = await Promise.all([sizeOfTree(work), image ? sizeOfTree(image) : 0]);
    if (bytes > most) onBytes(most = bytes);
    if (all !== before) last = performance.now();
    else if (performance.now() - last > stallTimeout) stall.abort();
    before = all;
  };
  const timer = setInterval(() => {
    looking ??= look()
      .catch((error) => broken.abort(error))
      .finally(() => looking = undefined);
  }, Math.min(INTERVAL_MS, stallTimeout));
  return {
    signal: AbortSignal.any([signal, stall.signal, broken.signal]),
    get hasStalled() {
      return stall.signal.aborted;
    },
    get error() {
      return broken.signal.reason;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await looking;
    },
  };
}

/** Names come and go while skopeo works: what cannot be read counts for nothing. */
async function sizeOfTree(folder: string): Promise<number> {
  let size = 0;
  try {
    for await (const { name, isFile, isDirectory } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (isFile) size += await Deno.stat(path).then(({ size }) => size, () => 0);
      else if (isDirectory) size += await sizeOfTree(path);
    }
  } catch {
    return size;
  }
  return size;
}
