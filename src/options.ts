import { fromFileUrl, join, resolve } from "@std/path";
import * as v from "valibot";
import { type Cache, CacheSchema } from "../config/cache.ts";
import { UsageError } from "./errors/mod.ts";
import type { Lock } from "./graph/lock_schema.ts";

/** What a config leaves to its surroundings. */
export interface StowageOptions {
  /** Folder that relative paths of the config start from; the current one if absent. */
  readonly root?: string | URL;
  /** Folder of the store; `STOWAGE_STORE`, or else `.stowage` in the root, if absent. */
  readonly store?: string;
  /** Platform of sources where neither they nor the config name one; this machine's if absent. */
  readonly platform?: string;
  /** How many images are copied, and stages run, side by side; 4 if absent. Asking costs less, and is not held up. */
  readonly jobs?: number;
  /** How many layers are read side by side from one registry; 6 if absent. */
  readonly perRegistry?: number;
  /** Whether no registry is asked. */
  readonly offline?: boolean;
  /** How often a place is tried that may have an image in a moment; 3 if absent. */
  readonly attempts?: number;
  /** How long to wait before the second try, in ms; it grows from try to try. 1000 if absent. */
  readonly retryDelay?: number;
  /**
   * The time that trees and what is new are dated to, in s since 1970. If absent SOURCE_DATE_EPOCH;
   * without that each tree has a date of its own, and what is new the newest of its stage.
   */
  readonly epoch?: number;
  /** What tags stood for when they were locked, as `readLock()` reads it; no lock if absent. */
  readonly lock?: Lock | undefined;
  /** Whether a run is refused whose sources are not all in the lock; in the config without one. */
  readonly frozen?: boolean;
  /** How long a place may give no byte, in ms; 120 000 if absent. */
  readonly stallTimeout?: number;
  /**
   * How many bytes a second a place has to give at least, over as long a time as it may give none;
   * 100 if absent, 0 to take any.
   */
  readonly minRate?: number;
  /** Caches that are asked before those of the config. */
  readonly cache?: readonly Cache[];
}

const atLeast = (least: number) => {
  const expected = `a whole number from ${least}`;
  return v.pipe(v.number(expected), v.safeInteger(expected), v.minValue(least, expected));
};

/** The end of the year 9999, the last that dates of images can say. */
const LAST_SECOND = 253_402_300_799;

const LimitsSchema = v.object({
  jobs: v.optional(atLeast(1), 4),
  perRegistry: v.optional(atLeast(1), 6),
  attempts: v.optional(atLeast(1), 3),
  retryDelay: v.optional(atLeast(0), 1_000),
  stallTimeout: v.optional(atLeast(1), 120_000),
  minRate: v.optional(atLeast(0), 100),
  offline: v.optional(v.boolean("true or false"), false),
  frozen: v.optional(v.boolean("true or false"), false),
  cache: v.optional(v.array(CacheSchema), []),
  epoch: v.optional(
    v.pipe(atLeast(0), v.maxValue(LAST_SECOND, `a whole number to ${LAST_SECOND}`)),
  ),
});

/** Limits and places of a run, with what is left out filled in. */
export interface CheckedOptions extends v.InferOutput<typeof LimitsSchema> {
  /** Folder that relative paths of the config start from, absolute. */
  readonly root: string;
  /** Folder of the store. */
  readonly store: string;
  /** What tags stood for when they were locked. */
  readonly lock: Lock | undefined;
}

/** Reads `SOURCE_DATE_EPOCH`: https://reproducible-builds.org/specs/source-date-epoch/ */
function readEpoch(): number | undefined {
  const text = Deno.env.get("SOURCE_DATE_EPOCH");
  if (!text) return undefined;
  const epoch = /^\d+$/.test(text) ? Number(text) : NaN;
  if (epoch <= LAST_SECOND) return epoch;
  throw new UsageError(`Cannot use SOURCE_DATE_EPOCH: it is ${JSON.stringify(text)}`, {
    hint:
      `give it whole seconds since 1970, such as $(git log -1 --format=%ct), at most ${LAST_SECOND}`,
  });
}

/**
 * Checks options, and fills in what is left out.
 *
 * @param options The options.
 * @returns Limits and places.
 * @throws {UsageError} If one is wrong.
 */
export function checkOptions(options: StowageOptions): CheckedOptions {
  const { epoch = readEpoch() } = options;
  const result = v.safeParse(LimitsSchema, { ...options, epoch });
  if (!result.success) {
    const [issue] = result.issues;
    const path = v.getDotPath(issue);
    const expected = issue.message;
    throw new UsageError(`Cannot use ${path}: expected ${expected}, it is ${issue.received}`);
  }
  const { root: given = Deno.cwd() } = options;
  const root = given instanceof URL ? fromFileUrl(given) : resolve(given);
  const store = options.store || Deno.env.get("STOWAGE_STORE") || join(root, ".stowage");
  return { ...result.output, root, store, lock: options.lock };
}
