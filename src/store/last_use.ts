/**
 * Records that an image was used just now: as the time of its entry's folder, which a download sets
 * as well. Where that cannot be written, as in a read-only store, nothing is recorded.
 *
 * @param entry The folder of the image's entry.
 */
export async function markUsed(entry: string): Promise<void> {
  const now = new Date();
  await Deno.utime(entry, now, now).catch(() => {});
}

/**
 * Tells when an image was used last.
 *
 * @param entry The folder of the image's entry.
 * @returns When it was fetched, used or changed last; `undefined` if it is not there.
 */
export async function lastUse(entry: string): Promise<Date | undefined> {
  const info = await Deno.lstat(entry).catch(() => undefined);
  return info?.mtime ?? undefined;
}
