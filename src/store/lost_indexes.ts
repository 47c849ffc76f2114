import { join } from "@std/path";
import { type FoundOne, see, wrongType } from "./check.ts";
import { list } from "../lib/fs/files.ts";
import { FILES, type Store } from "./store.ts";

const ASIDE = /^(sha256:[0-9a-f]{64})-index-/;

/**
 * Finds the indexes that were put aside, and that images of the store came with. Of others nobody
 * can say whether they were ever there.
 *
 * @param store The store.
 * @returns What is missing.
 */
export async function findLostIndexes(store: Store): Promise<FoundOne[]> {
  const names = await list(store.quarantine);
  const aside = new Set(names.flatMap((name) => ASIDE.exec(name)?.[1] ?? []));
  const found: FoundOne[] = [];
  for (const digest of aside) {
    const path = join(store.sources, FILES, digest);
    if ((await see(path)).type !== "nothing") continue;
    const entries: string[] = [];
    for (const id of await store.ids()) {
      if ((await store.origins(id)).some(({ index }) => index === digest)) entries.push(id);
    }
    if (entries.length === 0) continue;
    found.push({ kind: "index", path, digest, entries, ...wrongType("nothing", "file") });
  }
  return found;
}
