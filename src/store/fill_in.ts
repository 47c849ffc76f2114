import { join } from "@std/path";
import { HEX } from "../lib/hash/hash.ts";
import { digestFile } from "../tools/hash/digest_file.ts";
import { list, sizeOf, sync, writeAtomically } from "../lib/fs/files.ts";
import { readOutsideText } from "../lib/fs/outside_file.ts";

const MANIFEST = "manifest.json";
const VERSION = "version";

/**
 * Moves into an image what it lacks, from the same image as it has to be. Files are moved one by
 * one, the manifest last, so that the image is not whole at any moment, or it is.
 *
 * @param from The image, verified, in the format of the `dir` transport. Its signatures stay there.
 * @param to The image that lacks something; its entry has to be locked.
 * @returns Whether that was done; not where anything that is there differs.
 */
export async function fillIn(from: string, to: string): Promise<boolean> {
  if (!(await Deno.lstat(to)).isDirectory) return false;
  const isPart = (name: string) => HEX.test(name) || name === MANIFEST;
  const [come, there] = [(await list(from)).filter(isPart), await list(to)];
  const kept = there.filter(isPart);
  const sizes = await Promise.all(there.map((name) => sizeOf(join(to, name))));
  if (kept.length === 0 || sizes.includes(undefined)) return false; // pipes, links and the like
  for (const name of kept) {
    if (!come.includes(name) || !await isSame(join(from, name), join(to, name))) return false;
  }
  const lacking = come.filter((name) => !kept.includes(name));
  for (const name of lacking.filter((name) => name !== MANIFEST)) {
    await Deno.rename(join(from, name), join(to, name));
  }
  if (!there.includes(VERSION)) {
    await writeAtomically(join(to, VERSION), await readOutsideText(join(from, VERSION)));
  }
  await sync(to);
  if (lacking.includes(MANIFEST)) await Deno.rename(join(from, MANIFEST), join(to, MANIFEST));
  await sync(to);
  return true;
}

async function isSame(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([Deno.lstat(a), Deno.lstat(b)]);
  if (!second.isFile || first.size !== second.size) return false;
  if (first.dev === second.dev && first.ino === second.ino) return true;
  const digestOf = async (path: string) => (await digestFile({ path, unpack: false })).digest;
  return await digestOf(a) === await digestOf(b);
}
