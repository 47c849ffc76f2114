import { dirname } from "@std/path";
import type { Emit } from "../events.ts";
import { see } from "./check.ts";
import { lockFolder } from "../lib/fs/files.ts";
import { makeFolder } from "../lib/fs/modes.ts";
import { findOriginFault } from "./origin.ts";
import { quarantine } from "./quarantine.ts";

/**
 * Makes the folder of an image's entry; a link, or a file, that is in its place is put aside.
 *
 * @param entry The folder.
 * @param id Image id.
 * @param aside The store's `quarantine/`.
 * @param emit Takes the event of what is put aside.
 */
export async function makeEntry(
  entry: string,
  id: string,
  aside: string,
  emit: Emit,
): Promise<void> {
  const isOdd = async () => !["folder", "nothing"].includes((await see(entry)).type);
  if (await isOdd()) {
    // Of several processes only the first moves it, and none what another has made since.
    using _lock = await lockFolder(dirname(entry));
    const message = "it is no folder, and was fetched again";
    const what = { kind: "image", problem: "format", path: entry, digest: id, message } as const;
    const found = { ...what, links: [], entries: [id] };
    if (await isOdd()) emit({ type: "damaged", ...await quarantine(aside, found) });
  }
  await makeFolder(entry);
}

/**
 * Puts aside a record of origins that says nothing; one of a later version stays.
 *
 * @param entry The folder of the image's entry; it has to be locked.
 * @param id Image id.
 * @param aside The store's `quarantine/`.
 * @param emit Takes the event of what is put aside.
 */
export async function clearRecord(
  entry: string,
  id: string,
  aside: string,
  emit: Emit,
): Promise<void> {
  const fault = await findOriginFault(entry);
  if (!fault) return;
  const found = { ...fault, links: [], entries: [id] };
  emit({ type: "damaged", ...await quarantine(aside, found) });
}
