import { join } from "@std/path";
import * as v from "valibot";
import type { CompressionOptions } from "../../../config/mod.ts";
import { StageError } from "../../errors/mod.ts";
import { codeOf, digestOf, sync, syncTree } from "../../lib/fs/files.ts";
import { readRegular } from "../../lib/fs/outside_file.ts";
import { MAX_JSON } from "../../lib/json.ts";
import { markUsed } from "../../store/last_use.ts";
import { readImageConfig } from "../../store/manifest.ts";
import { archiveFileName, archiveId, imagesByName } from "./archive_names.ts";
import type { StageContext, StageImage, StageRunner } from "../stage.ts";
import { formatImage, platformFlags } from "../../tools/skopeo_args.ts";
import { withPlainLayers } from "./open_image.ts";
import { addToTree, writeWithMode } from "./tree_file.ts";

const NAME_MAX = 255;

const RecordSchema = v.object({
  /** sha256 of the archive, 64 hex digits. */
  sha256: v.string(),
  /** Size of the archive before it was compressed, in bytes. */
  size: v.number(),
  /** Digests of the image's layers, uncompressed. */
  layers: v.array(v.string()),
});

/** An archive in the store. */
export interface DockerArchive extends v.InferOutput<typeof RecordSchema> {
  /** The file; it has to be copied or linked before the stage ends. */
  readonly path: string;
}

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
): Promise<DockerArchive> {
  const { compression = "zstd", level } = options;
  if (archiveFileName(name, compression).length > NAME_MAX) {
    throw new StageError(context.name, `"${name}" is too long for the name of a file`);
  }
  const entry = join(context.archives, archiveId(image.id, name, options));
  const found = await findArchive(entry, context);
  if (found) {
    await markUsed(entry);
    return found;
  }
  const work = join(context.staging, crypto.randomUUID());
  await Deno.mkdir(join(work, "entry"), { recursive: true });
  // Paths are relative: skopeo takes them apart at colons.
  const run = (program: string, args: readonly string[]) =>
    context.run(program, args, { cwd: work });
  const layers = await convert(image, name, work, context);
  const { size } = await Deno.stat(join(work, "image.tar"));
  const file = "entry/archive";
  const speed = level === undefined ? [] : [`-${level}`];
  if (compression === "zstd") {
    await run("zstd", ["--quiet", "--threads=0", ...speed, "-o", file, "image.tar"]);
  } else if (compression === "gzip") {
    await run("gzip", ["--no-name", ...speed, "image.tar"]);
    await Deno.rename(join(work, "image.tar.gz"), join(work, file));
  } else {
    await Deno.rename(join(work, "image.tar"), join(work, file));
  }
  await Deno.chmod(join(work, file), 0o644);
  await run("touch", [`--date=@${context.epoch}`, file]);
  const record = { sha256: await sha256Of(join(work, "entry"), context), size, layers };
  await writeWithMode(join(work, "entry/archive.json"), `${JSON.stringify(record)}\n`, 0o644);
  await Deno.chmod(join(work, "entry"), 0o755);
  await syncTree(join(work, "entry"));
  try {
    await Deno.rename(join(work, "entry"), entry);
    await sync(context.archives);
  } catch (error) {
    // Another stage was first.
    if (codeOf(error) !== "EEXIST" && codeOf(error) !== "ENOTEMPTY") throw error;
  }
  await Deno.remove(work, { recursive: true });
  return { ...record, path: join(entry, "archive") };
}

/**
 * Adds an archive to the tree, as a hard link where the file system can.
 *
 * @param archive The archive.
 * @param path A path in the tree, absolute.
 * @param context What the engine gives to the stage.
 */
export async function addArchive(
  archive: DockerArchive,
  path: string,
  context: StageContext,
): Promise<void> {
  const { mtime } = await Deno.stat(archive.path);
  // The date of a file belongs to all of its links.
  const isDated = mtime?.getTime() === context.epoch * 1000;
  await addToTree(path, async (file) => {
    if (isDated && await link(archive.path, file)) return;
    await context.run("cp", ["--reflink=auto", "--preserve=mode", "--", archive.path, file]);
  }, context);
}

async function link(from: string, to: string): Promise<boolean> {
  try {
    await Deno.link(from, to);
    return true;
  } catch (error) {
    if (["EXDEV", "EPERM", "EMLINK", "ENOTSUP"].includes(codeOf(error) ?? "")) return false;
    throw error;
  }
}

/** Writes the image to `image.tar` and reads it back; tells its layers. */
async function convert(
  image: StageImage,
  name: string,
  work: string,
  context: StageContext,
): Promise<string[]> {
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
  return config.rootfs.diff_ids;
}

/** Finds an archive that is as it was made; another is moved out of the way. */
async function findArchive(
  entry: string,
  context: StageContext,
): Promise<DockerArchive | undefined> {
  const bytes = await readRegular(join(entry, "archive.json"), MAX_JSON);
  if (!bytes) return undefined;
  const text = new TextDecoder().decode(bytes);
  const { success, output } = v.safeParse(v.pipe(v.string(), v.parseJson(), RecordSchema), text);
  const path = join(entry, "archive");
  const isFile = await Deno.lstat(path).then((info) => info.isFile, () => false);
  if (success && isFile && await sha256Of(entry, context) === output.sha256) {
    return { ...output, path };
  }
  context.log(`the archive "${path}" is not as it was made: it is made again`);
  await Deno.rename(entry, join(context.staging, crypto.randomUUID()));
  return undefined;
}

async function sha256Of(entry: string, { run }: StageContext): Promise<string> {
  const { stdout } = await run("sha256sum", ["--", "archive"], { cwd: entry });
  return new TextDecoder().decode(stdout).slice(0, 64);
}
