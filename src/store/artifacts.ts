import { join } from "@std/path";
import * as v from "valibot";
import { isDigest } from "../../config/mod.ts";
import {
  guard,
  listFolders,
  lockFolder,
  sync,
  syncTree,
  writeAtomically,
} from "../lib/fs/files.ts";
import { makeFolder, openForAll } from "../lib/fs/modes.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON, readJson } from "../lib/json.ts";
import { type ArtifactResult, type ItemName, nameOf } from "../events.ts";
import { see } from "./check.ts";
import { type DirImageData, readDirImage } from "./image.ts";
import type { ImageManifest } from "./manifest.ts";
import { refuseLinks } from "./own_folders.ts";

const OriginSchema = v.object({
  /** What it was asked for by, such as `docker://ghcr.io/acme/chart:1.4`. */
  reference: v.string(),
  /** When it came. */
  fetched: v.pipe(v.string(), v.isoTimestamp()),
});

const RecordSchema = v.object({ schema: v.literal(1), origins: v.array(OriginSchema) });

/** Where an artifact came from. */
export type ArtifactOrigin = v.InferOutput<typeof OriginSchema>;

/** An artifact of the store: what a registry keeps that is no image. */
export interface StoredArtifact extends Omit<DirImageData, "id"> {
  /** What it is: its `artifactType`, or the media type of its config. */
  readonly kind: string;
}

/** What says where an artifact came from, beside it. */
const RECORD = "origin.json";
/** As many places are kept of one artifact. */
const MAX_ORIGINS = 50;

/**
 * The artifacts of a store, a folder for each by the digest of its manifest: in the format of the
 * `dir` transport, signatures included, and where it came from. They are not beside images, which
 * osbuild finds by their ids, and their blobs are no layers.
 */
export class Artifacts {
  /**
   * @param path The folder; it need not be there yet.
   * @param store The store's folder.
   */
  constructor(readonly path: string, private readonly store: string) {}

  /**
   * Lists the artifacts.
   *
   * @returns The digests of all, whole or not.
   * @throws {StoreError} If the store cannot be read.
   */
  async digests(): Promise<string[]> {
    return await guard("read", this.path, async () => {
      return (await listFolders(this.path)).filter(isDigest).sort();
    });
  }

  /**
   * Finds an artifact.
   *
   * @param digest Digest of its manifest.
   * @returns The artifact; `undefined` if it is not there, or not whole. Bytes are not hashed.
   * @throws {StoreError} If the store cannot be read.
   */
  async find(digest: string): Promise<StoredArtifact | undefined> {
    const path = this.content(digest);
    return await guard("read", path, async () => {
      if ((await see(this.folder(digest))).type !== "folder") return undefined;
      const found = await readDirImage(path);
      if ("missing" in found || found.digest !== digest) return undefined;
      const { id: _, ...artifact } = found;
      return { ...artifact, kind: kindOf(found.manifest) };
    });
  }

  /**
   * Finds the artifact that was fetched last by a reference.
   *
   * @param reference The reference.
   * @returns The artifact, if there is one.
   * @throws {StoreError} If the store cannot be read.
   */
  async findBy(reference: string): Promise<StoredArtifact | undefined> {
    const found = await Promise.all((await this.digests()).map(async (digest) => {
      const origins = await this.origins(digest);
      const own = origins.filter((origin) => origin.reference === reference);
      const fetched = own.map(({ fetched }) => fetched).sort().at(-1);
      const artifact = fetched === undefined ? undefined : await this.find(digest);
      return artifact && fetched !== undefined ? [{ fetched, artifact }] : [];
    }));
    return found.flat().sort((a, b) => a.fetched < b.fetched ? 1 : -1)[0]?.artifact;
  }

  /**
   * Tells where an artifact came from.
   *
   * @param digest Digest of its manifest.
   * @returns The places, the latest last.
   * @throws {StoreError} If the store cannot be read.
   */
  async origins(digest: string): Promise<readonly ArtifactOrigin[]> {
    const path = join(this.folder(digest), RECORD);
    return await guard("read", path, async () => {
      const bytes = await readRegular(path, MAX_JSON);
      const read = bytes && readJson(bytes);
      const record = read && "json" in read ? v.safeParse(RecordSchema, read.json) : undefined;
      return record?.success ? record.output.origins : [];
    });
  }

  /**
   * Moves a verified artifact to its place. What is there whole stays.
   *
   * @param folder The artifact, in a workspace of the store, in the format of the `dir` transport.
   * @param digest Digest of its manifest, verified.
   * @param reference What it was asked for by.
   * @param work The workspace.
   * @returns The artifact in its place.
   * @throws {StoreError} If the store cannot be written.
   */
  async commit(
    folder: string,
    digest: string,
    reference: string,
    work: string,
  ): Promise<StoredArtifact> {
    const entry = this.folder(digest);
    return await guard("store an artifact in", entry, async () => {
      await openForAll(folder);
      await syncTree(folder);
      await refuseLinks(this.store, "artifacts");
      await makeFolder(entry);
      using _lock = await lockFolder(entry);
      if (!await this.find(digest)) {
        const target = this.content(digest);
        // What is not whole goes with the workspace.
        await Deno.rename(target, join(work, "broken")).catch((error) => {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        });
        await Deno.rename(folder, target);
      }
      await this.#record(digest, reference, work);
      await sync(entry);
      await sync(this.path);
      const artifact = await this.find(digest);
      if (!artifact) throw new Error("the artifact is not there after it was moved");
      return artifact;
    });
  }

  /**
   * Records one more reference of an artifact that is there.
   *
   * @param digest Digest of its manifest.
   * @param reference What it was asked for by.
   * @param work A workspace of the store.
   * @throws {StoreError} If the store cannot be written.
   */
  async addOrigin(digest: string, reference: string, work: string): Promise<void> {
    const entry = this.folder(digest);
    await guard("record where an artifact came from in", entry, async () => {
      await refuseLinks(this.store, "artifacts");
      using _lock = await lockFolder(entry);
      await this.#record(digest, reference, work);
    });
  }

  async #record(digest: string, reference: string, work: string): Promise<void> {
    const others = (await this.origins(digest)).filter((one) => one.reference !== reference);
    const fetched = new Date().toISOString();
    const origins = [...others, { reference, fetched }].slice(-MAX_ORIGINS);
    const text = `${JSON.stringify({ schema: 1, origins }, undefined, 2)}\n`;
    await writeAtomically(join(this.folder(digest), RECORD), text, work);
  }

  /**
   * The folder of an artifact, with what is recorded of it.
   *
   * @param digest Digest of its manifest.
   * @returns The folder, there or not.
   */
  folder(digest: string): string {
    if (!isDigest(digest)) throw new TypeError(`Cannot make a path of "${digest}"`);
    return join(this.path, digest);
  }

  /**
   * The folder of an artifact's manifest and blobs.
   *
   * @param digest Digest of its manifest.
   * @returns The folder, there or not.
   */
  content(digest: string): string {
    return join(this.folder(digest), "artifact");
  }
}

/**
 * What is told of an artifact that is in the store.
 *
 * @param item What it stands for.
 * @param artifact The artifact.
 * @returns The result.
 */
export function artifactResult(
  item: ItemName,
  { digest, kind, path, size }: StoredArtifact,
): ArtifactResult {
  return { ...nameOf(item), status: "cached", digest, kind, path, size };
}

/** What a config is that says nothing of what a manifest is. */
const SAYS_NOTHING: readonly string[] = [
  "",
  "application/vnd.oci.empty.v1+json",
  "application/vnd.unknown.config.v1+json",
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
];

/**
 * Tells media types that say what a manifest is from those that stand for anything.
 *
 * @param type A media type, as a list or a manifest has it.
 * @returns Whether it says something.
 */
export function isTelling(type: string): boolean {
  return !SAYS_NOTHING.includes(type);
}

/**
 * Says what something is that is no image, as far as its manifest says it; cosign says it of its
 * first layer only.
 *
 * @param manifest Its manifest.
 * @returns Its `artifactType`, else the media type of its config, or of its first layer where that
 * says nothing.
 */
export function kindOf({ artifactType, config, layers: [first] }: ImageManifest): string {
  if (artifactType) return artifactType;
  return !isTelling(config.mediaType) && first?.mediaType ? first.mediaType : config.mediaType;
}
