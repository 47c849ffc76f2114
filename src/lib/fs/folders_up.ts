import { dirname } from "@std/path";

/**
 * The folders from one up to the root of the disk.
 *
 * @param folder Where to start.
 * @returns It, and those above it.
 */
export function* foldersUp(folder: string): Generator<string> {
  for (let at = folder;; at = dirname(at)) {
    yield at;
    if (dirname(at) === at) return;
  }
}
