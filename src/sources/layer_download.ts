import type { LayerName, PartialLayer } from "../store/blobs.ts";
import type { DigestPool, FollowedFile } from "../tools/hash/digest_pool.ts";
import type { FileDigests } from "../tools/hash/digest_file.ts";
import { guard } from "../lib/fs/files.ts";
import { Absence } from "../transports/absence.ts";
import type { BlobStream } from "../transports/docker/registries.ts";
import type { ImageTraffic, Way } from "./traffic.ts";

/** What is read and written at a time, in bytes. */
const BUFFER = 256 * 1024;
/** How much is sent to the disk at a time, so that there is little left to wait for, in bytes. */
const SYNC_EVERY = 32 * 2 ** 20;

/** Fills a file with a layer, in as many pieces as it takes, while another core hashes it. */
export class LayerDownload implements AsyncDisposable {
  #stream: BlobStream | undefined;
  #hash: FollowedFile | undefined;
  #size = 0;
  /** How many of them an earlier try has left. */
  #resumed = 0;
  #isPieced = false;
  #synced = 0;
  #syncing: Promise<void> | undefined;

  /**
   * @param partial The file.
   * @param layer The layer.
   * @param traffic Counts its bytes.
   * @param digests Hashes it.
   */
  constructor(
    private readonly partial: PartialLayer,
    private readonly layer: LayerName,
    private readonly traffic: ImageTraffic,
    private readonly digests: DigestPool,
  ) {}

  /** How many bytes are there. */
  get size(): number {
    return this.#size;
  }

  /** Whether all bytes are there. */
  get isWhole(): boolean {
    return this.#size >= this.layer.size;
  }

  /** Whether they came in several tries, of which one may have been of something else. */
  get isPieced(): boolean {
    return this.#isPieced;
  }

  /** Goes on from what an earlier try has left in the file. */
  async resume(): Promise<void> {
    const { file } = this.partial;
    const { size } = await file.stat();
    if (size > this.layer.size) await file.truncate();
    this.#size = this.#resumed = await file.seek(0, Deno.SeekMode.End);
    this.#isPieced = this.#size > 0;
    if (this.#isPieced) this.#count("resumed", this.#size);
  }

  /** Begins anew, as what is there is of no use. */
  async restart(): Promise<void> {
    if (this.#hash) await this.end();
    this.#count("resumed", -this.#resumed);
    this.#count("fetched", this.#resumed - this.#size);
    this.#size = this.#resumed = 0;
    this.#isPieced = false;
    const { file } = this.partial;
    await file.truncate();
    await file.seek(0, Deno.SeekMode.Start);
  }

  /**
   * Takes the bytes that follow.
   *
   * @param stream The bytes, and where they begin: some registries know the start only.
   * @returns Whether the layer is whole; if not, it is shorter there, or goes on behind its end.
   * @throws {Absence} If they are cut; what came by then is kept.
   * @throws {StoreError} If they cannot be stored.
   */
  async take(stream: BlobStream): Promise<boolean> {
    this.#stream = stream;
    const { offset, size = this.layer.size, read } = stream;
    if (offset !== this.#size) await this.restart();
    if (offset !== this.#size) {
      const message = `it begins at byte ${offset}, which nobody asked for`;
      throw new Absence("unreachable", message, { isTransient: true });
    }
    this.#isPieced ||= offset > 0;
    this.#follow();
    for await (const bytes of read(BUFFER)) {
      if (bytes.length > this.layer.size - this.#size) return false;
      await this.#write(bytes);
      this.#size += bytes.length;
      this.#hash?.grow(this.#size);
      this.#count("fetched", bytes.length);
      this.#sync();
    }
    if (this.isWhole || size !== this.layer.size) return this.isWhole;
    const words = `the layer ended after ${this.#size} of ${size} bytes`;
    throw new Absence("unreachable", words, { isTransient: true });
  }

  #count(way: Way, bytes: number): void {
    this.traffic.add(way, bytes, this.layer.digest);
  }

  #sync(): void {
    if (this.#syncing || this.#size - this.#synced < SYNC_EVERY) return;
    this.#synced = this.#size;
    // What cannot be written is told where the file is kept.
    this.#syncing = this.partial.file.syncData().catch(() => {}).finally(() =>
      this.#syncing = undefined
    );
  }

  #follow(): FollowedFile {
    const request = { path: this.partial.path, unpack: true };
    const hash = this.#hash ??= this.digests.follow(request, this.layer.size);
    hash.grow(this.#size);
    return hash;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const { file, path } = this.partial;
    await guard("store a layer at", path, async () => {
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    });
  }

  /**
   * Asks last whoever sent the bytes that came last.
   *
   * @returns Whether another place may have the layer.
   */
  async passOver(): Promise<boolean> {
    return await this.#stream?.passOver() ?? false;
  }

  /**
   * Ends the hashing.
   *
   * @returns The digests of what is there.
   */
  async end(): Promise<FileDigests> {
    const hash = this.#follow();
    this.#hash = undefined;
    const [digests] = await Promise.all([hash.end(), this.#syncing]);
    return digests;
  }

  /** Lets go of the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#hash?.end(), this.#syncing]);
  }
}
