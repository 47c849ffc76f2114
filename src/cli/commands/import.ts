import { dirname, resolve } from "@std/path";
import { formatLeft, ImportError, StoreError, UsageError } from "../../errors/mod.ts";
import type { ImportResult } from "../../import/import_config.ts";
import { IMPORT_KINDS } from "../../import/import_kinds.ts";
import { guard, writeAtomically } from "../../lib/fs/files.ts";
import { plain } from "../../lib/words.ts";
import { writeLock } from "../../lockfile/lock_file.ts";
import type { Command } from "../command.ts";
import { lockOf } from "../config_file.ts";

/** `stowage import`. */
export const importFiles: Command = {
  usage: "KIND FILE…",
  flags: [
    {
      name: "out",
      value: "FILE",
      help: "the config to write, .ts or .json, with its lock beside it; else it is printed",
    },
    { name: "strict", help: "refuse where something has no translation" },
  ],
  examples: [
    { line: "import osbuild manifest.json", does: "prints the config of a manifest" },
    {
      line: "import list images.txt",
      does: "of a list: one reference a line, or the format of skopeo sync, hauler or zarf",
    },
    { line: "import compose compose.yaml", does: "of the services of a compose file" },
    { line: "import kubernetes manifests/", does: "of the containers of Kubernetes manifests" },
    { line: "import quadlet /etc/containers/systemd", does: "of quadlets" },
    { line: "import isar recipe.bb", does: "of the docker:// URLs of a recipe" },
    {
      line: "import osbuild manifest.json --out images.config.ts",
      does: "writes it, and images.lock.json",
    },
  ],
  completes: Object.keys(IMPORT_KINDS),
  async run({ flags, terminal, isJson, isQuiet }) {
    const [kind, ...files] = flags.words;
    const kinds = Object.keys(IMPORT_KINDS).join(", ");
    if (kind === undefined) {
      throw new UsageError(`Cannot import nothing: expected one of ${kinds}, and files behind it`);
    }
    const platform = flags.text("platform");
    const strict = flags.has("strict");
    const { importConfig } = await import("../../import/import_config.ts");
    const result = await importConfig(kind, files, { strict, ...(platform && { platform }) });
    const { config, lock, left } = result;
    const out = flags.text("out");
    const written = out === undefined ? [] : await write(resolve(out), result);
    if (!isJson && out === undefined) terminal.out(result.text.trimEnd());
    if (!isJson && !isQuiet) {
      for (const path of written) terminal.err(`Wrote ${plain(path)}`);
      if (left.length > 0) terminal.err("Left out:");
      for (const each of left) terminal.err(plain(formatLeft(each)));
    }
    return { ok: true, written, config, lock, left };
  },
};

/** Writes the config, and its lock if that says anything; what is there stays. */
async function write(
  out: string,
  { config, text, lock }: ImportResult,
): Promise<string[]> {
  const isLocked = Object.keys(lock.sources).length > 0;
  const lockPath = lockOf(out);
  const paths = [out, ...(isLocked ? [lockPath] : [])];
  for (const path of paths) {
    if (!await Deno.lstat(path).then(() => true, () => false)) continue;
    throw new UsageError(`Cannot write "${path}": it is there already`, {
      hint: "move it away, or choose another --out",
    });
  }
  const content = out.endsWith(".json") ? `${JSON.stringify(config, undefined, 2)}\n` : text;
  try {
    await guard(
      "make the folder",
      dirname(out),
      () => Deno.mkdir(dirname(out), { recursive: true }),
    );
    if (isLocked) await writeLock(lockPath, lock);
    await guard("write", out, () => writeAtomically(out, content));
  } catch (cause) {
    if (!(cause instanceof StoreError)) throw cause;
    throw new ImportError(cause.message, { cause, hint: "choose another --out" });
  }
  return paths;
}
