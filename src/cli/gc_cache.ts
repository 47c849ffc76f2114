import type { Cache } from "../../config/mod.ts";
import { UsageError } from "../errors/mod.ts";
import { plain } from "../lib/words.ts";
import type { PruneCacheOptions, Stowage } from "../sdk.ts";
import { readCaches } from "./cache_flags.ts";
import { columns } from "./columns.ts";
import type { CommandContext, CommandResult } from "./command.ts";
import type { ParsedFlags } from "./flags.ts";
import { readDuration } from "./quantity.ts";
import { dim, yellow } from "./style.ts";

type Result = Awaited<ReturnType<Stowage["pruneCache"]>>;

/**
 * Does `stowage gc --cache`.
 *
 * @param context What the command has to work with.
 * @returns What became of each cache.
 * @throws {UsageError} If the flags do not go together.
 */
export async function gcCaches(
  { load, flags, onEvent, signal, terminal, isJson, isQuiet }: CommandContext,
): Promise<CommandResult> {
  const caches = readNamed(flags);
  const age = flags.text("older-than");
  if (age === undefined) {
    throw new UsageError("Cannot tell what may go from a cache", {
      hint: "say how long it was not used: --older-than 30d",
    });
  }
  const dryRun = flags.has("dry-run");
  const how = { olderThan: readDuration("older-than", age), dryRun, onEvent, signal };
  const stowage = await load({ isOptional: true, lock: "ignored" });
  const results: (Result & { readonly repository: string })[] = [];
  for (const cache of caches) {
    const options: PruneCacheOptions = { ...how, cache };
    const { repository } = cache;
    const result = await stowage.pruneCache(options);
    results.push({ repository, ...result });
    if (!isJson && !isQuiet) terminal.out(show(repository, result, dryRun));
  }
  return { ok: true, dryRun, caches: results };
}

function readNamed(flags: ParsedFlags): Cache[] {
  const ofStore = [
    ...["max-size", "wait"].filter((name) => flags.text(name) !== undefined),
    ...["keep-config", "keep-lock"].filter((name) => flags.list(name).length > 0),
    ...flags.has("all") ? ["all"] : [],
  ];
  if (ofStore.length > 0) {
    throw new UsageError(`Cannot use --${ofStore[0]} with --cache: it is about the store`);
  }
  const odd = flags.list("cache").find((text) => text.includes(","));
  if (odd !== undefined) throw new UsageError(`Cannot use --cache "${odd}": expected REPO`);
  return readCaches(flags);
}

function show(repository: string, { pruned, kept, unknown }: Result, isDry: boolean): string {
  const rows = pruned.map(({ target, used, status, why = "" }) => [
    status === "kept" ? status : yellow(status),
    plain(target.slice(repository.length + 1)),
    dim(used),
    why,
  ]);
  const going = pruned.filter(({ status }) => status !== "kept").length;
  const counted = unknown === 0
    ? ""
    : `, ${unknown} of them ${isDry ? "would be" : "are"} counted from today on`;
  const total = `${going} ${isDry ? "to delete from" : "deleted from"} ${repository}`;
  const rest = `${kept + pruned.length - going} stay${counted}`;
  return [...(rows.length > 0 ? [columns(rows)] : []), `${total}; ${rest}`].join("\n");
}
