import { exists } from "@std/fs/exists";
import { join, toFileUrl } from "@std/path";
import { hashOf, HEX, sha256Of } from "../../lib/hash/hash.ts";
import { list } from "../../lib/fs/files.ts";
import { readOutside } from "../../lib/fs/outside_file.ts";
import { runDeno } from "../../tools/deno.ts";
import type { LoadOptions } from "./load.ts";
import { sdkFolder, sdkMap, sdkUrl } from "./sdk.ts";

/** What makes declarations of a checkout. */
const MAKER = "scripts/release/types.ts";
/** What they depend on. */
const SOURCES = [MAKER, "deno.json", "mod.ts", "config", "src"];

/**
 * Finds what `deno check` reads for `@stowage/stowage`. Of a checkout these are declarations, made
 * once of the same sources: with all the code behind them, each check takes ten times as long.
 *
 * @param options Signal, whether to download.
 * @returns A URL or a specifier: that of the running stowage, where no declarations can be made.
 */
export async function sdkTypes(options: LoadOptions): Promise<string> {
  const folder = sdkFolder();
  if (folder === undefined || sdkMap() === undefined) return sdkUrl();
  const all = join(folder, ".tools/types");
  const own = join(all, await hashSources(folder));
  const isThere = await exists(own) || await make(folder, all, own, options);
  return isThere ? toFileUrl(join(own, "mod.d.ts")).href : sdkUrl();
}

async function hashSources(folder: string): Promise<string> {
  const hash = async (path: string): Promise<unknown> => {
    const { isDirectory } = await Deno.stat(join(folder, path));
    if (!isDirectory) return sha256Of(await readOutside(join(folder, path)));
    const names = (await list(join(folder, path))).sort();
    return await Promise.all(names.map(async (name) => [name, await hash(join(path, name))]));
  };
  return hashOf(await Promise.all(SOURCES.map(hash)));
}

async function make(
  folder: string,
  all: string,
  own: string,
  { isOffline, signal }: LoadOptions,
): Promise<boolean> {
  let work: string;
  try {
    await Deno.mkdir(all, { recursive: true });
    work = await Deno.makeTempDir({ dir: all });
  } catch {
    return false; // a checkout that is not this user's
  }
  try {
    const cached = isOffline ? ["--cached-only"] : [];
    const args = ["run", "-A", "--quiet", ...cached, join(folder, MAKER), work];
    const { code } = await runDeno(join(folder, "scripts/deno"), args, { cwd: folder, signal });
    if (code !== 0) return false;
    await Deno.chmod(work, 0o755);
    for (const name of await list(all)) {
      if (HEX.test(name)) await Deno.remove(join(all, name), { recursive: true });
    }
    // Another process may have made the same at the same time.
    await Deno.rename(work, own).catch(() => {});
    return await exists(own);
  } finally {
    await Deno.remove(work, { recursive: true }).catch(() => {});
  }
}
