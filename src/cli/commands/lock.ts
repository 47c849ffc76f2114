import { format as formatBytes } from "@std/fmt/bytes";
import { bold, dim, green, yellow } from "@std/fmt/colors";
import { dirname } from "@std/path";
import type { LockChange, LockResult } from "../../lockfile/make_lock.ts";
import { holdLock, writeLock } from "../../lockfile/lock_file.ts";
import { RunError, UsageError } from "../../errors/mod.ts";
import type { LockOptions, Stowage } from "../../stowage.ts";
import { columns } from "../columns.ts";
import { manifests } from "../manifests.ts";
import { plain } from "../plain.ts";
import { onlyNotes } from "../reporter.ts";
import type { Command } from "../command.ts";

/** `stowage lock`. */
export const lock: Command = {
  usage: "[SOURCE…]",
  summary: "writes or checks images.lock.json: what the tags of the config stand for",
  flags: [
    {
      name: "check",
      help: "change nothing; exit with 4 where the lock is not of config or registry",
    },
    {
      name: "update",
      help: "ask again for the sources that are named, or all, and move their pins",
    },
  ],
  async run({ load, lockPath, flags, onEvent, signal, terminal, isJson, isQuiet }) {
    if (flags.has("check") && flags.has("update")) {
      throw new UsageError("Cannot check and update at a time: take one of --check and --update");
    }
    const run = { names: flags.words, signal, onEvent: isJson ? onEvent : onlyNotes(onEvent) };
    if (flags.has("check")) {
      const { requests } = await (await load()).checkLock(run);
      if (!isJson && !isQuiet) terminal.out(`The lock is right (${manifests(requests)})`);
      return { ok: true, requests };
    }
    const path = await lockPath();
    const onWait = () => {
      const message = `waiting for another \`stowage lock\` in "${dirname(path)}" to end`;
      onEvent({ type: "notice", code: "LOCK_BUSY", message });
    };
    using _held = await holdLock(path, { signal, onWait });
    const stowage = await load();
    const options = { ...run, update: flags.has("update") };
    const tell = (result: LockResult) => {
      if (!isJson && !isQuiet) terminal.out(show(result, path));
    };
    const result = await lockAndWrite(stowage, path, options, tell);
    return { ok: true, path, ...result };
  },
};

/** What could be locked is kept, also where some sources could not. */
async function lockAndWrite(
  stowage: Stowage,
  path: string,
  options: LockOptions,
  tell: (result: LockResult) => void,
): Promise<LockResult> {
  const keep = async (result: LockResult) => {
    if (result.changes.length > 0) await writeLock(path, result.lock);
    tell(result);
  };
  try {
    const result = await stowage.makeLock(options);
    await keep(result);
    return result;
  } catch (error) {
    if (error instanceof RunError && isLockResult(error.result)) await keep(error.result);
    throw error;
  }
}

function isLockResult(result: unknown): result is LockResult {
  return typeof result === "object" && result !== null && "lock" in result && "changes" in result;
}

function show({ changes, requests }: LockResult, path: string): string {
  const rows = changes.map(row);
  const total = changes.length === 0 ? "Nothing has changed" : `Wrote ${plain(path)}`;
  return [...(rows.length > 0 ? [columns(rows)] : []), `${total} (${manifests(requests)})`].join(
    "\n",
  );
}

function row({ name, change, from, to, index, reference }: LockChange): string[] {
  const colored = change === "added" ? green(change) : yellow(change);
  const sizes = [from, to].flatMap((image) => image ? [formatBytes(image.size)] : []);
  const digests = [from, to].flatMap((image) => image ? [short(image.digest)] : []);
  const indexes = [index?.from, index?.to].map((digest) => digest ? short(digest) : "none");
  return [
    colored,
    bold(name),
    dim([...new Set(digests)].join(" → ")),
    [...new Set(sizes)].join(" → "),
    ...(index ? [dim(`index ${indexes.join(" → ")}`)] : []),
    ...(reference ? [dim(plain(`${reference.from} → ${reference.to}`))] : []),
  ];
}

/** As much of a digest as a person compares. */
function short(digest: string): string {
  return digest.slice(0, "sha256:".length + 12);
}
