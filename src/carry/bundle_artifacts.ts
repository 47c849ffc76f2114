import { join } from "@std/path";
import type { ArtifactResult } from "../events.ts";
import { guard } from "../lib/fs/files.ts";
import type { Run } from "../run.ts";
import { kindOf } from "../store/artifacts.ts";
import { blobPath } from "../store/image.ts";
import { blobsOf, readManifest } from "../store/manifest.ts";
import type { BundleArtifact } from "./bundle_format.ts";
import { damaged, type OpenedBundle, readBlob } from "./open_bundle.ts";
import { unpackBlob } from "./unpack_blob.ts";

/** What the `dir` transport of containers/image has in the file `version`. */
const VERSION = "Directory Transport Version: 1.1\n";

/**
 * Reads the artifacts of a bundle, and compares them with what it says of them.
 *
 * @param opened The bundle.
 * @returns The bytes of their manifests.
 * @throws {BundleError} If one is not as it says.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function readArtifacts(
  opened: OpenedBundle,
): Promise<ReadonlyMap<BundleArtifact, Uint8Array<ArrayBuffer>>> {
  const { path, bundle, blobs: here } = opened;
  const read = new Map<BundleArtifact, Uint8Array<ArrayBuffer>>();
  for (const artifact of bundle.artifacts ?? []) {
    const { name, digest, mediaType, size, kind, blobs } = artifact;
    const refuse = (why: string) => damaged(path, `the artifact "${name}": ${why}`, digest);
    const bytes = await readBlob(opened, digest);
    const found = readManifest(bytes);
    if (found.kind !== "image") throw refuse("it is no manifest");
    const { manifest } = found;
    const isDescribed = manifest.mediaType === mediaType && bytes.length === size &&
      kindOf(manifest) === kind;
    if (!isDescribed) throw refuse("its media type, its kind or its size is another one");
    const own = new Map(blobs.map(({ digest, size }) => [digest, size]));
    const named = blobsOf(manifest);
    const isSame = own.size === named.size &&
      [...named].every(([blob, size]) => own.get(blob) === size && here.get(blob)?.size === size);
    if (!isSame) throw refuse("its blobs are others");
    read.set(artifact, bytes);
  }
  return read;
}

/** Artifacts of a bundle, on their way into the store. */
export class LoadedArtifacts {
  readonly #folders = new Map<BundleArtifact, string>();

  /**
   * @param run The run.
   * @param opened The bundle.
   * @param from The bundle, as a person reads it.
   */
  constructor(
    private readonly run: Run,
    private readonly opened: OpenedBundle,
    private readonly from: string,
  ) {}

  /**
   * Takes artifacts that the store does not have out of the bundle, verified, into folders.
   *
   * @param artifacts The artifacts, with the bytes of their manifests.
   * @param work A workspace of the store.
   * @throws {BundleError} If a blob is not what it is called.
   * @throws {StoreError} If they cannot be written.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async unpack(
    artifacts: ReadonlyMap<BundleArtifact, Uint8Array<ArrayBuffer>>,
    work: string,
  ): Promise<void> {
    for (const [artifact, bytes] of artifacts) {
      if (await this.run.store.artifacts.find(artifact.digest)) continue;
      const folder = join(work, `artifact-${this.#folders.size + 1}`, "content");
      await guard("store an artifact in", folder, async () => {
        await Deno.mkdir(folder, { recursive: true });
        await Deno.writeFile(join(folder, "manifest.json"), bytes);
        await Deno.writeTextFile(join(folder, "version"), VERSION);
        for (const { digest } of artifact.blobs) {
          await unpackBlob(this.opened, digest, blobPath(folder, digest));
        }
      });
      this.#folders.set(artifact, folder);
    }
  }

  /**
   * Moves them to their place.
   *
   * @param work The workspace.
   * @returns What became of each.
   * @throws {StoreError} If the store cannot be written.
   */
  async commit(work: string): Promise<ArtifactResult[]> {
    const { store: { artifacts }, emit } = this.run;
    const results: ArtifactResult[] = [];
    for (const artifact of this.opened.bundle.artifacts ?? []) {
      const { name, digest, reference } = artifact;
      const folder = this.#folders.get(artifact);
      if (folder === undefined) await artifacts.addOrigin(digest, reference, work);
      const { kind, path, size } = folder === undefined
        ? await this.#find(digest)
        : await artifacts.commit(folder, digest, reference, work);
      const result: ArtifactResult = {
        ...{ key: `source/${name}`, name, digest, kind, path, size },
        ...(folder === undefined ? { status: "cached" } : { status: "fetched", from: this.from }),
      };
      emit({ type: "artifact", ...result });
      results.push(result);
    }
    return results;
  }

  async #find(digest: string) {
    const found = await this.run.store.artifacts.find(digest);
    if (!found) throw new TypeError(`Cannot find ${digest} any more`);
    return found;
  }
}
