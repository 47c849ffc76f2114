import { basename, join } from "@std/path";
import { BundleError, ContentError, InterruptedError } from "../errors/mod.ts";
import {
  type ArtifactResult,
  emitTo,
  type ImageResult,
  type ItemName,
  type ReferrerResult,
} from "../events.ts";
import type { Lock } from "../graph/lock_schema.ts";
import { guard } from "../lib/fs/files.ts";
import type { OpenRun, Run } from "../run.ts";
import { CarriedImages, type Carrier } from "../sources/carried_images.ts";
import type { DirImageData } from "../store/image.ts";
import { KeptBundles } from "../store/kept_bundles.ts";
import { layersOf } from "../store/manifest.ts";
import type { Origin } from "../store/origin.ts";
import { CONTAINERS } from "../store/store.ts";
import { PlaceError } from "../transports/absence.ts";
import type { SignedBy } from "../tools/signing.ts";
import type { Bundle, BundleSource } from "./bundle_format.ts";
import { LoadedArtifacts, readArtifacts } from "./bundle_artifacts.ts";
import { LoadedReferrers, readReferrers } from "./bundle_referrers.ts";
import type { Discs, NextPiece, Take } from "./discs.ts";
import { FarRegistry, type FarRequest } from "./far_registry.ts";
import type { BundleOptions } from "./look_into_bundle.ts";
import {
  findBundle,
  type FoundBundle,
  type OpenedBundle,
  openFound,
  type ReadImage,
  readImages,
  readOpened,
} from "./open_bundle.ts";
import type { PieceReader } from "./pieces.ts";
import { tellHashed } from "./tell_hashed.ts";

/** Which bundle is loaded. */
export interface LoadRequest extends BundleOptions {
  /** Its file, or pieces of it. */
  readonly paths: readonly string[];
  /** The registry that has layers which the bundle leaves out; only the store has, if absent. */
  readonly from?: FarRequest;
  /** The folder of the store. */
  readonly store: string;
  /** Waits for pieces that are not at hand; what there is of the bundle is kept if absent. */
  readonly nextPiece?: NextPiece;
}

/** A bundle that was loaded. */
export interface LoadedBundle {
  /** Its sources. */
  readonly sources: readonly BundleSource[];
  /** Their images, each in the store: fetched from the bundle, or cached as they were there. */
  readonly images: readonly ImageResult[];
  /** The artifacts, each in the store. */
  readonly artifacts: readonly ArtifactResult[];
  /** What refers to images and to their indexes, each in the store. */
  readonly referrers: readonly ReferrerResult[];
  /** What tags stood for where it was made; absent where that had no lock. */
  readonly lock?: Lock;
  /** Who has signed it, as the program has checked; absent where no key was given. */
  readonly signedBy?: SignedBy;
}

/** An image that is loaded, with what it is called. */
interface Loading {
  readonly image: ReadImage & { readonly item: ItemName };
  /** The image, where the store has it already. */
  readonly here: DirImageData | undefined;
  readonly origins: readonly [Origin, ...Origin[]];
}

/**
 * Loads a bundle into the store. Signature, pieces and what the bundle builds on are looked at
 * first: nothing is written where one is wrong. All images are verified before the first one is
 * moved to its place.
 *
 * @param request Which bundle.
 * @param openRun Opens the run.
 * @returns What is in the store.
 * @throws {BundleError} If the bundle is damaged, not signed by the key, or something that it takes
 * is not at hand.
 * @throws {ContentError} If an image is not what its config says, or is in the store with another
 * manifest.
 * @throws {StoreError} If the store cannot be written.
 * @throws {InterruptedError} If it was interrupted; what was read of layers is kept.
 */
export async function loadBundle(request: LoadRequest, openRun: OpenRun): Promise<LoadedBundle> {
  const { paths, verifyKey, onEvent, signal = new AbortController().signal } = request;
  const how = { ...(verifyKey !== undefined && { verifyKey }), signal };
  const keptSums = async (piece: string) => {
    const { findKeptSums } = await import("./discs.ts");
    return await findKeptSums(request.store, piece, signal);
  };
  const found = await findBundle(paths, { ...how, keptSums });
  const isWhole = found.placed.length < 2 || !found.placed.includes(undefined);
  const opened = isWhole
    ? await openFound(found, { ...how, onBytes: tellHashed(emitTo(onEvent)) })
    : undefined;
  const contents = opened && await readAll(opened);
  await using run = await openRun({ hold: "write" });
  try {
    if (!opened || !contents) return await loadDiscs(found, request, run);
    const loaded = await loadAll(opened, contents, request, run);
    // Some of its pieces may have come alone before.
    if (found.placed.length > 1) await new KeptBundles(run.store.path).remove(opened.digest);
    return loaded;
  } catch (error) {
    throw signal.aborted ? new InterruptedError(signal.reason) : error;
  }
}

/** All of it that is small. */
type Contents = Awaited<ReturnType<typeof readAll>>;

async function readAll(opened: OpenedBundle) {
  return {
    ...await readImages(opened),
    artifacts: await readArtifacts(opened),
    referrers: await readReferrers(opened),
  };
}

async function loadDiscs(
  found: FoundBundle,
  request: LoadRequest,
  run: Run,
): Promise<LoadedBundle> {
  const { Discs } = await import("./discs.ts");
  if (!found.sums) throw new TypeError("Cannot take pieces without their sums");
  const next = request.nextPiece ?? (() => Promise.resolve(undefined));
  await using discs = await Discs.open(found, found.sums, run, next);
  try {
    const opened = await readOpened(found, discs.rest);
    const loaded = await loadAll(opened, await readAll(opened), request, run, discs);
    await discs.end();
    return loaded;
  } catch (error) {
    await discs.doubt(error);
    throw error;
  }
}

async function loadAll(
  opened: OpenedBundle,
  { images, indexes, artifacts, referrers }: Contents,
  { from }: LoadRequest,
  run: Run,
  discs?: Discs,
): Promise<LoadedBundle> {
  const { bundle, signedBy } = opened;
  const far = from && new FarRegistry(from, run);
  const { store, emit } = run;
  const sources = [...bundle.sources, ...bundle.artifacts ?? []].map(({ name }) => name);
  const keys = sources.map((name) => `source/${name}`);
  emit({ type: "start", action: "load", sources, keys, store: store.path });
  const items = itemsOf(bundle.sources, images);
  const all = await Promise.all(images.map(async (image): Promise<Loading> => {
    const item = items.get(image.digest) ?? { key: image.digest, name: image.digest };
    const here = await store.find(image.id);
    if (here) refuseOther(item, image, here);
    return { image: { ...image, item }, here, origins: originsOf(image) };
  }));
  const carried = new CarriedImages(run, carrierOf(opened, discs?.layers ?? opened.reader, far));
  await requireBase(opened, all, carried, far);
  const beside = new LoadedReferrers(run, opened);
  await beside.requireBase();
  await store.setup(CONTAINERS);
  await discs?.take(opened, takeOf(bundle, all, carried));
  await using work = await store.workspace();
  const folders = new Map<Loading, string>();
  for (const [at, each] of all.entries()) {
    run.signal.throwIfAborted();
    // The folder that is moved must not be the one that is cleaned up.
    const folder = join(work.path, String(at), "image");
    await guard("make the folder", folder, () => Deno.mkdir(folder, { recursive: true }));
    folders.set(each, folder);
    if (each.here) continue;
    await carried.assemble(each.image, folder).catch((error) => refuseLost(opened, error));
  }
  await beside.unpack(referrers, work.path);
  const others = new LoadedArtifacts(run, opened, basename(opened.path));
  await others.unpack(artifacts, work.path);
  for (const [digest, bytes] of indexes) await store.putFile(digest, bytes);
  const results: ImageResult[] = [];
  for (const [each, folder] of folders) {
    run.signal.throwIfAborted();
    const result = await commit(each, folder, carried, basename(opened.path));
    emit({ type: "image", ...result });
    results.push(result);
  }
  const kept = await beside.commit();
  const loaded = await others.commit(work.path);
  for (const [subject, group] of Map.groupBy(kept, ({ subject }) => subject)) {
    const source = bundle.sources.find(({ digest, images }) =>
      digest === subject || images.includes(subject)
    );
    const item = items.get(subject) ??
      { key: `source/${source?.name}`, name: source?.name ?? subject };
    emit({ type: "referrers", ...item, subject, referrers: group });
  }
  return {
    sources: bundle.sources,
    images: results,
    artifacts: loaded,
    referrers: kept,
    ...(bundle.lock && { lock: bundle.lock }),
    ...(signedBy && { signedBy }),
  };
}

/** An image is called by the first source that has it. */
function itemsOf(
  sources: readonly BundleSource[],
  images: readonly ReadImage[],
): Map<string, ItemName> {
  const platforms = new Map(images.map(({ digest, platform }) => [digest, platform]));
  const items = new Map<string, ItemName>();
  for (const { name, images } of sources) {
    for (const digest of images) {
      if (items.has(digest)) continue;
      const platform = platforms.get(digest);
      // What is for no platform has no other name.
      const own = platform === undefined || platform.startsWith("unknown") ? digest : platform;
      const full = images.length > 1 ? `${name}@${own}` : name;
      items.set(digest, { key: `source/${full}`, name: full });
    }
  }
  return items;
}

function originsOf({ origins }: ReadImage): readonly [Origin, ...Origin[]] {
  const fetched = new Date().toISOString();
  const [first, ...others] = origins.map((origin) => ({ ...origin, fetched }));
  if (!first) throw new TypeError("Cannot load an image that came from nowhere");
  return [first, ...others];
}

function refuseOther({ name }: ItemName, { digest }: ReadImage, here: DirImageData): void {
  if (here.digest === digest) return;
  throw new ContentError(name, `the store has it with the manifest ${here.digest}`, {
    expected: digest,
    actual: here.digest,
    hint: "the bundle has another manifest of the same image: load it into another store",
  });
}

/** What the bundle was made for is listed as a whole, so that who made it can be told. */
async function requireBase(
  { path, bundle }: OpenedBundle,
  all: readonly Loading[],
  carried: CarriedImages,
  far: FarRegistry | undefined,
): Promise<void> {
  const base = new Set(bundle.base.map(({ digest }) => digest));
  const needed = new Map(
    all.filter(({ here }) => !here).flatMap(({ image }) =>
      layersOf(image.manifest).filter(({ digest }) => base.has(digest))
        .map((layer) => [layer.digest, layer] as const)
    ),
  );
  const lacks = (await carried.findMissing([...needed.values()])).map(({ digest }) => digest);
  const missing = far ? await far.findMissing(bundle.sources, lacks) : lacks;
  if (missing.length === 0) return;
  const who = far ? "neither this one nor the registry has" : "this one has not";
  const message = `it was made for a store that has ${missing.join(", ")}, and ${who}`;
  throw new BundleError("BUNDLE_INCOMPLETE", path, message, {
    items: missing,
    hint: "load the bundles before it first, or have it made with a new `stowage bundle receipt`",
  });
}

/** The layers that the bundle has and the store has not, and how they get there. */
function takeOf({ base }: Bundle, all: readonly Loading[], carried: CarriedImages): Take {
  const left = new Set(base.map(({ digest }) => digest));
  const layers = new Map(
    all.filter(({ here }) => !here).flatMap(({ image }) =>
      layersOf(image.manifest).filter(({ digest }) => !left.has(digest))
        .map((layer) => [layer.digest, { layer, image }] as const)
    ),
  );
  return {
    layers: new Map([...layers].map(([digest, { layer }]) => [digest, layer])),
    async fetch(layer) {
      const of = layers.get(layer.digest);
      if (of) await carried.bring(of.image, layer);
    },
  };
}

/** The registry gave no more of a layer that the bundle leaves out. */
function refuseLost({ path }: OpenedBundle, error: unknown): never {
  if (!(error instanceof PlaceError)) throw error;
  const message = `a layer that it leaves out does not come from the registry: ${error.message}`;
  throw new BundleError("BUNDLE_INCOMPLETE", path, message, {
    hint: "run it again: what has come is kept",
    cause: error,
  });
}

function carrierOf(
  { path, blobs }: OpenedBundle,
  reader: PieceReader,
  far: FarRegistry | undefined,
): Carrier {
  return {
    label: basename(path),
    hint: far
      ? "copy the bundle once more from where it was made; if the registry gave it, tell who runs it"
      : "copy the bundle once more from where it was made",
    async open(digest, offset) {
      const there = await far?.open(digest, offset);
      if (there) return there;
      const { start, size } = blobs.get(digest) ?? { start: 0, size: 0 };
      return {
        offset,
        size,
        read: () => reader.read(start + offset, size - offset),
        passOver: () => Promise.resolve(false),
      };
    },
  };
}

async function commit(
  { image, here, origins }: Loading,
  folder: string,
  carried: CarriedImages,
  from: string,
): Promise<ImageResult> {
  const { item, platform } = image;
  if (here) await carried.record(image, folder, here, origins);
  const kept = here ?? await carried.commit(image, folder, origins);
  // Another process may have been first.
  refuseOther(item, image, kept);
  const { id, digest, path, size } = kept;
  return {
    ...item,
    ...{ id, digest, manifest: digest, platform, path, size },
    ...(here ? { status: "cached" } : { status: "fetched", from }),
  };
}
