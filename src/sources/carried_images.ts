import { join } from "@std/path";
import type { ItemName } from "../events.ts";
import { guard } from "../lib/fs/files.ts";
import type { Run } from "../run.ts";
import type { LayerName } from "../store/blobs.ts";
import { blobPath, type DirImageData } from "../store/image.ts";
import { blobsOf, type ImageManifest, layersOf } from "../store/manifest.ts";
import type { Origin } from "../store/origin.ts";
import { DigestPool } from "../tools/hash/digest_pool.ts";
import type { BlobStream } from "../transports/docker/registries.ts";
import { LayerFetcher, type LayersOf } from "./layer_fetcher.ts";
import { HASH_THREADS } from "./layers.ts";
import { keepSignatures } from "./signatures.ts";
import { Traffic } from "./traffic.ts";
import { verifyImage } from "./verify.ts";

/** Where images were carried here in. */
export interface Carrier {
  /** As a person reads it. */
  readonly label: string;
  /** What to do where it is damaged. */
  readonly hint: string;
  /**
   * Gives the bytes of a layer.
   *
   * @param digest The layer.
   * @param offset Where they begin.
   * @returns The bytes.
   * @throws {Absence} If they cannot be had.
   */
  open(digest: string, offset: number): BlobStream | Promise<BlobStream>;
}

/** An image that was carried here, with all of it but its layers. */
export interface CarriedImage {
  /** Whom it is for. */
  readonly item: ItemName;
  /** Image id. */
  readonly id: string;
  /** Digest of its manifest. */
  readonly digest: string;
  /** The bytes of its manifest. */
  readonly manifestBytes: Uint8Array;
  /** Its manifest. */
  readonly manifest: ImageManifest;
  /** The bytes of its config. */
  readonly config: Uint8Array;
  /** Its signatures, as the `dir` transport has them. */
  readonly signatureBytes: readonly Uint8Array[];
}

/** What the `dir` transport of containers/image has in the file `version`. */
const VERSION = "Directory Transport Version: 1.1\n";

/** Takes images into the store that were carried here, as those of registries are taken. */
export class CarriedImages {
  readonly #digests: DigestPool;
  readonly #traffic: Traffic;
  readonly #layers: LayerFetcher<LayersOf>;

  /**
   * @param run What the run gives.
   * @param carrier Where they were carried in.
   */
  constructor(private readonly run: Run, private readonly carrier: Carrier) {
    this.#digests = run.scratch.use(new DigestPool(run.signal, HASH_THREADS));
    this.#traffic = new Traffic(run.emit);
    this.#layers = new LayerFetcher(
      run,
      async (_, digest, { offset }) => await carrier.open(digest, offset),
      this.#digests,
      (_, action) => action(),
    );
  }

  /**
   * Looks for layers in the store; they are hashed.
   *
   * @param layers The layers.
   * @returns Those that it does not have, or not as they are called.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async findMissing(layers: readonly LayerName[]): Promise<LayerName[]> {
    const missing: LayerName[] = [];
    for (const layer of layers) {
      if (!await this.run.store.blobs.find(layer, this.#digests)) missing.push(layer);
    }
    return missing;
  }

  /**
   * Brings one layer of an image into the pool, ahead of the others.
   *
   * @param image The image.
   * @param layer The layer.
   * @throws {ContentError} If it is not what it is called.
   * @throws {StoreError} If the store cannot be written.
   * @throws {InterruptedError} If the run was interrupted; what has come is kept.
   */
  async bring(image: CarriedImage, layer: LayerName): Promise<void> {
    await this.#layers.fetch(this.#of(image), [layer], this.run.signal);
  }

  #of({ item, manifest }: CarriedImage): LayersOf {
    const { label, hint } = this.carrier;
    const traffic = this.#traffic.open(item, blobsOf(manifest));
    return { item, place: { label }, traffic, damaged: hint };
  }

  /**
   * Puts an image together, and verifies it as one that was fetched; the store's pool has its
   * layers then. What of them is there already is not read again.
   *
   * @param image The image.
   * @param folder The folder that it is put into; it has to be there, empty, and in a workspace of
   * the store.
   * @throws {ContentError} If something is not what it is called.
   * @throws {StoreError} If the store cannot be written.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async assemble(image: CarriedImage, folder: string): Promise<void> {
    const { item, id, manifest, config } = image;
    const { store, signal } = this.run;
    const of = this.#of(image);
    const layers = await this.#layers.fetch(of, layersOf(manifest), signal);
    of.traffic.add("fetched", manifest.config.size, manifest.config.digest);
    await guard("store an image in", folder, async () => {
      const write = (path: string, bytes: Uint8Array) =>
        Deno.writeFile(path, bytes, { createNew: true });
      await write(join(folder, "manifest.json"), image.manifestBytes);
      await write(join(folder, "version"), new TextEncoder().encode(VERSION));
      await write(blobPath(folder, id), config);
      await this.#writeSignatures(image, folder);
      for (const layer of layers) await store.blobs.link(layer, blobPath(folder, layer.digest));
    });
    const wanted = { name: item.name, source: item.name, imageId: id };
    const place = { label: this.carrier.label, keepsManifest: true };
    const found = { digest: image.digest, manifest, place };
    const hashed = new Map(layers.map(({ digest, diffId }) => [digest, diffId]));
    await verifyImage({ folder, hashed }, wanted, found, this.#digests);
  }

  /**
   * Moves an image to its place in the store.
   *
   * @param image The image.
   * @param folder The folder that it was put into.
   * @param origins Where it came from.
   * @returns The image in the store.
   * @throws {StoreError} If the store cannot be written.
   */
  async commit(
    image: CarriedImage,
    folder: string,
    origins: readonly [Origin, ...Origin[]],
  ): Promise<DirImageData> {
    const { store } = this.run;
    const [first, ...others] = origins;
    const kept = await store.commit(folder, image.id, first);
    for (const origin of others) await store.addOrigin(image.id, origin);
    // Where another was first, its image stays, and these stay in the folder.
    await this.#addSignatures(image, folder, kept);
    return kept;
  }

  /**
   * Records where an image came from that the store has already, and keeps its signatures.
   *
   * @param image The image.
   * @param folder An empty folder in a workspace of the store.
   * @param here The image as the store has it.
   * @param origins Where it came from.
   * @throws {StoreError} If the store cannot be written.
   */
  async record(
    image: CarriedImage,
    folder: string,
    here: DirImageData,
    origins: readonly Origin[],
  ): Promise<void> {
    await guard("write", folder, () => this.#writeSignatures(image, folder));
    await this.#addSignatures(image, folder, here);
    for (const origin of origins) await this.run.store.addOrigin(image.id, origin);
  }

  async #writeSignatures({ signatureBytes }: CarriedImage, folder: string): Promise<void> {
    for (const [at, bytes] of signatureBytes.entries()) {
      await Deno.writeFile(join(folder, `signature-${at + 1}`), bytes, { createNew: true });
    }
  }

  async #addSignatures({ digest, id }: CarriedImage, folder: string, here: DirImageData) {
    if (here.digest === digest) {
      await keepSignatures(folder, here.path, this.run.store.entryPath(id));
    }
  }
}
