import { type Emit, type ItemName, nameOf } from "../events.ts";

const WAYS = ["fetched", "shared", "resumed"] as const;

/** How the bytes of an image got here. */
export type Way = typeof WAYS[number];

/** Sizes in bytes by digest, each blob once. */
export type BlobSizes = ReadonlyMap<string, number | undefined>;

/** The bytes of one image. */
export interface ImageTraffic {
  /**
   * Counts bytes that are here now.
   *
   * @param way How they got here.
   * @param bytes How many; fewer than 0 takes back what was wrong.
   * @param blob The blob that they are of; the image as a whole if absent.
   */
  add(way: Way, bytes: number, blob?: string): void;
  /**
   * Tells that all that is left to do is waiting for what another image fetches.
   *
   * @param name The other image.
   * @returns Ends the waiting when it is disposed of.
   */
  wait(name: string): Disposable;
  /** Takes back all of it, as it is tried again from the start. */
  forget(): void;
}

type Counts = Record<Way, number>;

/** A blob that several images of a run may have. */
interface Blob {
  /** Its size; `undefined` where that is only known when it is here. */
  size: number | undefined;
  /** How much of it is here, which counts once. */
  here: number;
  /** Keys of the items that need it. */
  readonly of: Set<string>;
}

const INTERVAL_MS = 200;
/** Over how long the rate is taken, in ms. */
const WINDOW_MS = 5_000;

/**
 * Counts the bytes of a run and tells of them, at most five times a second. In its totals each blob
 * counts once, however many images have it.
 */
export class Traffic {
  readonly #all: Counts = { fetched: 0, shared: 0, resumed: 0 };
  readonly #blobs = new Map<string, Blob>();
  readonly #unknown = new Set<string>();
  readonly #marks: { readonly at: number; readonly fetched: number }[] = [];
  #bytes = 0;
  #total = 0;
  #told = -Infinity;

  /**
   * @param emit Takes events.
   * @param now Tells the time, in ms.
   */
  constructor(private readonly emit: Emit, private readonly now = () => performance.now()) {}

  /**
   * Says which items come.
   *
   * @param keys Their keys; how large they are is not known yet.
   */
  foresee(keys: Iterable<string>): void {
    for (const key of keys) this.#unknown.add(key);
  }

  /**
   * Says what an item has, before its turn has come.
   *
   * @param key The item's key.
   * @param blobs Its blobs.
   * @param here How many bytes are here already, by digest.
   */
  expect(key: string, blobs: BlobSizes, here: BlobSizes = new Map()): void {
    this.#unknown.delete(key);
    this.#release(key, blobs);
    for (const [digest, size] of blobs) {
      this.#need(digest, size, key);
      this.#arrive(digest, here.get(digest) ?? 0);
    }
  }

  /**
   * Says that nothing more comes of an item: it is in the store, or cannot be had. What has come of
   * it stays counted.
   *
   * @param key The item's key.
   */
  settle(key: string): void {
    this.#unknown.delete(key);
    for (const blob of this.#blobs.values()) {
      if (!blob.of.delete(key) || blob.of.size > 0) continue;
      this.#total -= (blob.size ?? blob.here) - blob.here;
      blob.size = blob.here;
    }
  }

  /**
   * Begins an image.
   *
   * @param item The item.
   * @param blobs Its blobs, or its size; `undefined` where that is not known.
   * @returns Counts its bytes.
   */
  open(item: ItemName, blobs: ReadonlyMap<string, number> | number | undefined): ImageTraffic {
    const { key } = item;
    const isOne = typeof blobs !== "object";
    this.expect(key, isOne ? new Map([[key, blobs]]) : blobs);
    const total = isOne ? blobs : sumOf(blobs.values());
    const own: Counts = { fetched: 0, shared: 0, resumed: 0 };
    const waits: string[] = [];
    let told = -Infinity;
    const count = (way: Way, bytes: number) => {
      own[way] += bytes;
      this.#all[way] += bytes;
    };
    const tell = () => {
      told = this.now();
      const [waitsFor] = waits;
      this.emit({
        ...{ type: "progress", ...nameOf(item), bytes: sum(own) },
        ...(total !== undefined && { total }),
        ...own,
        ...(waitsFor !== undefined && { waitsFor }),
      });
    };
    return {
      add: (way, bytes, blob = key) => {
        count(way, bytes);
        // What was here before may have been counted before.
        const isOld = way !== "fetched" && bytes > 0 && blob !== key;
        this.#arrive(blob, isOld ? Math.max(bytes - this.#here(blob), 0) : bytes);
        const now = this.now();
        if (now - told >= INTERVAL_MS || sum(own) === total) tell();
        if (now - this.#told >= INTERVAL_MS || this.#bytes === this.#total) this.#tell(now);
      },
      wait: (name) => {
        waits.push(name);
        tell();
        return {
          [Symbol.dispose]() {
            waits.splice(waits.indexOf(name), 1);
            tell();
          },
        };
      },
      forget: () => {
        for (const way of WAYS) count(way, -own[way]);
        this.#release(key);
      },
    };
  }

  #here(digest: string): number {
    return this.#blobs.get(digest)?.here ?? 0;
  }

  #need(digest: string, size: number | undefined, key: string): void {
    const known = this.#blobs.get(digest);
    known?.of.add(key);
    if (known) return;
    this.#blobs.set(digest, { size, here: 0, of: new Set([key]) });
    this.#total += size ?? 0;
  }

  /** What no other item needs counts no more. */
  #release(key: string, kept?: BlobSizes): void {
    for (const [digest, { size, here, of }] of this.#blobs) {
      if (kept?.has(digest) || !of.delete(key) || of.size > 0) continue;
      this.#blobs.delete(digest);
      this.#bytes -= here;
      this.#total -= size ?? here;
    }
  }

  /** A layer that is tried again from the start, or by two images, is not here twice. */
  #arrive(digest: string, bytes: number): void {
    const blob = this.#blobs.get(digest);
    if (!blob) return;
    const here = Math.min(Math.max(blob.here + bytes, 0), blob.size ?? Infinity);
    this.#bytes += here - blob.here;
    if (blob.size === undefined) this.#total += here - blob.here;
    blob.here = here;
  }

  #tell(now: number): void {
    this.#told = now;
    const { fetched } = this.#all;
    this.#marks.push({ at: now, fetched });
    while (this.#marks.length > 2 && now - (this.#marks[1]?.at ?? now) > WINDOW_MS) {
      this.#marks.shift();
    }
    const [oldest = { at: now, fetched }] = this.#marks;
    // What was taken back counts for nothing.
    const arrived = Math.max(fetched - oldest.fetched, 0);
    const rate = Math.round(arrived / Math.max(now - oldest.at, 1) * 1000);
    const [bytes, total, unknown] = [this.#bytes, this.#total, this.#unknown.size];
    const left = rate > 0 ? Math.ceil((total - bytes) / rate) : undefined;
    this.emit({
      ...{ type: "traffic", bytes, total, ...this.#all, rate },
      ...(unknown > 0 && { unknown }),
      ...(left !== undefined && { left }),
    });
  }
}

function sumOf(sizes: Iterable<number>): number {
  return [...sizes].reduce((sum, size) => sum + size, 0);
}

function sum({ fetched, shared, resumed }: Counts): number {
  return fetched + shared + resumed;
}
