import { basename, dirname, join } from "@std/path";
import pLimit from "p-limit";
import { BundleError, InterruptedError, StoreBusyError } from "../errors/mod.ts";
import { BLOCK } from "../lib/archive/tar_header.ts";
import { guard, sizeOf } from "../lib/fs/files.ts";
import { readIfThere, readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON } from "../lib/json.ts";
import { count } from "../lib/words.ts";
import type { Run } from "../run.ts";
import type { LayerName } from "../store/blobs.ts";
import { holdersOf } from "../store/hold.ts";
import { KeptBundles } from "../store/kept_bundles.ts";
import { readSums, SIGNATURE, SUMS, type Sums } from "./bundle_format.ts";
import { damaged, type FoundBundle, type OpenedBundle } from "./open_bundle.ts";
import {
  describePiece,
  digestOfPiece,
  type FilePart,
  findPieces,
  PieceReader,
  type PlacedPiece,
} from "./pieces.ts";
import { tellHashed } from "./tell_hashed.ts";

/** A piece of a bundle that comes next. */
export interface WantedPiece {
  /** Name of its file. */
  readonly name: string;
  /** Which one it is, from 1. */
  readonly number: number;
  /** How many there are. */
  readonly of: number;
  /** Its size in bytes. */
  readonly size: number;
  /** The folder that had the piece before it. */
  readonly folder: string;
}

/**
 * Waits for the next piece of a bundle, such as for another disc.
 *
 * @param wanted The piece.
 * @returns Its file or its folder; `undefined` if it does not come now.
 */
export type NextPiece = (wanted: WantedPiece) => Promise<string | undefined>;

/** What of a bundle is taken ahead. */
export interface Take {
  /** The layers that the store does not have, by digest. */
  readonly layers: ReadonlyMap<string, LayerName>;
  /** Brings a layer into the pool. */
  fetch(layer: LayerName): Promise<void>;
}

/** What is kept of a bundle that is no layer, each byte where the bundle has it. */
const KEPT = "bundle";

/**
 * A bundle whose pieces are not all at hand: one after the other is read, and what is in it is kept.
 * Layers go to the pool at once, so that nothing but what is small takes room twice.
 */
export class Discs implements AsyncDisposable {
  /** Reads what is no layer: what has been taken from where it is kept. */
  readonly rest: PieceReader;
  /** Reads layers. */
  readonly layers: PieceReader;
  readonly #placed: (PlacedPiece | undefined)[];
  readonly #starts: readonly number[];
  readonly #checked = new Set<number>();
  readonly #limit = pLimit(1);
  /** What was wrong with a piece itself, and not with what is kept. */
  readonly #ofPieces = new WeakSet<Error>();
  #opened: OpenedBundle | undefined;
  #take: Take | undefined;

  private constructor(
    private readonly found: FoundBundle,
    private readonly sums: Sums,
    private readonly run: Run,
    private readonly own: {
      readonly bundles: KeptBundles;
      readonly kept: Deno.FsFile;
      readonly path: string;
      readonly lock: Deno.FsFile;
      readonly next: NextPiece;
      /** How far the bundle has been taken, in bytes. */
      taken: number;
    },
  ) {
    let size = 0;
    this.#starts = sums.pieces.map((piece) => {
      const start = size;
      size += piece.size;
      return start;
    });
    this.#placed = [...found.placed];
    this.rest = new PieceReader({ size, find: (start) => this.#find(start, true) }, run.signal);
    this.layers = new PieceReader({ size, find: (start) => this.#find(start, false) }, run.signal);
  }

  /**
   * Goes on with a bundle, or begins with it.
   *
   * @param found The bundle.
   * @param sums Its sums.
   * @param run The run.
   * @param next Waits for pieces that are not at hand.
   * @returns The bundle.
   * @throws {StoreBusyError} If another process takes it.
   * @throws {StoreError} If the store cannot be written.
   */
  static async open(
    found: FoundBundle,
    sums: NonNullable<FoundBundle["sums"]>,
    run: Run,
    next: NextPiece,
  ): Promise<Discs> {
    const bundles = new KeptBundles(run.store.path);
    const folder = await bundles.open(sums.bundle);
    await using stack = new AsyncDisposableStack();
    const lock = stack.use(await guard("lock", folder, () => Deno.open(folder)));
    if (!await guard("lock", folder, () => lock.tryLock(true))) {
      const hint = "wait until that has ended";
      throw new StoreBusyError(folder, await holdersOf(lock), 0, hint);
    }
    const path = join(folder, KEPT);
    const kept = await guard("keep a bundle in", folder, async () => {
      const name = `${basename(found.path)}${SUMS}`;
      const signature = await readIfThere(`${sums.path}${SIGNATURE}`);
      await Deno.writeFile(join(folder, name), sums.bytes);
      if (signature) await Deno.writeFile(join(folder, `${name}${SIGNATURE}`), signature);
      return await Deno.open(path, { read: true, write: true, create: true });
    });
    stack.use(kept);
    const isThere = ((await kept.stat()).size ?? 0) > 0;
    const taken = isThere ? (await bundles.read(sums.bundle))?.taken ?? 0 : 0;
    stack.move();
    return new Discs(found, sums, run, { bundles, kept, path, lock, next, taken });
  }

  /**
   * Takes all of the bundle, in its order, so that each piece is needed once.
   *
   * @param opened The bundle.
   * @param take What is taken of it.
   * @throws {BundleError} If a piece is damaged, or does not come.
   * @throws {StoreError} If the store cannot be written.
   * @throws {InterruptedError} If it was interrupted; what has come is kept.
   */
  async take(opened: OpenedBundle, take: Take): Promise<void> {
    [this.#opened, this.#take] = [opened, take];
    const { members, size } = opened.layout;
    const others = othersOf(opened);
    for (const { digest, at, size: own } of members) {
      if (this.run.signal.aborted) throw new InterruptedError(this.run.signal.reason);
      if (at === 0) await this.#keep(0, BLOCK + own);
      if (digest === undefined) continue;
      const layer = take.layers.get(digest);
      if (layer && !await this.run.store.blobs.has(layer)) await take.fetch(layer);
      if (others.has(digest)) await this.#keep(at + BLOCK, own);
    }
    await this.#record(size);
  }

  /** Removes what is kept, as all of it is in its place. */
  async end(): Promise<void> {
    await this.own.bundles.remove(this.sums.bundle);
  }

  /**
   * Removes what is kept, if that is what is damaged: it has to come again.
   *
   * @param error Why the bundle cannot be loaded.
   */
  async doubt(error: unknown): Promise<void> {
    const isDamage = error instanceof BundleError && error.code === "BUNDLE_DAMAGED";
    if (isDamage && !this.#ofPieces.has(error)) await this.end();
  }

  async #find(start: number, isRest: boolean): Promise<FilePart> {
    const { taken, path } = this.own;
    if (isRest && start < taken) return { path, from: start, count: taken - start };
    const at = this.#starts.findLastIndex((first) => first <= start);
    const piece = await this.#limit(() => this.#bring(at)).catch((error) => {
      if (error instanceof BundleError) this.#ofPieces.add(error);
      throw error;
    });
    const from = start - (this.#starts[at] ?? 0);
    return { path: piece.path, from: piece.at + from, count: piece.size - from };
  }

  async #bring(at: number): Promise<PlacedPiece> {
    const { signal, emit } = this.run;
    const piece = this.sums.pieces[at];
    if (!piece) throw new RangeError(`There is no piece ${at + 1}`);
    const about = { name: piece.name, number: at + 1, of: this.sums.pieces.length };
    for (;;) {
      if (signal.aborted) throw new InterruptedError(signal.reason);
      const placed = this.#placed[at];
      if (placed && await sizeOf(placed.path) !== undefined) {
        if (this.#checked.has(at)) return placed;
        const onBytes = tellHashed(emit);
        let bytes = 0;
        const actual = await digestOfPiece(
          placed,
          signal,
          (more) => onBytes(bytes += more, placed.size),
        );
        if (actual !== piece.digest) {
          const name = describePiece(this.sums.pieces, at);
          throw damaged(this.found.path, `damaged: ${name} hashes to ${actual}`, piece.name);
        }
        this.#checked.add(at);
        emit({ type: "piece", status: "verified", ...about, size: piece.size });
        return placed;
      }
      await this.#keepBefore(this.#starts[at] ?? 0);
      emit({ type: "piece", status: "wanted", ...about, size: piece.size });
      const before = this.#placed[at - 1]?.path ?? this.found.paths[0] ?? "";
      const wanted = { ...about, size: piece.size, folder: dirname(before) };
      const given = await this.own.next(wanted);
      if (given === undefined) throw await this.#incomplete(at);
      const files = basename(given) === piece.name ? [given] : [join(given, piece.name)];
      [this.#placed[at]] = await findPieces([piece], files, given);
      this.#checked.delete(at);
    }
  }

  /** What came of the pieces before this one: they may be gone once it is there. */
  async #keepBefore(end: number): Promise<void> {
    if (end <= this.own.taken) return;
    // As long as nobody knows what is a layer, it is all kept.
    if (!this.#opened) await this.#keep(this.own.taken, end - this.own.taken);
    await this.#record(end);
  }

  async #keep(start: number, length: number): Promise<void> {
    const { kept, path } = this.own;
    const from = Math.max(start, this.own.taken);
    if (from >= start + length) return;
    let at = from;
    for await (const chunk of this.layers.read(from, start + length - from)) {
      await guard("write", path, async () => {
        await kept.seek(at, Deno.SeekMode.Start);
        for (let done = 0; done < chunk.length;) done += await kept.write(chunk.subarray(done));
      });
      at += chunk.length;
    }
  }

  async #record(taken: number): Promise<void> {
    const { bundles, kept, path } = this.own;
    await guard("write", path, () => kept.sync());
    const layers = [...this.#take?.layers.keys() ?? []];
    await bundles.record(this.sums.bundle, { taken, layers });
    this.own.taken = taken;
  }

  /** Which pieces are needed yet; of those that are at hand, none is. */
  async #incomplete(next: number): Promise<BundleError> {
    const { pieces } = this.sums;
    const needed = await this.#needed(next);
    const missing = pieces.flatMap(({ name }, at) =>
      at === next || (needed(at) && !this.#placed[at]) ? [name] : []
    );
    const after = missing.filter((name) => name !== pieces[next]?.name);
    const [one = ""] = after;
    const more = after.length === 0
      ? ""
      : `, then ${after.length === 1 ? one : count(after.length, "more piece")}`;
    const message = `${describePiece(pieces, next)} comes next${more}; what came before is kept`;
    return new BundleError("BUNDLE_INCOMPLETE", this.found.path, message, {
      items: missing,
      hasBegun: true,
      hint: `put in its disc, and name it: stowage bundle load DIR/${pieces[next]?.name}`,
    });
  }

  async #needed(next: number): Promise<(at: number) => boolean> {
    const [opened, take] = [this.#opened, this.#take];
    if (!opened || !take) return (at) => at > next;
    const others = othersOf(opened);
    const ranges: [number, number][] = [];
    for (const [digest, { start, size }] of opened.blobs) {
      const layer = take.layers.get(digest);
      const here = layer ? await this.run.store.blobs.sizeOf(layer) : size;
      if (here < size) ranges.push([start + here, start + size]);
      if (others.has(digest)) ranges.push([Math.max(start, this.own.taken), start + size]);
    }
    return (at) => {
      const first = this.#starts[at] ?? 0;
      const last = first + (this.sums.pieces[at]?.size ?? 0);
      return ranges.some(([from, end]) => Math.max(from, first) < Math.min(end, last));
    };
  }

  /** Lets go of what is open. */
  [Symbol.asyncDispose](): Promise<void> {
    this.own.kept.close();
    this.own.lock.close();
    return Promise.resolve();
  }
}

/** All blobs but the layers of images: the pool takes only what can be unpacked. */
function othersOf({ bundle }: OpenedBundle): ReadonlySet<string> {
  const { artifacts = [], referrers = [], images, sources } = bundle;
  return new Set([
    ...[...sources, ...images, ...artifacts, ...referrers].map(({ digest }) => digest),
    ...images.flatMap(({ id, signatures }) => [id, ...signatures]),
    ...[...artifacts, ...referrers].flatMap(({ blobs }) => blobs.map(({ digest }) => digest)),
  ]);
}

/**
 * Looks for the sums of a piece that has none beside it: an earlier piece of its bundle has come.
 *
 * @param store The store's folder.
 * @param piece The piece.
 * @param signal Ends it.
 * @returns The file of the sums; `undefined` if there is none.
 */
export async function findKeptSums(
  store: string,
  piece: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const bundles = new KeptBundles(store);
  const size = await sizeOf(piece);
  const found: { readonly path: string; readonly digest: string }[] = [];
  for (const digest of size === undefined ? [] : await bundles.digests()) {
    for (const name of (await bundles.files(digest)).filter((name) => name.endsWith(SUMS))) {
      const path = join(bundles.folder(digest), name);
      const bytes = await readRegular(path, MAX_JSON);
      const read = bytes && readSums(bytes);
      const known = read && "value" in read ? read.value.pieces : [];
      const own = known.find((one) => one.name === basename(piece) && one.size === size);
      if (own) found.push({ path, digest: own.digest });
    }
  }
  if (found.length < 2 || size === undefined) return found[0]?.path;
  const actual = await digestOfPiece({ path: piece, at: 0, size }, signal, () => {});
  return found.find(({ digest }) => digest === actual)?.path;
}
