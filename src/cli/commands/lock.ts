import { format as formatBytes } from "@std/fmt/bytes";
import { bold, dim, green, yellow } from "@std/fmt/colors";
import type { LockChange, LockResult } from "../../engine/lock.ts";
import { RunError } from "../../errors.ts";
import { writeLock } from "../../lock_file.ts";
import type { LockOptions, Stowage } from "../../stowage.ts";
import { columns } from "../columns.ts";
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
    const stowage = await load();
    const listen = isJson ? { onEvent } : {};
    if (flags.has("check")) {
      const { requests } = await stowage.checkLock({ names: flags.words, signal, ...listen });
      if (!isJson && !isQuiet) terminal.out(`The lock is right (${manifests(requests)})`);
      return { ok: true, requests };
    }
    const path = await lockPath();
    const options = { names: flags.words, signal, update: flags.has("update"), ...listen };
    const result = await lockAndWrite(stowage, path, options);
    if (!isJson && !isQuiet) terminal.out(show(result, path));
    return { ok: true, path, ...result };
  },
};

/** What could be locked is kept, also where some sources could not. */
async function lockAndWrite(
  stowage: Stowage,
  path: string,
  options: LockOptions,
): Promise<LockResult> {
  try {
    const result = await stowage.makeLock(options);
    if (result.changes.length > 0) await writeLock(path, result.lock);
    return result;
  } catch (error) {
    if (
      error instanceof RunError && isLockResult(error.result) && error.result.changes.length > 0
    ) {
      await writeLock(path, error.result.lock);
    }
    throw error;
  }
}

function isLockResult(result: unknown): result is LockResult {
  return typeof result === "object" && result !== null && "lock" in result && "changes" in result;
}

function show({ changes, requests }: LockResult, path: string): string {
  const rows = changes.map(row);
  const total = changes.length === 0 ? "The lock is complete" : `Wrote ${path}`;
  return [...(rows.length > 0 ? [columns(rows)] : []), `${total} (${manifests(requests)})`].join(
    "\n",
  );
}

function row({ name, change, from, to }: LockChange): string[] {
  const colored = change === "added" ? green(change) : yellow(change);
  const sizes = [from, to].flatMap((image) => image ? [formatBytes(image.size)] : []);
  const digests = [from, to].flatMap((image) => image ? [image.digest.slice(0, 19)] : []);
  return [colored, bold(name), dim(digests.join(" → ")), [...new Set(sizes)].join(" → ")];
}

function manifests(count: number): string {
  return count === 1 ? "1 manifest read" : `${count} manifests read`;
}
