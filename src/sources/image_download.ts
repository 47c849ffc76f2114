import { dirname, join } from "@std/path";
import type { Run } from "../run.ts";
import type { Platform, Reference } from "../../config/mod.ts";
import { ContentError } from "../errors/mod.ts";
import type { ItemName } from "../events.ts";
import { Unserved } from "../transports/docker/errors.ts";
import type { LayerName, PooledLayer } from "../store/blobs.ts";
import { KeyedMutex } from "../lib/async/keyed_mutex.ts";
import { guard, sizeOf } from "../lib/fs/files.ts";
import { blobPath } from "../store/image.ts";
import { nameIn, reachCache } from "./caches.ts";
import { blobsOf, type ImageManifest, layersOf, sizeOfImage } from "../store/manifest.ts";
import type { DigestPool } from "../tools/hash/digest_pool.ts";
import { LayerFetcher, type LayersOf } from "./layer_fetcher.ts";
import type { Place } from "../transports/mod.ts";
import type { BlobStream, Registries } from "../transports/docker/registries.ts";
import type { Resolved } from "./resolve.ts";
import type { Wanted } from "./wanted.ts";
import type { CopyInto, SkopeoRunner } from "./skopeo_runner.ts";
import type { Traffic } from "./traffic.ts";
import { type VerifiedImage, verifyImage } from "./verify.ts";

/** What images are downloaded with. */
export interface DownloadTools {
  /** Runs skopeo. */
  readonly skopeo: SkopeoRunner;
  /** Gives the bytes of layers. */
  readonly registries: Registries;
  /** Hashes layers. */
  readonly digests: DigestPool;
}

/**
 * Downloads images. skopeo takes manifest, config and signatures and asks the policy; the layers of
 * registries go into the store's pool, so that each comes once and goes on where it was cut. Where
 * that cannot be, and from other places, skopeo takes the layers too.
 */
export class ImageDownloads {
  readonly #layers: LayerFetcher<OfRegistry>;
  readonly #turns = new KeyedMutex();
  /** Registries of which it was told that only skopeo can read layers. */
  readonly #alone = new Set<string>();

  private readonly skopeo: SkopeoRunner;
  private readonly digests: DigestPool;

  /**
   * @param run The run.
   * @param traffic Counts bytes.
   * @param tools What they are downloaded with.
   */
  constructor(
    private readonly run: Run,
    private readonly traffic: Traffic,
    { skopeo, registries, digests }: DownloadTools,
  ) {
    this.skopeo = skopeo;
    this.digests = digests;
    this.#layers = new LayerFetcher(
      run,
      (of, digest, options) => openLayer(of, digest, options, run, registries),
      digests,
      ({ item, place }, action) => skopeo.withRetry(item, place, action),
    );
  }

  /**
   * Says what an item has, before its turn has come.
   *
   * @param key The item's key.
   * @param manifest Its manifest, where its place tells it before the download.
   */
  async expect(key: string, manifest: ImageManifest | undefined): Promise<void> {
    if (!manifest) return;
    const { blobs } = this.run.store;
    const here = await Promise.all(
      layersOf(manifest).map(async (layer) => [layer.digest, await blobs.sizeOf(layer)] as const),
    );
    this.traffic.expect(key, blobsOf(manifest), new Map(here));
  }

  /**
   * Downloads an image and verifies it.
   *
   * @param wanted What it must be.
   * @param found What its place says of it.
   * @param work A workspace of the store.
   * @param platform The platform to choose, where skopeo has to.
   * @returns The image, in a folder of the workspace; the pool has its layers.
   * @throws {Absence} If the place does not give it.
   * @throws {StowageError} If it is not what it must be, or cannot be stored.
   */
  async download(
    wanted: Wanted,
    found: Resolved,
    work: string,
    platform: Platform | undefined,
  ): Promise<VerifiedImage & { readonly mirror?: string | undefined }> {
    const { store } = this.run;
    // The folder that is moved must not be the one that is cleaned up.
    const folder = join(work, "archive", "image");
    const into = { folder, work, anew: () => makeAnew(folder) };
    const pooled = await this.#withPool(wanted, found, into);
    if (pooled && "layers" in pooled) {
      const { layers, mirror } = pooled;
      const arrived = { folder, hashed: diffIdsOf(layers) };
      return { ...await verifyImage(arrived, wanted, found, this.digests), mirror };
    }
    const verified = await this.#inTurn(found, async () => {
      const { layers: kept, mirror } = await this.#withSkopeo(wanted, found, into, platform);
      const known = diffIdsOf(kept);
      const arrived = { folder: into.folder, hashed: known };
      const verified = await verifyImage(arrived, wanted, found, this.digests);
      for (const [index, layer] of verified.image.manifest.layers.entries()) {
        const diffId = verified.config.rootfs.diff_ids[index] ?? layer.digest;
        const file = blobPath(into.folder, layer.digest);
        if (!known.has(layer.digest)) await store.blobs.adopt(file, layer, diffId, this.digests);
      }
      return { ...verified, mirror };
    });
    if (pooled) this.#tellAlone(found.place, pooled.why);
    return verified;
  }

  /** Of images of registries that share a layer, one after the other is fetched by skopeo. */
  #inTurn<Value>({ image, manifest }: Resolved, action: () => Promise<Value>): Promise<Value> {
    if (!image.inRegistry || !manifest) return action();
    // Each waits for those before it in the same order, so that none waits for itself.
    return layersOf(manifest).map(({ digest }) => digest).sort().reduceRight(
      (next, digest) => () => this.#turns.take(digest, next),
      action,
    )();
  }

  #tellAlone({ reference }: Place, why: string): void {
    const domain = reference?.domain ?? "";
    if (this.#alone.has(domain)) return;
    this.#alone.add(domain);
    const message =
      `only skopeo can read layers of "${domain}", as ${why}: one that is cut begins ` +
      "anew in each try";
    this.run.emit({ type: "notice", code: "SKOPEO_ONLY", message });
  }

  /** Says why where only skopeo can fetch it; nothing where that is the usual. */
  async #withPool(
    item: ItemName,
    { place, image, manifest }: Resolved,
    into: CopyInto,
  ): Promise<Copied | { readonly why: string } | undefined> {
    const { inRegistry: reference } = image;
    if (!reference || !manifest) return undefined;
    const { signal, store, trust } = this.run;
    const registriesConf = await trust.readRegistriesConf();
    if (registriesConf === undefined) return { why: "it alone knows this user's registries.conf" };
    // No byte of a layer comes before the policy has let the image pass.
    const isOpen = await trust.acceptsAny(item.name, place);
    const layers = layersOf(manifest);
    const traffic = this.traffic.open(item, blobsOf(manifest));
    const stop = new AbortController();
    const fetch = () =>
      this.#layers.fetch(
        { item, place, reference, traffic },
        layers,
        AbortSignal.any([signal, stop.signal]),
      );
    const early = isOpen ? fetch() : undefined;
    early?.catch(() => {});
    try {
      const mirror = await this.skopeo.withRetry(item, place, async () => {
        const leftOut = { layers, registriesConf };
        return await this.skopeo.copy(item, { place, image }, into, { leftOut });
      });
      const pooled = await (early ?? fetch());
      for (const layer of pooled) {
        await store.blobs.link(layer, blobPath(into.folder, layer.digest));
      }
      traffic.add("fetched", manifest.config.size, manifest.config.digest);
      return { layers: pooled, mirror };
    } catch (error) {
      stop.abort(error);
      await early?.catch(() => {});
      traffic.forget();
      if (!(error instanceof Unserved)) throw error;
      return { why: error.message };
    }
  }

  /** Gives the layers that need not be fetched, as the pool has them. */
  async #withSkopeo(
    item: ItemName,
    { place, image, manifest }: Resolved,
    into: CopyInto,
    platform: Platform | undefined,
  ): Promise<Copied> {
    const { store, trust } = this.run;
    const isShared = image.inRegistry !== undefined && manifest !== undefined;
    const registriesConf = isShared ? await trust.readRegistriesConf() : undefined;
    let isAgain = false;
    return await this.skopeo.withRetry(item, place, async () => {
      if (isAgain && isShared) await this.#keep(layersOf(manifest), into);
      isAgain = true;
      const layers = registriesConf && manifest ? await this.#findAll(layersOf(manifest)) : [];
      const total = manifest && sizeOfImage(manifest);
      const traffic = this.traffic.open(item, total);
      const here = layers.reduce((sum, { size }) => sum + size, 0);
      if (here > 0) traffic.add("shared", here);
      let before = here;
      const onBytes = (bytes: number) => {
        // The folder also holds what no manifest counts, such as the file `version`.
        const now = Math.max(before, Math.min(bytes, total ?? bytes));
        traffic.add("fetched", now - before);
        before = now;
      };
      const leftOut = registriesConf && layers.length > 0 ? { layers, registriesConf } : undefined;
      let mirror: string | undefined;
      try {
        const options = { platform, ...leftOut && { leftOut } };
        mirror = await this.skopeo.copy(item, { place, image }, { ...into, onBytes }, options);
        if (total !== undefined) onBytes(total);
      } catch (error) {
        traffic.forget();
        throw error;
      }
      for (const layer of layers) {
        await store.blobs.link(layer, blobPath(into.folder, layer.digest));
      }
      return { layers, mirror };
    });
  }

  async #findAll(layers: readonly LayerName[]): Promise<PooledLayer[]> {
    const { store } = this.run;
    const found = await Promise.all(layers.map((layer) => store.blobs.find(layer, this.digests)));
    return found.filter((layer) => layer !== undefined);
  }

  /** Puts layers into the pool that came whole before another one failed. */
  async #keep(layers: readonly LayerName[], { folder }: CopyInto): Promise<void> {
    const { store } = this.run;
    for (const layer of layers) {
      const path = blobPath(folder, layer.digest);
      if (await sizeOf(path) !== layer.size || await store.blobs.has(layer)) continue;
      const { digest, unpacked } = await this.digests.digest({ path, unpack: true });
      if (digest === layer.digest && unpacked) {
        await store.blobs.adopt(path, layer, unpacked, this.digests);
      }
    }
  }
}

/**
 * Where machines share layers, a cache is asked for each before the image's own place: that of
 * another image may have come there in the meantime.
 */
async function openLayer(
  { reference, place: { how }, item }: OfRegistry,
  digest: string,
  options: { readonly offset: number; readonly signal: AbortSignal },
  { caches, leftCaches, sharesLayers, reach }: Run,
  registries: Registries,
): Promise<BlobStream> {
  for (const cache of sharesLayers ? caches : []) {
    const name = nameIn(cache);
    if (leftCaches.has(cache, "read")) continue;
    // Then it has them all.
    if (name.domain === reference.domain && name.path === reference.path) break;
    try {
      const of = { reference: name, how: reachCache(cache, { reach }) };
      const stream = await registries.blob(of, digest, options);
      const wrong = new ContentError(item.name, `a layer in the cache is not ${digest}`);
      return {
        ...stream,
        passOver: () => Promise.resolve(leftCaches.passOver(cache, wrong, "read")),
      };
    } catch (error) {
      if (options.signal.aborted || !leftCaches.passOver(cache, error, "read")) throw error;
    }
  }
  return await registries.blob({ reference, how }, digest, options);
}

/** An image of a registry whose layers are fetched. */
interface OfRegistry extends LayersOf {
  /** The registry. */
  readonly place: Place;
  /** What the image is called there. */
  readonly reference: Reference;
}

/** Their digests without compression, by their digests. */
function diffIdsOf(layers: readonly PooledLayer[]): Map<string, string> {
  return new Map(layers.map(({ digest, diffId }) => [digest, diffId]));
}

/** What skopeo has copied. */
interface Copied {
  /** The layers that need not be hashed again. */
  readonly layers: readonly PooledLayer[];
  /** The mirror that has given it, if one has. */
  readonly mirror: string | undefined;
}

/** Makes room for the image, alone in the folder that it is in; its own is skopeo's to make. */
async function makeAnew(folder: string): Promise<void> {
  const around = dirname(folder);
  await Deno.remove(around, { recursive: true }).catch(() => {});
  await guard("make the folder", around, () => Deno.mkdir(around, { mode: 0o755 }));
}
