import pLimit from "p-limit";
import { type Cache, formatReference, type Reference } from "../../config/mod.ts";
import { Meter } from "../carry/meter.ts";
import type { Pruned } from "../carry/prune.ts";
import { Sender, type SendTo } from "../carry/sender.ts";
import { PushError, UsageError } from "../errors/mod.ts";
import type { Listener } from "../events.ts";
import { digestOf } from "../lib/fs/files.ts";
import { checkOptions } from "../options.ts";
import type { OpenRun, Run } from "../run.ts";
import { nameIn } from "../sources/caches.ts";
import { readManifest } from "../store/manifest.ts";
import { Registries } from "../transports/docker/registries.ts";
import { dayOf, dayOfUses, readUses, usesOf, writeUses } from "./uses.ts";

/** What `pruneCache` takes. */
export interface PruneCacheOptions {
  /** The cache. */
  readonly cache: Cache;
  /** Deletes what was used longer ago than that, in ms; counted by days, in UTC. */
  readonly olderThan: number;
  /** Whether it only tells what would go. */
  readonly dryRun?: boolean;
  /** Takes events while the run goes on. */
  readonly onEvent?: Listener;
  /** Ends the run. */
  readonly signal?: AbortSignal;
}

/** Something of a cache that was not used for long. */
export interface PrunedFromCache extends Pruned {
  /** The last day on which a run that may write used it, as in 2026-11-28. */
  readonly used: string;
}

/** What became of a cache. */
export interface PruneCacheResult {
  /** What was not used for long, in the order of its tags. */
  readonly pruned: readonly PrunedFromCache[];
  /** How many images, indexes and trees stay, but for those that are in `pruned`. */
  readonly kept: number;
  /** How many of these no run has told of: their time is counted from now on. */
  readonly unknown: number;
}

/** What caches have, but for records of its use. */
const OWN = /^(?:id|index|tree)-[\da-f]{64,128}$/;
const INDEX = "index-";
const HELD = "something that stays needs it";

/**
 * Deletes from a cache what no run has used for long. Only runs that may write to it tell what they
 * use. What is not stowage's stays, and so does what is part of something that stays.
 *
 * @param options The cache, and what may go.
 * @param open Opens the run.
 * @param now The time, in ms since 1970.
 * @returns What became of it.
 * @throws {UsageError} If it is offline, or an option is wrong.
 * @throws {PushError} If the registry does not answer or forbids it, or a record cannot be read.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function pruneCache(
  options: PruneCacheOptions,
  open: OpenRun,
  now: number = Date.now(),
): Promise<PruneCacheResult> {
  const { olderThan, dryRun = false } = options;
  if (!(olderThan >= 0)) throw new UsageError(`Cannot use olderThan: it is ${olderThan}`);
  const { cache: [cache = options.cache] } = checkOptions({ cache: [options.cache] });
  await using run = await open({ hold: "none" });
  if (run.offline) throw new UsageError("Cannot prune a cache offline");
  const own = { ...cache, mode: "write" } as const;
  // It may take its time: to list tags is much work for some registries.
  const reach = (target: Reference) => run.reach(target, own);
  const sender = new Sender(new Registries(run), reach, run, new Meter(() => {}, 0));
  const pruner = new Pruner(nameIn(own), sender, own, run);
  return await pruner.prune(
    dayOf(new Date(Math.max(0, now - olderThan))),
    dayOf(new Date(now)),
    dryRun,
  );
}

class Pruner {
  readonly #limit;
  readonly #to: SendTo;

  constructor(
    private readonly repository: Reference,
    private readonly sender: Sender,
    private readonly cache: Cache,
    private readonly run: Run,
  ) {
    this.#limit = pLimit(run.jobs);
    const name = formatReference(repository);
    this.#to = { item: { key: "cache", name }, target: repository, action: "prune" };
  }

  /** Records go last, so that a run that was cut finds them again. */
  async prune(before: string, today: string, isDry: boolean): Promise<PruneCacheResult> {
    const tags = (await this.sender.tags(this.#to)).sort();
    const records = tags.filter((tag) => dayOfUses(tag) !== undefined);
    const used = await this.#readRecords(records);
    const own = tags.filter((tag) => OWN.test(tag));
    const old = own.filter((tag) => (used.get(tag) ?? before) < before);
    const oldTags = new Set(old);
    const unknown = own.filter((tag) => !used.has(tag));
    const held = await this.#held(
      tags.filter((tag) =>
        !oldTags.has(tag) && (tag.startsWith(INDEX) || !OWN.test(tag)) &&
        dayOfUses(tag) === undefined
      ),
    );
    const found = await this.#each(old, async (tag): Promise<PrunedFromCache[]> => {
      const bytes = await this.sender.read(this.#to, tag);
      if (!bytes) return []; // it has gone meanwhile
      const digest = digestOf(bytes);
      const target = formatReference({ ...this.repository, tag });
      const fate = held.has(digest)
        ? { status: "kept", why: HELD } as const
        : { status: isDry ? "delete" : "deleted" } as const;
      return [{ target, digest, used: used.get(tag) ?? before, ...fate }];
    });
    const pruned = found.flat();
    if (!isDry) {
      // An index before its images, as some registries delete nothing that is part of one.
      const going = pruned.filter(({ status }) => status === "deleted");
      const isIndex = ({ target }: Pruned) => target.includes(`:${INDEX}`);
      const remove = async ({ target, digest }: Pruned) => {
        await this.#delete(digest);
        this.run.emit({ type: "pruned", target, digest });
      };
      await this.#each(going.filter(isIndex), remove);
      await this.#each(going.filter((each) => !isIndex(each)), remove);
      if (unknown.length > 0) {
        await writeUses(unknown, today, this.repository, this.sender, this.run);
      }
      const past = records.filter((tag) => (dayOfUses(tag) ?? before) < before);
      await this.#each(past, async (tag) => {
        const digest = await this.sender.find(this.#to, tag);
        if (digest !== undefined) await this.#delete(digest);
      });
    }
    return { pruned, kept: own.length - pruned.length, unknown: unknown.length };
  }

  /** The last day of use, by tag. */
  async #readRecords(records: readonly string[]): Promise<Map<string, string>> {
    const used = new Map<string, string>();
    const registries = new Registries(this.run);
    const of = { reference: this.repository, how: this.run.reach(this.repository, this.cache) };
    await this.#each(records, async (record) => {
      const manifest = await this.sender.read(this.#to, record);
      if (!manifest) return; // another run has removed it
      const digest = usesOf(manifest);
      const bytes = digest === undefined ? undefined : await registries.config(of, digest);
      const tags = bytes && readUses(bytes);
      if (!tags) {
        throw this.#refuse(`what its tag "${record}" says of uses cannot be read`, {
          hint: "delete that tag there; what only that tag tells of counts as used today then",
        });
      }
      const day = dayOfUses(record) ?? "";
      for (const tag of tags) if ((used.get(tag) ?? "") < day) used.set(tag, day);
    });
    return used;
  }

  /** Digests of what tags stand for, and of what they list, to any depth. */
  async #held(tags: readonly string[]): Promise<Set<string>> {
    const held = new Set<string>();
    const hold = async (name: string): Promise<void> => {
      const bytes = await this.sender.read(this.#to, name);
      if (!bytes) return;
      held.add(digestOf(bytes));
      const read = readManifest(bytes);
      if (read.kind !== "index") return;
      for (const { digest } of read.index.manifests) {
        if (held.has(digest)) continue;
        held.add(digest);
        await hold(digest);
      }
    };
    await this.#each(tags, hold);
    return held;
  }

  async #delete(digest: string): Promise<void> {
    const to = { ...this.#to, target: { ...this.repository, digest } };
    if (await this.sender.remove(to)) return;
    throw this.#refuse("the registry forbids to delete", {
      hint: "allow it there (docker-registry: REGISTRY_STORAGE_DELETE_ENABLED=true), or have a " +
        "rule of the registry delete old tags",
    });
  }

  #refuse(why: string, options: { readonly hint: string }): PushError {
    const { item, target } = this.#to;
    return new PushError(item.name, formatReference(target), why, { ...options, doing: "prune" });
  }

  async #each<Item, Value>(
    items: readonly Item[],
    action: (item: Item) => Promise<Value>,
  ): Promise<Value[]> {
    try {
      return await Promise.all(items.map((item) =>
        this.#limit(() => {
          this.run.signal.throwIfAborted();
          return action(item);
        })
      ));
    } finally {
      this.#limit.clearQueue();
    }
  }
}
