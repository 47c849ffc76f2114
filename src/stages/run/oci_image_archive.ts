import { dirname, join } from "@std/path";
import type { CompressionOptions } from "../../../config/mod.ts";
import { codeOf, digestOf } from "../../lib/fs/files.ts";
import { readOutside } from "../../lib/fs/outside_file.ts";
import { hashOf } from "../../lib/hash/hash.ts";
import { blobsOf, readManifest } from "../../store/manifest.ts";
import type { StageContext, StageImage } from "../stage.ts";
import { archiveLayout } from "./archive_layout.ts";
import { refuseForeignDigests } from "./archive_names.ts";
import { blobIn, imageFolder, readImageLayer } from "./image_folder.ts";
import { type ArchiveFacts, makeArchive, type StoredArchive } from "./stored_archive.ts";

/** Grows when archives are made in another way, so that old ones are not taken for new ones. */
const FORMAT = 1;
const INDEX = "application/vnd.oci.image.index.v1+json";

/**
 * Makes an OCI archive of an image as it is, byte for byte, with its manifest list where that is
 * kept, unless the store has it already.
 *
 * @param image The image.
 * @param names Its names in the archive, normalised, with a tag or a digest.
 * @param options How the archive is compressed.
 * @param context What the engine gives to the stage.
 * @returns The archive; the same bytes each time, with the same tools.
 * @throws {StageError} If a name has the digest of something else, or the image is damaged.
 */
export async function makeOciImageArchive(
  image: StageImage,
  names: readonly string[],
  options: CompressionOptions,
  context: StageContext,
): Promise<StoredArchive> {
  const write = (work: string) => writeImage(image, names, work, context);
  return await makeArchive(ociArchiveId(image, names, options), write, options, context);
}

/**
 * The name of such an archive in the store.
 *
 * @param image The image.
 * @param names Its names in the archive.
 * @param options How the archive is compressed.
 * @returns sha256 of all that it depends on, 64 hex digits.
 */
export function ociArchiveId(
  { digest, index }: Pick<StageImage, "digest" | "index">,
  names: readonly string[],
  { compression = "zstd", level }: CompressionOptions,
): string {
  // Indexes are stored by their digests.
  const list = index?.split("/").at(-1);
  const how = { compression, level };
  return hashOf({ type: "oci-image-archive", format: FORMAT, digest, list, names, ...how });
}

async function writeImage(
  image: StageImage,
  names: readonly string[],
  work: string,
  context: StageContext,
): Promise<ArchiveFacts> {
  const { path, bytes, manifest, layers } = await imageFolder(image, context);
  const layout = join(work, "layout");
  const blobs = join(layout, "blobs/sha256");
  await Deno.mkdir(blobs, { recursive: true });
  const put = async (bytes: Uint8Array, mediaType: string) => {
    const digest = digestOf(bytes);
    await Deno.writeFile(join(blobs, digest.slice("sha256:".length)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  for (const digest of blobsOf(manifest).keys()) {
    await take(blobIn(path, digest), blobIn(blobs, digest), context);
  }
  const own = await put(bytes, manifest.mediaType);
  const list = image.index === undefined ? undefined : await readOutside(image.index);
  const target = list ? await put(list, typeIn(list)) : own;
  refuseForeignDigests(names, [own.digest, target.digest], context);
  const index = {
    schemaVersion: 2,
    mediaType: INDEX,
    // containerd reads the first of the names, podman the second.
    manifests: names.map((name) => ({
      ...target,
      annotations: {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name,
      },
    })),
  };
  await Deno.writeTextFile(join(layout, "index.json"), JSON.stringify(index));
  await Deno.writeTextFile(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const archive = join(work, "image.tar");
  await archiveLayout(layout, archive, context);
  let unpacked = 0;
  const count = (chunk: Uint8Array) => void (unpacked += chunk.length);
  for (const layer of layers) await readImageLayer(names[0] ?? "", layer, count, context);
  await Deno.remove(layout, { recursive: true });
  const size = Math.max((await Deno.stat(archive)).size, unpacked);
  return { size, layers: layers.map(({ diffId }) => diffId) };
}

/** A blob of the store is never written to, so that a hard link does as well as a copy. */
async function take(from: string, to: string, { run }: StageContext): Promise<void> {
  await Deno.mkdir(dirname(to), { recursive: true });
  try {
    await Deno.link(from, to);
  } catch (error) {
    if (!["EXDEV", "EPERM", "EMLINK", "ENOTSUP"].includes(codeOf(error) ?? "")) throw error;
    await run("cp", ["--reflink=auto", "--", from, to]);
  }
}

/** docker's list has a type of its own. */
function typeIn(list: Uint8Array): string {
  const read = readManifest(list);
  return read.kind === "index" ? read.index.mediaType : INDEX;
}
