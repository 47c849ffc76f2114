/**
 * Records that an image, a tree or an archive was used just now: as the time of its folder, which
 * is set as well when it is made. Where that cannot be written, as in a read-only store, nothing is
 * recorded.
 *
 * @param folder Its folder.
 */
export async function markUsed(folder: string): Promise<void> {
  const now = new Date();
  // Without a thread for each: a build uses thousands.
  await Promise.try(() => Deno.utimeSync(folder, now, now)).catch(() => {});
}

/**
 * Tells when something of a store was used last.
 *
 * @param path Its folder, or its file.
 * @returns When it was made, used or changed last; `undefined` if it is not there.
 */
export async function lastUse(path: string): Promise<Date | undefined> {
  const info = await Deno.lstat(path).catch(() => undefined);
  return info?.mtime ?? undefined;
}
