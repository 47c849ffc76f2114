import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import {
  type Config,
  type GcOptions,
  type GcResult,
  type RunEvent,
  stowage,
  type StowageOptions,
} from "@stowage/stowage";
import { list } from "../sources/fixture.ts";
import { run } from "../support/mod.ts";
import { listTree } from "../build/fixture.ts";
import { withoutTime } from "../support/without_time.ts";

/** The entries of a store, in order. */
export const entriesIn = (store: string) => list(join(store, "sources/org.osbuild.containers"));

/** What a store takes on disk, as du counts it, in bytes. */
export async function sizeOf(store: string): Promise<number> {
  return 1024 * Number((await run("du", ["-sk", store])).split("\t")[0]);
}

/**
 * Collects garbage: tells first what would go, and checks that just that goes, and nothing else.
 *
 * @returns What went, as its kind and its name.
 */
export async function collect(
  config: Config,
  { dryRun: _, ...options }: GcOptions & StowageOptions & { readonly store: string },
): Promise<GcResult & { readonly went: readonly string[] }> {
  const { store } = options;
  const events: RunEvent[] = [];
  const ready = stowage(config, { platform: "linux/amd64", ...options });
  const before = [await listTree(store), await sizeOf(store)] as const;
  const told = await ready.gc({ ...options, dryRun: true });
  assertEquals([await listTree(store), await sizeOf(store), told.freed], [...before, 0]);
  const result = await ready.gc({
    ...options,
    onEvent: (event) => events.push(withoutTime(event)),
  });
  assertEquals([result.garbage, result.bytes, result.size], [told.garbage, told.bytes, told.size]);
  assertEquals([result.size, result.freed], [before[1], before[1] - await sizeOf(store)]);
  const removed = events.flatMap((event) => event.type === "removed" ? [event.name] : []);
  assertEquals(removed, result.garbage.map(({ name }) => name));
  assertEquals(await list(join(store, "tmp")), []);
  return { ...result, went: result.garbage.map(({ kind, name }) => `${kind} ${name}`).sort() };
}

/** Dates the use of something to so many days ago. */
export async function useDaysAgo(path: string, days: number): Promise<void> {
  const date = new Date(Date.now() - days * 86_400_000);
  await Deno.utime(path, date, date);
}
