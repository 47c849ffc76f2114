import { join } from "@std/path";
import { codeOf, list, lockFolder } from "../lib/fs/files.ts";
import { removeTree } from "../lib/fs/remove_tree.ts";

/** A folder in the store's `tmp/` that lives no longer than the process that made it. */
export interface Workspace extends AsyncDisposable {
  /** The folder. */
  readonly path: string;
}

/**
 * Makes a workspace. An advisory lock on the folder says that its process lives; the kernel drops
 * it however the process ends.
 *
 * @param tmp The store's `tmp/`.
 * @returns The workspace; dispose of it to remove the folder.
 */
export async function openWorkspace(tmp: string): Promise<Workspace> {
  while (true) {
    const path = join(tmp, workspaceName());
    await Deno.mkdir(path, { mode: 0o700 });
    const folder = await lockIfThere(path);
    if (!folder) continue; // another process took it for dead, before it was locked
    return {
      path,
      [Symbol.asyncDispose]: async () => {
        // What cannot be removed now goes with the next run.
        await removeTree(path).catch(() => {});
        folder.close();
      },
    };
  }
}

async function lockIfThere(path: string): Promise<Deno.FsFile | undefined> {
  let folder: Deno.FsFile | undefined;
  try {
    folder = await lockFolder(path);
    const [held, found] = await Promise.all([folder.stat(), Deno.lstat(path)]);
    if (held.ino === found.ino) return folder;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  folder?.close();
  return undefined;
}

/** It is gone, not ours, or a program that has outlived its process still writes there. */
const LEFT_ALONE = ["ENOENT", "EACCES", "EPERM", "EROFS", "ENOTEMPTY", "EBUSY"];

/**
 * Makes a name for something in `tmp/`; what a dead process has left there is known by it.
 *
 * @returns A name that nothing else has.
 */
export function workspaceName(): string {
  return `stowage-${crypto.randomUUID()}`;
}

/**
 * Tells by its name whether something in `tmp/` is stowage's. osbuild and others have their own
 * there, which nothing says to be in use.
 *
 * @param name The name.
 * @returns Whether it is.
 */
export function isWorkspace(name: string): boolean {
  return /^stowage-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name);
}

/**
 * Removes what processes that ended too early left behind.
 *
 * @param tmp The store's `tmp/`.
 * @returns How many workspaces were removed; those of living processes are not touched.
 */
export async function sweepWorkspaces(tmp: string): Promise<number> {
  let removed = 0;
  for (const name of (await list(tmp)).filter(isWorkspace)) {
    const path = join(tmp, name);
    try {
      const { isDirectory, isFile } = await Deno.lstat(path);
      // Nobody holds a pipe or a link, and opening it would wait, or lead elsewhere.
      using folder = isDirectory || isFile ? await Deno.open(path) : undefined;
      if (folder && !await folder.tryLock(true)) continue;
      await removeTree(path);
      removed++;
    } catch (error) {
      if (!LEFT_ALONE.includes(codeOf(error) ?? "")) throw error;
    }
  }
  return removed;
}
