import { resolve } from "@std/path";
import { format as formatBytes } from "@std/fmt/bytes";
import { readLock } from "../../lockfile/lock_file.ts";
import { UsageError } from "../../errors/mod.ts";
import type { GarbageEvent, GarbageTotalEvent } from "../../events.ts";
import type { Lock } from "../../graph/lock_schema.ts";
import type { GcOptions } from "../../sdk.ts";
import { readCaches } from "../cache_flags.ts";
import { columns } from "../columns.ts";
import type { Command } from "../command.ts";
import { loadConfigAndLock } from "../config_file.ts";
import type { ParsedFlags } from "../flags.ts";
import { count, plain } from "../../lib/words.ts";
import { readDuration, readSize } from "../quantity.ts";
import { shortId } from "../reporter.ts";
import { bold, dim } from "../style.ts";
import { TLS_VERIFY } from "../tls_verify.ts";

/** `stowage gc`. */
export const gc: Command = {
  usage: "",
  flags: [
    { name: "dry-run", help: "only show what would go" },
    {
      name: "older-than",
      value: "AGE",
      help: "only what was not used for that long (30d, 12h)",
    },
    {
      name: "max-size",
      value: "SIZE",
      help: "the oldest first, until the store is that small (20GiB)",
    },
    {
      name: "keep-config",
      value: "FILE",
      isRepeatable: true,
      help: "another config that uses this store; may be repeated",
    },
    {
      name: "keep-lock",
      value: "FILE",
      isRepeatable: true,
      help: "another lock that uses this store; may be repeated",
    },
    { name: "all", help: "empty the store, where there is no config and no lock" },
    { name: "wait", value: "SECONDS", help: "how long to wait for other runs in the store (10)" },
    {
      name: "cache",
      value: "REPO",
      isRepeatable: true,
      help: "not in the store: delete from this cache what is that old; may be repeated",
    },
    { ...TLS_VERIFY, help: "whether TLS is required of the caches named here (true)" },
  ],
  examples: [
    { line: "gc --dry-run", does: "only shows what would go" },
    { line: "gc --older-than 30d", does: "only what was not used for 30 days" },
    { line: "gc --max-size 20GiB", does: "the oldest first, until the store is that small" },
    {
      line: "gc --cache reg.acme.io/cache --older-than 30d",
      does: "what no run has used for 30 days goes from a cache",
    },
    { line: "gc --keep-config ../b/images.config.ts", does: "another config uses the same store" },
  ],
  maxWords: 0,
  async run(context) {
    const { load, flags, onEvent, signal, terminal, isJson, isQuiet } = context;
    if (flags.list("cache").length > 0) {
      const { gcCaches } = await import("../gc_cache.ts");
      return await gcCaches(context);
    }
    if (flags.text("tls-verify") !== undefined) readCaches(flags); // which refuses it
    const isText = !isJson && !isQuiet;
    const [options, stowage] = [await readOptions(flags), await load({ isOptional: true })];
    const found: GarbageEvent[] = [];
    const why = options.olderThan === undefined ? "is needed" : "is needed, or was used since";
    const result = await stowage.gc({
      ...options,
      signal,
      onEvent: (event) => {
        onEvent(event);
        if (event.type === "garbage") found.push(event);
        // Before anything is removed.
        if (event.type === "garbage-total" && isText) terminal.out(show(found, event, why));
      },
    });
    if (isText && !options.dryRun) terminal.out(`Freed ${formatBytes(result.freed)}`);
    return { ok: true, dryRun: flags.has("dry-run"), ...result };
  },
};

async function readOptions(flags: ParsedFlags): Promise<GcOptions> {
  const [olderThan, maxSize] = [flags.text("older-than"), flags.text("max-size")];
  const wait = flags.number("wait", 0);
  return {
    dryRun: flags.has("dry-run"),
    all: flags.has("all"),
    ...(olderThan !== undefined && { olderThan: readDuration("older-than", olderThan) }),
    ...(maxSize !== undefined && { maxSize: readSize("max-size", maxSize) }),
    ...(wait !== undefined && { wait: wait * 1000 }),
    keep: await Promise.all(flags.list("keep-config").map((file) => loadConfigAndLock(file))),
    keepLocks: await Promise.all(flags.list("keep-lock").map(readKeptLock)),
  };
}

async function readKeptLock(file: string): Promise<Lock> {
  const lock = await readLock(resolve(file));
  if (lock) return lock;
  throw new UsageError(`Cannot find the lock "${file}"`, { hint: "see --keep-lock in --help" });
}

function show(
  found: readonly GarbageEvent[],
  { things, bytes, size, over }: GarbageTotalEvent,
  why: string,
): string {
  const rows = found.map(({ kind, name, origin = "", used, bytes }) => [
    kind,
    bold(plain(shortId(name))),
    plain(origin),
    dim(used.slice(0, 10)),
    formatBytes(bytes),
  ]);
  const total = `${count(things, "thing")} to remove: ${formatBytes(bytes)} of ${
    formatBytes(size)
  }`;
  return [
    ...(rows.length > 0 ? [columns(rows)] : []),
    total,
    ...(over === undefined ? [] : [`All else ${why}: ${formatBytes(over)} above --max-size`]),
  ].join("\n");
}
