import { type CompressionOptions, formatReference, parseReference } from "../../../config/mod.ts";
import { StageError } from "../../errors/mod.ts";
import { hashOf } from "../../lib/hash/hash.ts";
import { apart, tagged } from "../file_names.ts";
import { imagesOf } from "./inputs_of.ts";
import type { StageContext, StageImage } from "../stage.ts";

/** Grows when archives are made in another way, so that old ones are not taken for new ones. */
const FORMAT = 1;

/**
 * The images of a stage by their names: with a tag, or with a digest.
 *
 * @param context What the engine gives to the stage.
 * @param keepsDigests Whether a name may have a digest; without it, it gets a tag in its place.
 * @returns The images, in the order of the inputs.
 * @throws {StageError} If there is none, if an input gives something else, or if two images have
 * one name.
 */
export function imagesByName(
  context: Pick<StageContext, "name" | "inputs">,
  keepsDigests = false,
): Map<string, StageImage> {
  const images = new Map<string, StageImage>();
  for (const image of imagesOf(context)) {
    for (const name of image.names.flatMap((name) => keepsDigests ? apart(name) : tagged(name))) {
      if ((images.get(name) ?? image).id !== image.id) {
        throw new StageError(context.name, `two images are called "${name}"`);
      }
      images.set(name, image);
    }
  }
  return images;
}

/**
 * The name of an archive in the store.
 *
 * @param image Image id.
 * @param name The image's name in the archive, with a tag.
 * @param options How the archive is compressed.
 * @returns sha256 of all that it depends on, 64 hex digits.
 */
export function archiveId(
  image: string,
  name: string,
  { compression = "zstd", level }: CompressionOptions,
): string {
  return hashOf({ type: "docker-archive", format: FORMAT, id: image, name, compression, level });
}

/**
 * The archives of a stage that makes one of each of its images' names.
 *
 * @param stage How they are compressed.
 * @param context Name of the stage and what it reads.
 * @returns Their names in the store.
 * @throws {StageError} If there is no image, or if two have one name.
 */
export function archiveIds(
  stage: CompressionOptions,
  context: Pick<StageContext, "name" | "inputs">,
): string[] {
  return [...imagesByName(context)].map(([name, { id }]) => archiveId(id, name, stage));
}

/**
 * Refuses names with a digest that is not the image's: an engine would look for another image under
 * such a name, or refuse it.
 *
 * @param names The names.
 * @param digests The digests that they may have; the first is proposed.
 * @param context Name of the stage.
 * @throws {StageError} If a name has another one.
 */
export function refuseForeignDigests(
  names: readonly string[],
  digests: readonly string[],
  { name: stage }: Pick<StageContext, "name">,
): void {
  for (const name of names) {
    const { digest } = parseReference(name);
    if (digest === undefined || digests.includes(digest)) continue;
    throw new StageError(stage, `"${name}" has another digest than its image, ${digests[0]}`, {
      hint: `call it "${formatReference({ ...parseReference(name), digest: digests[0] ?? "" })}"`,
    });
  }
}
