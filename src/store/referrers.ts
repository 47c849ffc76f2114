import { join } from "@std/path";
import * as v from "valibot";
import { isDigest } from "../../config/mod.ts";
import { Digest } from "../../config/schema_parts.ts";
import { guard, list, lockFolder, sizeOf, sync, writeAtomically } from "../lib/fs/files.ts";
import { FILE_MODE, makeFolder } from "../lib/fs/modes.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON, readJson } from "../lib/json.ts";
import { refuseLinks } from "./own_folders.ts";

const Size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const ReferrerSchema = v.object({
  /** Digest of its manifest. */
  digest: Digest,
  /** Size of its manifest in bytes. */
  size: Size,
  /** What it is: its artifactType, else the media type of its config or of its first layer. */
  kind: v.string(),
  /** The tag that it is found by, where that is how it refers to something, as cosign's do. */
  tag: v.exactOptional(v.pipe(v.string(), v.regex(/^sha256-[0-9a-f]{64}\.[a-z]+$/))),
  /** The repository that it came from. */
  from: v.string(),
  /** When it came. */
  fetched: v.pipe(v.string(), v.isoTimestamp()),
  /** Its config and layers, each once. */
  blobs: v.array(v.object({ digest: Digest, size: Size })),
});

const RecordSchema = v.object({ schema: v.literal(1), referrers: v.array(ReferrerSchema) });

/** What refers to an image or an index of the store: a signature, an SBOM, an attestation. */
export type StoredReferrer = v.InferOutput<typeof ReferrerSchema>;

/**
 * Tells whether a referrer is wanted.
 *
 * @param wanted All, or which kinds.
 * @param kind What it is.
 * @returns Whether it is.
 */
export function isOfKind(wanted: true | readonly string[], kind: string): boolean {
  return wanted === true || wanted.includes(kind);
}

/** What says which files are what, beside them. It is written last. */
export const REFERRERS_RECORD = "referrers.json";

/**
 * What refers to the images and indexes of a store, a folder for each of those, by its digest: a
 * record, and manifests and blobs called by their digests. They are not in the pool, whose layers
 * can be unpacked, nor in an image's entry, as an index is of several.
 */
export class Referrers {
  /**
   * @param path The folder; it need not be there yet.
   * @param store The store's folder.
   */
  constructor(readonly path: string, private readonly store: string) {}

  /**
   * Lists what has referrers.
   *
   * @returns Digests of images and indexes.
   * @throws {StoreError} If the store cannot be read.
   */
  async subjects(): Promise<string[]> {
    return await guard("read", this.path, async () => (await list(this.path)).filter(isDigest));
  }

  /**
   * Reads what is kept of what refers to something.
   *
   * @param subject Digest of an image or an index.
   * @returns The referrers, in the order in which they came; `undefined` if nothing says it.
   * @throws {StoreError} If the store cannot be read.
   */
  async of(subject: string): Promise<readonly StoredReferrer[] | undefined> {
    const folder = this.folder(subject);
    return await guard("read", folder, async () => {
      const bytes = await readRegular(join(folder, REFERRERS_RECORD), MAX_JSON);
      const read = bytes && readJson(bytes);
      const record = read && "json" in read ? v.safeParse(RecordSchema, read.json) : undefined;
      return record?.success ? record.output.referrers : undefined;
    });
  }

  /**
   * Tells whether a file need not be fetched; it is not hashed.
   *
   * @param subject Digest of the image or the index.
   * @param file A manifest or a blob.
   * @returns Whether such a file is there.
   */
  async has(
    subject: string,
    { digest, size }: { readonly digest: string; readonly size: number },
  ): Promise<boolean> {
    return await sizeOf(this.file(subject, digest)) === size;
  }

  /**
   * Takes what refers to something. What came before stays; of a tag, the latest counts.
   *
   * @param subject Digest of the image or the index.
   * @param added What is new.
   * @param work A workspace of the store that has what is new of their files, called as they are
   * kept, verified.
   * @returns All that is kept then.
   * @throws {StoreError} If the store cannot be written.
   */
  async add(
    subject: string,
    added: readonly StoredReferrer[],
    work: string,
  ): Promise<readonly StoredReferrer[]> {
    const folder = this.folder(subject);
    return await guard("keep referrers in", folder, async () => {
      await refuseLinks(this.store, "referrers");
      await makeFolder(folder);
      using _lock = await lockFolder(folder);
      for (const name of await list(work)) {
        const path = join(work, name);
        await Deno.chmod(path, FILE_MODE);
        await sync(path);
        await Deno.rename(path, join(folder, name));
      }
      await sync(folder);
      const isOther = (one: StoredReferrer) =>
        !added.some(({ digest, tag }) =>
          tag === undefined ? digest === one.digest : tag === one.tag
        );
      const referrers = [...(await this.of(subject) ?? []).filter(isOther), ...added];
      const text = `${JSON.stringify({ schema: 1, referrers }, undefined, 2)}\n`;
      await writeAtomically(join(folder, REFERRERS_RECORD), text, work);
      await sync(folder);
      await sync(this.path);
      return referrers;
    });
  }

  /**
   * The folder of what refers to something.
   *
   * @param subject Digest of the image or the index.
   * @returns The folder, there or not.
   */
  folder(subject: string): string {
    if (!isDigest(subject)) throw new TypeError(`Cannot make a path of "${subject}"`);
    return join(this.path, subject);
  }

  /**
   * Where a manifest or a blob is.
   *
   * @param subject Digest of the image or the index.
   * @param digest Its digest.
   * @returns The file, there or not.
   */
  file(subject: string, digest: string): string {
    if (!isDigest(digest)) throw new TypeError(`Cannot make a path of "${digest}"`);
    return join(this.folder(subject), digest.slice("sha256:".length));
  }
}
