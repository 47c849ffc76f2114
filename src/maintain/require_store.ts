import { resolve } from "@std/path";
import { UsageError } from "../errors/mod.ts";
import { refuseForeign } from "../store/own_folders.ts";

/**
 * Makes sure that a store is there: nothing is said of a folder that was named by mistake.
 *
 * @param path The folder.
 * @throws {UsageError} If it is not there, or is full of other things.
 */
export async function requireStore(path: string): Promise<void> {
  const isFolder = await Deno.stat(path).then((info) => info.isDirectory, () => false);
  if (isFolder) return await refuseForeign(path);
  throw new UsageError(`Cannot find a store at "${resolve(path)}"`, {
    hint: "look at --store and STOWAGE_STORE; `stowage fetch` makes one",
  });
}
