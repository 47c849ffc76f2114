import type { ItemName } from "../events.ts";
import { abortable } from "@std/async/abortable";
import pLimit from "p-limit";
import type { Run } from "../run.ts";
import { ContentError } from "../errors/mod.ts";
import type { LayerName, PartialLayer, PooledLayer } from "../store/blobs.ts";
import type { DigestPool } from "../tools/hash/digest_pool.ts";
import { FairLimit } from "../lib/async/fair_limit.ts";
import { isFull } from "../lib/fs/files.ts";
import { RangeRefused } from "../transports/docker/errors.ts";
import { Absence, DAMAGED, PlaceError } from "../transports/absence.ts";
import { LayerDownload } from "./layer_download.ts";
import type { Place } from "../transports/mod.ts";
import type { BlobStream } from "../transports/docker/registries.ts";
import type { ImageTraffic } from "./traffic.ts";

/** Layers of one image that are fetched side by side, so that small images get their turn. */
const PER_IMAGE = 4;
/** For each of the run's jobs: whatever the number of registries is, this many take memory. */
const PER_JOB = 4;
/** How much has to have arrived for a further series of tries, in bytes. */
const HEADWAY = 2 ** 20;

/** An image whose layers are fetched. */
export interface LayersOf {
  /** The item that they are fetched for. */
  readonly item: ItemName;
  /** What has it. */
  readonly place: Pick<Place, "label">;
  /** Counts its bytes. */
  readonly traffic: ImageTraffic;
  /** What to do about wrong bytes; what is usual for registries, if absent. */
  readonly damaged?: string;
}

/** Gives the bytes of a layer. */
export type OpenLayer<Of extends LayersOf> = (
  of: Of,
  digest: string,
  options: { readonly offset: number; readonly signal: AbortSignal },
) => Promise<BlobStream>;

/** A layer that is being fetched, and for whom. */
interface Turn {
  readonly name: string;
  readonly layer: Promise<PooledLayer>;
}

/** Fetches layers into the pool, each once, however many images have it. */
export class LayerFetcher<Of extends LayersOf> {
  readonly #turns = new Map<string, Turn>();
  readonly #limit: FairLimit;

  /**
   * @param run The run.
   * @param open Gives the bytes.
   * @param digests Hashes them.
   * @param withRetry Does something for an item as often as the run allows.
   */
  constructor(
    private readonly run: Pick<Run, "store" | "emit" | "jobs">,
    private readonly open: OpenLayer<Of>,
    private readonly digests: DigestPool,
    private readonly withRetry: (of: Of, action: () => Promise<void>) => Promise<void>,
  ) {
    this.#limit = new FairLimit(PER_JOB * run.jobs);
  }

  /**
   * Fetches the layers of an image, as far as the store does not have them.
   *
   * @param of The image.
   * @param layers Its layers, each once.
   * @param signal Ends it; what has arrived by then is kept.
   * @returns The layers in the pool, in their order.
   * @throws {Absence} If the registry does not give one.
   * @throws {Unserved} If only skopeo can fetch them.
   * @throws {ContentError} If one is not what its digest says.
   */
  async fetch(
    of: Of,
    layers: readonly LayerName[],
    signal: AbortSignal,
  ): Promise<PooledLayer[]> {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const limit = pLimit(PER_IMAGE);
    const all = layers.map((layer) => limit(() => this.#take(of, layer, either)));
    try {
      return await Promise.all(all);
    } catch (error) {
      stop.abort(error);
      throw error;
    } finally {
      await Promise.allSettled(all);
    }
  }

  /** Of images that need the same layer, one fetches it; if that fails the next one tries. */
  async #take(of: Of, layer: LayerName, signal: AbortSignal): Promise<PooledLayer> {
    let other: Turn | undefined;
    while ((other = this.#turns.get(layer.digest))) {
      using _wait = of.traffic.wait(other.name);
      const pooled = await abortable(other.layer, signal).catch(() => undefined);
      signal.throwIfAborted();
      if (pooled) return share(of, layer, pooled);
    }
    const own = this.#limit.run(of.place.label, () => this.#get(of, layer, signal));
    this.#turns.set(layer.digest, { name: of.item.name, layer: own });
    try {
      return await own;
    } finally {
      this.#turns.delete(layer.digest);
    }
  }

  async #get(of: Of, layer: LayerName, signal: AbortSignal): Promise<PooledLayer> {
    signal.throwIfAborted();
    const { store: { blobs }, emit } = this.run;
    const here = await blobs.find(layer, this.digests);
    if (here) return share(of, layer, here);
    using partial = await blobs.openPartial(layer.digest, signal, (holders) => {
      const message = `waiting for ${holders} to fetch a layer of "${of.item.name}"`;
      emit({ type: "notice", code: "LAYER_BUSY", message });
    });
    // Another process may have fetched it in the meantime.
    const come = await blobs.find(layer, this.digests);
    if (come) {
      await partial.discard();
      return share(of, layer, come);
    }
    try {
      return await this.#download(of, layer, partial, signal);
    } catch (error) {
      // What others need is more than a part of this.
      if (isFull(error) || isFull(signal.reason)) await partial.discard();
      throw error;
    }
  }

  async #download(
    of: Of,
    layer: LayerName,
    partial: PartialLayer,
    signal: AbortSignal,
  ): Promise<PooledLayer> {
    await using download = new LayerDownload(partial, layer, of.traffic, this.digests);
    await download.resume();
    let error: ContentError | undefined;
    for (let isFirst = true;; isFirst = false) {
      const isWhole = await this.#fill(of, layer, download, signal).catch((absence) => {
        // What is wrong with one place counts more than that another one does not have it.
        throw error && absence instanceof PlaceError ? error : absence;
      });
      const { digest, unpacked, fault } = await download.end();
      if (isWhole && digest === layer.digest && unpacked) return await partial.keep(unpacked);
      // A loss of power may have spoiled what was there, and a mirror may serve anything: what comes
      // in one piece tells.
      const isDoubtful = isFirst && download.isPieced;
      if (!isDoubtful) error ??= explain(of, layer, { isWhole, digest, fault });
      const isWorthIt = isDoubtful || (digest !== layer.digest && await download.passOver());
      if (!isWorthIt) break;
      await download.restart();
    }
    await partial.discard();
    throw error;
  }

  /** A connection that is cut every now and then gets on all the same. */
  async #fill(
    of: Of,
    layer: LayerName,
    download: LayerDownload,
    signal: AbortSignal,
  ): Promise<boolean> {
    let isShort = false;
    let whole: "not asked" | "asked" | "answered" = "not asked";
    while (!download.isWhole && !isShort) {
      const before = download.size;
      try {
        await this.withRetry(of, async () => {
          signal.throwIfAborted();
          // A cut may have taken no more than the end of the connection.
          if (download.isWhole) return;
          const offset = whole === "asked" ? 0 : download.size;
          const stream = await this.open(of, layer.digest, { offset, signal });
          if (whole === "asked") whole = "answered";
          isShort = !await download.take(stream).catch(async (error) => {
            await stream.passOver();
            throw error;
          });
        });
      } catch (error) {
        if (!(error instanceof Absence) || !error.isTransient) throw error;
        if (whole === "not asked" && error instanceof RangeRefused) whole = "asked";
        else if (download.size - before < HEADWAY) throw error;
      }
    }
    return !isShort;
  }
}

function explain(
  of: LayersOf,
  layer: LayerName,
  { isWhole, digest, fault }: {
    readonly isWhole: boolean;
    readonly digest: string;
    readonly fault: string | undefined;
  },
): ContentError {
  const words = !isWhole
    ? `has not the ${layer.size} bytes that its manifest says`
    : digest !== layer.digest
    ? `is ${digest} when it arrives`
    : `cannot be unpacked: ${fault}`;
  return wrong(of, layer, words, digest);
}

function share(of: LayersOf, layer: LayerName, pooled: PooledLayer): PooledLayer {
  if (pooled.size !== layer.size) {
    throw wrong(of, layer, `has not the ${layer.size} bytes that its manifest says`);
  }
  of.traffic.add("shared", layer.size, layer.digest);
  return pooled;
}

function wrong(
  { item, place, damaged = DAMAGED }: LayersOf,
  { digest: expected }: LayerName,
  words: string,
  actual?: string,
): ContentError {
  const message = `${place.label}: the layer ${expected} ${words}`;
  return new ContentError(item.name, message, {
    expected,
    ...(actual && { actual }),
    hint: damaged,
  });
}
