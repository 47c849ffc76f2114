import { join } from "@std/path";
import type { CompressionOptions } from "../../../config/mod.ts";
import { StageError } from "../../errors/mod.ts";
import { digestOf } from "../../lib/fs/files.ts";
import { readImageConfig } from "../../store/manifest.ts";
import { formatImage, platformFlags } from "../../tools/skopeo_args.ts";
import type { StageContext, StageImage, StageRunner } from "../stage.ts";
import { archiveFileName } from "../file_names.ts";
import { archiveId, imagesByName } from "./archive_names.ts";
import { withPlainLayers } from "./open_image.ts";
import {
  addArchive,
  type ArchiveFacts,
  makeArchive,
  type StoredArchive,
} from "./stored_archive.ts";

const NAME_MAX = 255;

/** Writes each image, under each of its names, as a docker archive of its own. */
export const dockerArchive: StageRunner<"docker-archive"> = async (stage, context) => {
  const { path = "/", compression } = stage;
  const images = new Map<string, StageImage>();
  for (const [name, image] of imagesByName(context)) {
    const file = archiveFileName(name, compression);
    if (images.has(file)) {
      throw new StageError(context.name, `two archives would be called "${file}"`, {
        hint: "give one of the images another name, or a stage with another path of its own",
      });
    }
    images.set(file, image);
    const archive = await makeDockerArchive(image, name, stage, context);
    await addArchive(archive, join(path, file), context);
    context.made({ name, id: image.id, digest: image.digest });
  }
};

/**
 * Makes an archive, unless the store has it already, whole.
 *
 * @param image The image.
 * @param name Its name in the archive, with a tag.
 * @param options How the archive is compressed.
 * @param context What the engine gives to the stage.
 * @returns The archive; the same bytes each time, with the same tools.
 * @throws {StageError} If it cannot be made, or is not the image when it is read back.
 */
export async function makeDockerArchive(
  image: StageImage,
  name: string,
  options: CompressionOptions,
  context: StageContext,
): Promise<StoredArchive> {
  const { compression } = options;
  if (archiveFileName(name, compression).length > NAME_MAX) {
    throw new StageError(context.name, `"${name}" is too long for the name of a file`);
  }
  // Paths are relative: skopeo takes them apart at colons.
  const write = (work: string) => convert(image, name, work, context);
  return await makeArchive(archiveId(image.id, name, options), write, options, context);
}

/** Writes the image to `image.tar` and reads it back. */
async function convert(
  image: StageImage,
  name: string,
  work: string,
  context: StageContext,
): Promise<ArchiveFacts> {
  await Deno.symlink(image.path, join(work, "image"));
  const skopeo = async (...args: string[]) => {
    const { stdout } = await context.run("skopeo", [
      // The machine's policy was obeyed when the image was fetched; the store has it verified.
      ...["--insecure-policy", "--tmpdir", ".", ...platformFlags(image.platform), ...args],
    ], { cwd: work });
    return stdout;
  };
  const source = await withPlainLayers(
    { transport: image.format, path: "image" },
    "plain",
    skopeo,
  );
  const archive = { transport: "docker-archive", path: "image.tar" } as const;
  // An archive cannot hold signatures.
  await skopeo(
    ...["copy", "--quiet", "--remove-signatures", "--"],
    ...[formatImage(source), formatImage({ ...archive, name })],
  );
  const bytes = await skopeo("inspect", "--config", "--raw", "--", formatImage(archive));
  const id = digestOf(bytes);
  if (id !== image.id) {
    throw new StageError(context.name, `"${name}" was written as ${id}, and is ${image.id}`);
  }
  const config = readImageConfig(bytes);
  if (!config) throw new StageError(context.name, `the config of "${name}" is not as OCI has it`);
  const { size } = await Deno.stat(join(work, "image.tar"));
  return { size, layers: config.rootfs.diff_ids };
}
