import { basename, dirname, join } from "@std/path";
import type { Finding } from "../finding.ts";
import {
  codeOf,
  isLost,
  list,
  lockFolder,
  sizeOf,
  sync,
  writeAtomically,
} from "../lib/fs/files.ts";
import { makeFolder } from "../lib/fs/modes.ts";
import { see } from "./check.ts";
import { refuseLinks } from "./own_folders.ts";

/** What says why something is in quarantine, beside it. */
const RECORD = "quarantine.json";
/** How the names end that it is called by. */
const OWN_NAME = /-[a-z]+(?:-[0-9a-f]{4,12}){5}$/;
/** How much of a name that nobody checked goes into another one, of which there is a longest. */
const MAX_UNTRUSTED_NAME = 50;

/**
 * Puts something aside that is not what it has to be, with a record of why and when: nothing is
 * deleted that nobody has seen. It is one folder, called by what was found.
 *
 * @param folder The store's `quarantine/`.
 * @param finding What was found. Its links are removed: the file is the same.
 * @returns The finding, with where it is now.
 */
export async function quarantine(folder: string, finding: Finding): Promise<Finding> {
  const { kind, path, links, digest, id } = finding;
  const name = digest ?? id ?? basename(path).slice(0, MAX_UNTRUSTED_NAME);
  const aside = join(folder, `${name}-${kind}-${crypto.randomUUID()}`);
  const record = { schema: 1, ...finding, quarantined: new Date().toISOString() };
  await refuseLinks(dirname(folder), "quarantine");
  await makeFolder(aside);
  try {
    await writeAtomically(join(aside, RECORD), `${JSON.stringify(record, undefined, 2)}\n`);
    await Deno.rename(path, join(aside, basename(path)));
  } catch (error) {
    await Deno.remove(aside, { recursive: true }).catch(() => {});
    throw error;
  }
  await sync(aside);
  for (const link of links) await Deno.remove(link);
  return { ...finding, quarantine: aside };
}

/**
 * Tells whether something in `quarantine/` was put there by stowage. What a killed run left has no
 * record, and nothing else in it either.
 *
 * @param path Where it is.
 * @returns Whether it was; all else is somebody's own.
 */
export async function isQuarantined(path: string): Promise<boolean> {
  if ((await see(path)).type !== "folder") return false;
  return await sizeOf(join(path, RECORD)) !== undefined ||
    (OWN_NAME.test(path) && (await list(path)).length === 0);
}

/** What a read-only store says, one of another user, and a full one. */
const CANNOT_WRITE = ["EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT"];

/**
 * Puts aside what was found, unless it was replaced meanwhile, or the store cannot be
 * written.
 *
 * @param folder The store's `quarantine/`.
 * @param finding What was found.
 * @param entries The folders of the images that it belongs to; they are locked meanwhile.
 * @param isSame Tells whether there is still at a path what was found there.
 * @returns The finding, with where it is now if it was moved.
 */
export async function putAside(
  folder: string,
  finding: Finding,
  entries: readonly string[],
  isSame: (path: string) => Promise<boolean>,
): Promise<Finding> {
  using locks = new DisposableStack();
  for (const entry of entries) {
    const lock = await lockFolder(entry).catch(() => undefined);
    if (lock) locks.use(lock);
  }
  const paths: string[] = [];
  for (const path of [finding.path, ...finding.links]) {
    if (await isSame(path)) paths.push(path);
  }
  const [path, ...links] = paths;
  if (path === undefined) return finding;
  try {
    return await quarantine(folder, { ...finding, path, links });
  } catch (error) {
    if (CANNOT_WRITE.includes(codeOf(error) ?? "") || isLost(error)) return finding;
    throw error;
  }
}
