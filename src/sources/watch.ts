import { join } from "@std/path";
import { Pace, type Patience } from "../lib/async/pace.ts";

/** What keeps an eye on a download. */
export interface Watch extends AsyncDisposable {
  /** Aborts when the download has stalled or cannot be watched, or when the run is interrupted. */
  readonly signal: AbortSignal;
  /** How much has arrived of a download that has stalled, in words. */
  readonly stalled: string | undefined;
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
 * @param patience How slow it may be.
 * @param signal Of the run.
 * @param onBytes Takes how many bytes of the image are there, each time that they have become more.
 * @returns The watch; dispose of it when the download has ended.
 */
export function watchFolders(
  { work, image }: Watched,
  patience: Patience,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Watch {
  const stall = new AbortController();
  const broken = new AbortController();
  let most = 0;
  let before: Size = { files: 0, bytes: -1 };
  let last = performance.now();
  let change = last;
  const pace = new Pace(patience);
  let looking: Promise<void> | undefined;
  const look = async () => {
    const [all, { bytes }] = await Promise.all([sizeOf(work), image ? sizeOf(image) : NOTHING]);
    if (bytes > most) onBytes(most = bytes);
    const now = performance.now();
    if (all.bytes !== before.bytes) change = now;
    // What begins or ends may have had to be waited for.
    if (all.files !== before.files) pace.restart();
    const isTooSlow = pace.isTooSlow(Math.max(all.bytes - before.bytes, 0), now - last);
    if (now - change > patience.stallTimeout) stall.abort("nothing");
    else if (isTooSlow && all.bytes !== before.bytes) {
      stall.abort(`fewer than ${patience.minRate} bytes a second`);
    }
    [before, last] = [all, now];
  };
  const timer = setInterval(() => {
    looking ??= look()
      .catch((error) => broken.abort(error))
      .finally(() => looking = undefined);
  }, Math.min(INTERVAL_MS, patience.stallTimeout));
  return {
    signal: AbortSignal.any([signal, stall.signal, broken.signal]),
    get stalled() {
      return stall.signal.reason;
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

/** What is in a folder and those below it. */
interface Size {
  readonly files: number;
  readonly bytes: number;
}

const NOTHING: Size = { files: 0, bytes: 0 };

/** Names come and go while skopeo works: what cannot be read counts for nothing. */
async function sizeOf(folder: string): Promise<Size> {
  let { files, bytes } = NOTHING;
  try {
    for await (const { name, isFile, isDirectory } of Deno.readDir(folder)) {
      const path = join(folder, name);
      const one = isFile
        ? await Deno.stat(path).then(({ size }) => ({ files: 1, bytes: size }), () => NOTHING)
        : isDirectory
        ? await sizeOf(path)
        : NOTHING;
      files += one.files;
      bytes += one.bytes;
    }
  } catch {
    // It is gone again.
  }
  return { files, bytes };
}
