import { BLOCK, headerOf, padded } from "../../lib/archive/tar_header.ts";
import { digestOf, writeAll } from "../../lib/fs/files.ts";

/** What a manifest or an index says of a blob, but for its type. */
export interface WrittenBlob {
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
  /** In bytes. */
  readonly size: number;
}

/**
 * Writes an OCI image layout as an archive from the start, so that what is large is written once, where
 * it stays: https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
 */
export class LayoutWriter implements Disposable {
  readonly #digests = new Set<string>();
  /** Where the next header goes. */
  #end = 0;

  private constructor(private readonly file: Deno.FsFile, private readonly epoch: number) {}

  /**
   * Begins an archive.
   *
   * @param path The file; nothing may be there.
   * @param epoch The time of all that is in it, in seconds since 1970.
   * @returns What writes it.
   */
  static async create(path: string, epoch: number): Promise<LayoutWriter> {
    const file = await Deno.open(path, { write: true, createNew: true });
    const writer = new LayoutWriter(file, epoch);
    for (const folder of ["blobs/", "blobs/sha256/"]) await writer.#file(folder);
    return writer;
  }

  /**
   * Adds a blob that is hashed while it is written. One that is there already is not there twice.
   *
   * @param write Writes it; tells its digest and size.
   * @returns What `write` has told.
   */
  async stream<Blob extends WrittenBlob>(
    write: (to: WritableStream<Uint8Array>) => Promise<Blob>,
  ): Promise<Blob> {
    await this.file.seek(this.#end + BLOCK, Deno.SeekMode.Start);
    const blob = await write(
      new WritableStream({ write: (chunk) => writeAll(this.file, chunk) }),
    );
    await this.#blob(blob);
    return blob;
  }

  /**
   * Adds a blob.
   *
   * @param bytes The blob.
   * @returns Its digest and size.
   */
  async blob(bytes: Uint8Array): Promise<WrittenBlob> {
    const blob = { digest: digestOf(bytes), size: bytes.length };
    await this.#blob(blob, bytes);
    return blob;
  }

  /**
   * Adds what a layout begins with, and ends the archive.
   *
   * @param index What `index.json` says.
   */
  async end(index: object): Promise<void> {
    const encoder = new TextEncoder();
    for (
      const [name, content] of [
        ["index.json", index],
        ["oci-layout", { imageLayoutVersion: "1.0.0" }],
      ] as const
    ) {
      const bytes = encoder.encode(JSON.stringify(content));
      await this.#file(name, bytes.length, bytes);
    }
    // What was there twice may be longer than all that came after it.
    await this.file.truncate(this.#end);
    await this.file.truncate(this.#end + 2 * BLOCK);
  }

  async #blob({ digest, size }: WrittenBlob, bytes?: Uint8Array): Promise<void> {
    if (this.#digests.has(digest)) return;
    this.#digests.add(digest);
    await this.#file(`blobs/${digest.replace(":", "/")}`, size, bytes);
  }

  /** Adds a file or a folder, whose content may be there already, where its header ends. */
  async #file(name: string, size = 0, bytes?: Uint8Array): Promise<void> {
    await this.file.seek(this.#end, Deno.SeekMode.Start);
    await writeAll(this.file, headerOf(name, size, this.epoch));
    if (bytes) await writeAll(this.file, bytes);
    const end = this.#end + BLOCK + size;
    this.#end += BLOCK + padded(size);
    await this.file.seek(end, Deno.SeekMode.Start);
    await writeAll(this.file, new Uint8Array(this.#end - end));
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.file.close();
  }
}
