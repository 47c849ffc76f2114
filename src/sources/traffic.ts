import { type Emit, type ItemName, nameOf } from "../events.ts";

const WAYS = ["fetched", "shared", "resumed"] as const;

/** How the bytes of an image got here. */
export type Way = typeof WAYS[number];

/** The bytes of one image. */
export interface ImageTraffic {
  /**
   * Counts bytes that are here now.
   *
   * @param way How they got here.
   * @param bytes How many; fewer than 0 takes back what was wrong.
   */
  add(way: Way, bytes: number): void;
  /**
   * Counts bytes that come anyway, for another image: they take no time of their own.
   *
   * @param bytes How many more; fewer than 0 where they are here, or do not come.
   */
  expect(bytes: number): void;
  /** Takes back all of it, as it is tried again from the start. */
  forget(): void;
}

type Counts = Record<Way, number>;

const INTERVAL_MS = 200;
/** Over how long the rate is taken, in ms. */
const WINDOW_MS = 5_000;

/** Counts the bytes of a run and tells of them, at most five times a second. */
export class Traffic {
  readonly #all: Counts = { fetched: 0, shared: 0, resumed: 0 };
  readonly #marks: { readonly at: number; readonly fetched: number }[] = [];
  #total = 0;
  #expected = 0;
  #told = -Infinity;

  /**
   * @param emit Takes events.
   * @param now Tells the time, in ms.
   */
  constructor(private readonly emit: Emit, private readonly now = () => performance.now()) {}

  /**
   * Begins an image.
   *
   * @param item The item.
   * @param total How many bytes it has, where that is known.
   * @returns Counts its bytes.
   */
  open(item: ItemName, total: number | undefined): ImageTraffic {
    this.#total += total ?? 0;
    const own: Counts = { fetched: 0, shared: 0, resumed: 0 };
    let told = -Infinity;
    const count = (way: Way, bytes: number) => {
      own[way] += bytes;
      this.#all[way] += bytes;
      if (total === undefined) this.#total += bytes;
    };
    return {
      add: (way, bytes) => {
        count(way, bytes);
        const now = this.now();
        if (now - told >= INTERVAL_MS || sum(own) === total) {
          told = now;
          const size = total === undefined ? {} : { total };
          this.emit({ type: "progress", ...nameOf(item), bytes: sum(own), ...size, ...own });
        }
        if (now - this.#told >= INTERVAL_MS || sum(this.#all) === this.#total) this.#tell(now);
      },
      expect: (bytes) => void (this.#expected += bytes),
      forget: () => {
        for (const way of WAYS) count(way, -own[way]);
        this.#total -= total ?? 0;
      },
    };
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
    const bytes = sum(this.#all);
    const left = rate > 0 ? Math.ceil((this.#total - bytes - this.#expected) / rate) : undefined;
    this.emit({
      type: "traffic",
      bytes,
      total: this.#total,
      ...this.#all,
      rate,
      ...(left !== undefined && { left }),
    });
  }
}

function sum({ fetched, shared, resumed }: Counts): number {
  return fetched + shared + resumed;
}
