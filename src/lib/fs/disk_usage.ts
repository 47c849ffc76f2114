import { join } from "@std/path";
import { codeOf } from "./files.ts";

const BLOCK = 512;

/** A file or a folder on disk, whatever names it has. */
interface Inode {
  /** What it takes on disk, in bytes. */
  readonly bytes: number;
  /** How many names it has on its file system. */
  readonly names: number;
  /** How many of them were found. */
  found: number;
}

/** What is on disk below a path, by inode. */
export type DiskUsage = ReadonlyMap<string, Inode>;

/** Takes what cannot be looked at: a path that is too long, a folder that is closed. */
export type OnUnseen = (path: string, error: Error) => void;

/**
 * Finds out what a path takes on disk.
 *
 * @param path A file, or a folder with all that is in it; links are not followed.
 * @param onUnseen Takes what cannot be looked at, and is not counted.
 * @returns Each inode once, however many names it has there; none where nothing is.
 */
export async function measure(path: string, onUnseen: OnUnseen = () => {}): Promise<DiskUsage> {
  const usage = new Map<string, Inode>();
  await addTo(usage, path, onUnseen);
  return usage;
}

async function addTo(
  usage: Map<string, Inode>,
  path: string,
  onUnseen: OnUnseen,
): Promise<void> {
  const look = <Value>(action: () => Promise<Value>) => whereSeen(path, action, onUnseen);
  const info = await look(() => Deno.lstat(path));
  if (!info) return;
  const key = info.ino === null ? path : `${info.dev}:${info.ino}`;
  const known = usage.get(key);
  if (known) known.found++;
  else {
    const bytes = info.blocks === null ? info.size : info.blocks * BLOCK;
    // The names that a folder has beside its own are those of its parent and its children.
    const names = info.isDirectory ? 1 : info.nlink ?? 1;
    usage.set(key, { bytes, names, found: 1 });
  }
  if (!info.isDirectory) return;
  const entries = await look(() => Array.fromAsync(Deno.readDir(path)));
  await Promise.all((entries ?? []).map(({ name }) => addTo(usage, join(path, name), onUnseen)));
}

/** What stands in a name for bytes that are not UTF-8, so that it cannot be asked for. */
const ODD = "\ufffd";

/** What runs beside this one may remove things. */
async function whereSeen<Value>(
  path: string,
  look: () => Promise<Value>,
  onUnseen: OnUnseen,
): Promise<Value | undefined> {
  try {
    return await look();
  } catch (error) {
    const code = codeOf(error) ?? "";
    if (code === "ENOENT") {
      if (path.includes(ODD)) onUnseen(path, new Error("its name is not UTF-8"));
      return undefined;
    }
    if (!(error instanceof Error) || !["ENAMETOOLONG", "EACCES", "EPERM"].includes(code)) {
      throw error;
    }
    onUnseen(path, error);
    return undefined;
  }
}

/**
 * The size of what is on disk.
 *
 * @param usage What is there.
 * @returns Its size in bytes, hard links once.
 */
export function sizeOnDisk(usage: DiskUsage): number {
  return usage.values().reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Counts what is freed as one thing goes after the other: a file, with the last of its names. */
export class Release {
  readonly #gone = new Map<string, number>();

  /**
   * Takes away a thing.
   *
   * @param usage What it takes on disk.
   * @returns What is freed by that, in bytes.
   */
  add(usage: DiskUsage): number {
    let freed = 0;
    for (const [key, { bytes, names, found }] of usage) {
      const gone = (this.#gone.get(key) ?? 0) + found;
      this.#gone.set(key, gone);
      if (gone >= names) freed += bytes;
    }
    return freed;
  }
}
