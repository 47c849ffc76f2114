import { exists } from "@std/fs/exists";
import { join, toFileUrl } from "@std/path";
import { hashOf, HEX } from "../../lib/hash/hash.ts";
import { list } from "../../lib/fs/files.ts";
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
  const own = join(all, hashSources(folder));
  const isThere = await exists(own) || await make(folder, all, own, options);
  return isThere ? toFileUrl(join(own, "mod.d.ts")).href : sdkUrl();
}

/** By dates, as `make` does: reading all sources takes longer than the check of a small config. */
function hashSources(folder: string): string {
  const look = (path: string): unknown => {
    const { isDirectory, size, mtime, ctime } = Deno.statSync(join(folder, path));
    if (!isDirectory) return [size, mtime?.getTime(), ctime?.getTime()];
    const names = Array.from(Deno.readDirSync(join(folder, path)), ({ name }) => name).sort();
    return names.map((name) => [name, look(join(path, name))]);
  };
  return hashOf(SOURCES.map(look));
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
