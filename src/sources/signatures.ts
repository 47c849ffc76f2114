import { join } from "@std/path";
import { digestOf, guard, list, lockFolder, sync } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON } from "../lib/json.ts";

const NAME = /^signature-\d+$/;

/**
 * Keeps the signatures of an image with the same image in the store, which came without them.
 *
 * @param from Folder of the `dir` transport with the same manifest; they are moved out of it.
 * @param to The image's folder in the store.
 * @param entry The folder of its entry.
 * @throws {StoreError} If the store cannot be written.
 */
export async function keepSignatures(from: string, to: string, entry: string): Promise<void> {
  await guard("keep signatures in", to, async () => {
    using _lock = await lockFolder(entry);
    const read = async (folder: string) => {
      const names = (await list(folder)).filter((name) => NAME.test(name)).sort();
      return await Promise.all(names.map(async (name) => {
        const path = join(folder, name);
        const bytes = await readRegular(path, MAX_JSON);
        return bytes ? [{ path, digest: digestOf(bytes) }] : [];
      })).then((found) => found.flat());
    };
    const kept = await read(to);
    const known = new Set(kept.map(({ digest }) => digest));
    const added = (await read(from)).filter(({ digest }) => !known.has(digest));
    // skopeo reads them until one is missing.
    for (const [index, { path }] of added.entries()) {
      await sync(path);
      await Deno.rename(path, join(to, `signature-${kept.length + index + 1}`));
    }
    if (added.length > 0) await sync(to);
  });
}
