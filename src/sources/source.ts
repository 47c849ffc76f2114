import type { Run } from "../run.ts";
import { InterruptedError, type StowageError } from "../errors/mod.ts";
import { type ImageResult, type ItemName, nameOf } from "../events.ts";
import { FairLimit } from "../lib/async/fair_limit.ts";
import { toStowageError } from "../lib/fs/files.ts";

/** What became of an item: what was made of it, or why that failed. */
export type Outcome<Item, Value> =
  | { readonly item: Item; readonly value: Value }
  | { readonly item: Item; readonly error: StowageError };

/** What mostly waits for a registry costs little; what costs memory has limits of its own. */
const WAITING = 32;

/**
 * How many items are on their way side by side, most of them waiting for an answer.
 *
 * @param jobs How many of them may be copied; of one, all else waits for that too, as who asks for
 * it wants one after the other.
 * @returns The number.
 */
export function besides(jobs: number): number {
  return jobs === 1 ? 1 : Math.max(jobs, WAITING);
}

const READERS = 4;

/**
 * The workflow of every kind of source: setup, filter, prepare, download, after osbuild's
 * `SourceService`. A kind of source fills in its steps.
 */
export abstract class SourceService<Item extends ItemName, Prepared> {
  /** Name of the store's folder that keeps what it fetches. */
  protected abstract readonly contentType: string;

  /** Each that reads a disk takes a thread, and only registries let others wait for long. */
  readonly #reading: FairLimit;
  /** What was found out before the turn of its item has come; several may have one key. */
  readonly #ahead = new WeakMap<Item, Promise<Found<Prepared>>>();

  #ready: Promise<void> | undefined;

  /**
   * @param run The run.
   */
  constructor(protected readonly run: Run) {
    this.#reading = new FairLimit(READERS);
  }

  /**
   * Makes the content type's folder in the store, and warns of others that could write there.
   */
  async setup(): Promise<void> {
    const { store, emit } = this.run;
    await store.setup(this.contentType);
    const open = await store.openFolders();
    if (open.length === 0) return;
    const paths = open.map((path) => `"${path}"`).join(", ");
    const message = `other users may write to ${paths}, and what is there is not hashed again: ` +
      "take that away with chown and chmod o-w";
    emit({ type: "notice", code: "STORE_OPEN", message });
  }

  /**
   * Tells who has to serve an item: one that is slow does not keep the others waiting.
   *
   * @param item The item.
   * @returns Its name.
   */
  protected abstract kindOf(item: Item): string;

  /**
   * Looks an item up in the store.
   *
   * @param item The item.
   * @returns What is there, if it is there whole; such an item is dropped.
   */
  abstract filter(item: Item): Promise<ImageResult | undefined>;

  /**
   * Finds out what has to be downloaded, and from where. Nothing is downloaded yet.
   *
   * @param item The item.
   * @returns What `fetchOne` needs to know.
   */
  abstract prepare(item: Item): Promise<Prepared>;

  /**
   * Finds items that an item brings with it.
   *
   * @param _item The item.
   * @param _found What is known of it.
   * @returns The items.
   */
  protected others(_item: Item, _found: Found<Prepared>): Promise<readonly Item[]> {
    return Promise.resolve([]);
  }

  /**
   * Downloads an item, verifies it and moves it to its place.
   *
   * @param prepared What `prepare` has found out.
   * @returns What is in the store then.
   */
  protected abstract fetchOne(prepared: Prepared): Promise<ImageResult>;

  /**
   * Adds what belongs to an item that is in the store.
   *
   * @param _item The item.
   * @param image What is in the store.
   * @returns The same, with what was added.
   */
  protected complete(_item: Item, image: ImageResult): Promise<ImageResult> {
    return Promise.resolve(image);
  }

  /**
   * Runs the workflow. Items that are not in the store are prepared and downloaded side by side; one
   * that fails does not stop the others.
   *
   * @param items The items.
   * @param onOutcome Takes what became of each as soon as that is known.
   * @returns What became of each, in their order.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async download<Each extends Item>(
    items: readonly Each[],
    onOutcome: (outcome: Outcome<Each, ImageResult>) => void = () => {},
  ): Promise<Outcome<Each, ImageResult>[]> {
    await (this.#ready ??= this.setup());
    await using _ahead = this.lookAhead(items);
    return await this.each(items, (item) => this.fetch(item), onOutcome);
  }

  /**
   * Begins to find out what has to be downloaded, so that all of it is known early; `setup` has to be
   * done. Downloads need not wait for it.
   *
   * @param items The items, which are fetched then.
   * @returns Waits for what has begun when it is disposed of.
   */
  lookAhead(items: readonly Item[]): AsyncDisposable {
    const limit = new FairLimit(besides(this.run.jobs));
    const all: Promise<unknown>[] = [];
    const begin = (item: Item) => {
      const found = this.#ahead.get(item) ??
        limit.run(this.kindOf(item), () => this.#find(item));
      this.#ahead.set(item, found);
      const others = found.then(async (found) => {
        for (const other of await this.others(item, found)) begin(other);
      });
      all.push(others.catch(() => {})); // it is told when the item's turn has come
    };
    for (const item of items) begin(item);
    return {
      async [Symbol.asyncDispose]() {
        for (let done = 0; done < all.length; done++) await all[done];
      },
    };
  }

  /**
   * Finds out what the store has of an item, or what has to be downloaded. A fetch that follows does
   * not ask again.
   *
   * @param item The item.
   * @returns What is known of it.
   */
  protected find(item: Item): Promise<Found<Prepared>> {
    const found = this.#ahead.get(item) ?? this.#find(item);
    this.#ahead.set(item, found);
    return found;
  }

  async #find(item: Item): Promise<Found<Prepared>> {
    this.run.signal.throwIfAborted();
    const image = await this.#reading.run("", () => this.filter(item));
    return image ? { image } : { prepared: await this.prepare(item) };
  }

  /**
   * Runs the workflow for one item; `setup` has to be done.
   *
   * @param item The item.
   * @returns What is in the store then.
   * @throws {StowageError} If it cannot be had, or is not what was asked for.
   */
  async fetch(item: Item): Promise<ImageResult> {
    const found = await (this.#ahead.get(item) ?? this.#find(item));
    const one = "image" in found ? found.image : await this.fetchOne(found.prepared);
    const image = await this.complete(item, one);
    this.run.emit({ type: "image", ...image });
    return image;
  }

  /**
   * Runs the workflow up to the download.
   *
   * @param items The items.
   * @returns For each, what is in the store, or what has to be downloaded.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async look(items: readonly Item[]): Promise<Outcome<Item, Found<Prepared>>[]> {
    return await this.each(items, (item) => this.#find(item));
  }

  /**
   * Does something for each item, side by side; one that fails does not stop the others.
   *
   * @param items The items.
   * @param action Does it.
   * @param onOutcome Takes what became of each as soon as that is known.
   * @returns What became of each, in their order.
   * @throws {InterruptedError} If the run was interrupted.
   */
  protected async each<Each extends Item, Value>(
    items: readonly Each[],
    action: (item: Each) => Promise<Value>,
    onOutcome: (outcome: Outcome<Each, Value>) => void = () => {},
  ): Promise<Outcome<Each, Value>[]> {
    const limit = new FairLimit(besides(this.run.jobs));
    const work = async (item: Each) => {
      const outcome = await attempt(item, this.run, () => action(item));
      onOutcome(outcome);
      return outcome;
    };
    const all = items.map((item) => limit.run(this.kindOf(item), () => work(item)));
    await Promise.allSettled(all);
    return await Promise.all(all);
  }
}

/** What is in the store, or what has to be downloaded. */
export type Found<Prepared> = { readonly image: ImageResult } | { readonly prepared: Prepared };

/**
 * Does something for an item; if that fails, the others go on.
 *
 * @param item The item.
 * @param run The run.
 * @param action Does it.
 * @returns What became of it.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function attempt<Item extends ItemName, Value>(
  item: Item,
  { signal, emit, store }: Pick<Run, "signal" | "emit" | "store">,
  action: () => Promise<Value>,
): Promise<Outcome<Item, Value>> {
  try {
    signal.throwIfAborted();
    return { item, value: await action() };
  } catch (error) {
    if (signal.aborted) throw new InterruptedError(signal.reason);
    const failure = toStowageError(`fetch "${item.name}" into`, store.path, error);
    if (!failure) throw error;
    emit({ type: "failed", ...nameOf(item), error: failure.toJSON() });
    return { item, error: failure };
  }
}
