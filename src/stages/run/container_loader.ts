import { createHash } from "node:crypto";
import { join } from "@std/path";
import type { ContainerLoaderOptions } from "../../../config/mod.ts";
import { StageError } from "../../errors/mod.ts";
import { digestOf } from "../../lib/fs/files.ts";
import { readOutside } from "../../lib/fs/outside_file.ts";
import { loaderScript } from "./container_loader_script.ts";
import { archiveFileName, forArchive, hasDigest, loaderFileName } from "../file_names.ts";
import { loaderEngine } from "../loader_engine.ts";
import { archiveId, imagesByName } from "./archive_names.ts";
import { makeDockerArchive } from "./docker_archive.ts";
import { makeOciImageArchive, ociArchiveId } from "./oci_image_archive.ts";
import { addArchive, type StoredArchive } from "./stored_archive.ts";
import type { StageContext, StageImage, StageRunner } from "../stage.ts";
import { addToTree, readInTree, writeWithMode } from "./tree_file.ts";

const FOLDER = "/usr/share/stowage/container-loader";
const LIST = `${FOLDER}/images.list`;
const SCRIPT = `${FOLDER}/container-loader.sh`;
const UNITS = "/usr/lib/systemd/system";
const UNIT = "stowage-container-loader.service";
const LIST_HEADER = "# stowage container-loader 1";

type Engine = ContainerLoaderOptions["engine"];

/** A line of the list. */
interface ListedImage {
  /** What the engine calls it, 64 hex digits. */
  readonly id: string;
  /** sha256 of the digests of its layers, one after the other, 64 hex digits. */
  readonly layers: string;
  /** sha256 of its archive, 64 hex digits. */
  readonly sha256: string;
  /** Size of its archive before it was compressed, in KiB: a shell may count no further than 2 Gi. */
  readonly size: number;
  /** What becomes of the archive. */
  readonly after: "keep" | "delete";
  /** Name of its archive in `images/`. */
  readonly file: string;
  /** Its names; the first is the one in the archive. */
  readonly names: readonly string[];
}

/** What a stage that loads images has to do of one of them. */
interface NamedImage {
  readonly image: StageImage;
  /** Its names; those that its archive has come first. */
  readonly names: readonly string[];
}

/**
 * Puts images into the tree: where the engine loads them from itself, or with a list of them, and a
 * script and a unit that load them.
 */
export const containerLoader: StageRunner<"container-loader"> = async (stage, context) => {
  const { engine, deleteAfterLoad = false } = stage;
  const { folder } = loaderEngine(engine);
  if (folder !== undefined) return await fillFolder(folder, stage, context);
  const listed = new Map((await readList(engine, context)).map((image) => [image.id, image]));
  for (const { image, names } of namesById(engine, context).values()) {
    const id = await idIn(engine, image);
    const known = listed.get(id);
    for (const name of names) context.made({ name, id: image.id, digest: image.digest });
    if (known) refuseLateNames(names, known.names, stage, context);
    const isKept = !deleteAfterLoad || known?.after === "keep";
    listed.set(id, {
      ...known ?? await addImage(id, image, names, stage, context),
      after: isKept ? "keep" : "delete",
      names: [...new Set([...known?.names ?? [], ...names])],
    });
  }
  const images = [...listed.values()].sort((a, b) => b.size - a.size || (a.file < b.file ? -1 : 1));
  refuseClashes(images, context);
  const write = (path: string, text: string, mode = 0o644) =>
    addToTree(path, (file) => writeWithMode(file, text, mode), context);
  await write(LIST, [`${LIST_HEADER} ${engine}`, ...images.map(formatLine), ""].join("\n"));
  await write(SCRIPT, loaderScript(stage), 0o755);
  await write(join(UNITS, UNIT), unitOf(engine));
  const link = join(UNITS, "multi-user.target.wants", UNIT);
  await addToTree(link, (file) => Deno.symlink(`../${UNIT}`, file), context);
};

/**
 * The names in the store of the archives that a loader needs.
 *
 * @param options What the stage says.
 * @param context Name of the stage and what it reads.
 * @returns The names.
 * @throws {StageError} If there is no image, or if two have one name.
 */
export function loaderArchiveIds(
  options: ContainerLoaderOptions,
  context: Pick<StageContext, "name" | "inputs">,
): string[] {
  const { format } = loaderEngine(options.engine);
  return [...namesById(options.engine, context).values()].map(({ image, names }) => {
    const inside = namesInArchive(names, options);
    return format === "oci-archive"
      ? ociArchiveId(image, inside, options)
      : archiveId(image.id, inside[0] ?? "", options);
  });
}

/** Images with all of their names: each needs one archive. */
function namesById(
  engine: Engine,
  context: Pick<StageContext, "name" | "inputs">,
): Map<string, NamedImage> {
  const images = new Map<string, NamedImage>();
  for (
    const [name, image] of imagesByName(context, loaderEngine(engine).format === "oci-archive")
  ) {
    const id = image.id.replace("sha256:", "");
    const known = images.get(id) ?? { image, names: [] };
    images.set(id, { ...known, names: [...known.names, name] });
  }
  if (loaderEngine(engine).holdsNames === "one") {
    for (const { names } of images.values()) {
      const [first, second] = names.filter(hasDigest);
      if (second === undefined) continue;
      throw new StageError(
        context.name,
        `an image is called both "${first}" and "${second}", and ${engine} loads one of them only`,
        { hint: "leave one of the names with a digest out" },
      );
    }
  }
  return new Map(
    [...images].map(([id, { image, names }]) => [id, { image, names: forArchive(names) }]),
  );
}

function namesInArchive(
  names: readonly string[],
  { engine }: Pick<ContainerLoaderOptions, "engine">,
): readonly string[] {
  return loaderEngine(engine).holdsNames === "all" ? names : names.slice(0, 1);
}

/** An archive that an earlier stage has made has no other names than it had then. */
function refuseLateNames(
  names: readonly string[],
  known: readonly string[],
  { engine }: ContainerLoaderOptions,
  context: StageContext,
): void {
  const late = names.find((name) => hasDigest(name) && !known.includes(name));
  if (late === undefined || loaderEngine(engine).holdsNames === "all") return;
  throw new StageError(
    context.name,
    `the loader has the image of "${late}" by other names already, and ${engine} gives names with a ` +
      "digest as it loads an archive only",
    { hint: "name the image in one stage of the loader" },
  );
}

/** Puts archives where the engine loads them from, at each of its starts. */
async function fillFolder(
  folder: string,
  stage: ContainerLoaderOptions,
  context: StageContext,
): Promise<void> {
  const files = new Set<string>();
  for (const { image, names } of namesById(stage.engine, context).values()) {
    const file = loaderFileName(names, stage.compression);
    if (files.has(file)) {
      throw new StageError(context.name, `two archives would be called "${file}"`, {
        hint: "give one of the images another name",
      });
    }
    files.add(file);
    const archive = await makeImageArchive(image, names, stage, context);
    await addArchive(archive, join(folder, file), context);
    for (const name of names) context.made({ name, id: image.id, digest: image.digest });
  }
}

async function makeImageArchive(
  image: StageImage,
  names: readonly string[],
  options: ContainerLoaderOptions,
  context: StageContext,
): Promise<StoredArchive> {
  const inside = namesInArchive(names, options);
  return loaderEngine(options.engine).format === "oci-archive"
    ? await makeOciImageArchive(image, inside, options, context)
    : await makeDockerArchive(image, inside[0] ?? "", options, context);
}

/** What the engine calls an image, 64 hex digits. */
async function idIn(engine: Engine, { id, digest, index }: StageImage): Promise<string> {
  // containerd knows what an archive's own index names.
  const target = index === undefined ? digest : digestOf(await readOutside(index));
  return (loaderEngine(engine).ids === "images" ? id : target).replace("sha256:", "");
}

async function addImage(
  id: string,
  image: StageImage,
  names: readonly string[],
  options: ContainerLoaderOptions,
  context: StageContext,
): Promise<Omit<ListedImage, "after" | "names">> {
  const [name = ""] = names;
  const archive = await makeImageArchive(image, names, options, context);
  const file = archiveFileName(name, options.compression);
  await addArchive(archive, join(FOLDER, "images", file), context);
  return {
    id,
    layers: createHash("sha256").update(archive.layers.join("")).digest("hex"),
    sha256: archive.sha256,
    size: Math.ceil(archive.size / 1024),
    file,
  };
}

function refuseClashes(images: readonly ListedImage[], { name: stage }: StageContext): void {
  const owners = new Map<string, string>();
  for (const { id, file, names } of images) {
    for (const [what, value] of [["archives", file], ...names.map((name) => ["images", name])]) {
      const owner = owners.get(`${what} ${value}`) ?? id;
      owners.set(`${what} ${value}`, owner);
      if (owner === id) continue;
      throw new StageError(stage, `two ${what} of the loader would be called "${value}"`);
    }
  }
}

function formatLine({ id, layers, sha256, size, after, file, names }: ListedImage): string {
  return [id, layers, sha256, size, after, file, ...names].join(" ");
}

/** Reads the list that an earlier stage has put into the tree. */
async function readList(engine: Engine, context: StageContext): Promise<ListedImage[]> {
  const text = await readInTree(LIST, context);
  if (text === undefined) return [];
  const [header, ...lines] = text.trim().split("\n");
  if (header !== `${LIST_HEADER} ${engine}`) {
    const message = `the tree has a loader already, and its list begins with "${header}"`;
    throw new StageError(context.name, message, {
      hint: "a tree's loader is for one engine, and of one version of stowage",
    });
  }
  return lines.map((line) => {
    const hex = "([0-9a-f]{64})";
    const match = new RegExp(`^${hex} ${hex} ${hex} (\\d+) (keep|delete) (\\S+) (.+)$`).exec(line);
    const [, id, layers, sha256, size, after, file, names] = match ?? [];
    if (!id || !layers || !sha256 || !file || !names) {
      throw new StageError(context.name, `the tree's ${LIST} has a line "${line}"`);
    }
    return {
      ...{ id, layers, sha256, size: Number(size), file, names: names.split(" ") },
      after: after === "delete" ? "delete" : "keep",
    };
  });
}

function unitOf(engine: Engine): string {
  return `[Unit]
Description=Load the container images that came with this system into ${engine}
ConditionPathExists=${LIST}
RequiresMountsFor=/usr/share/stowage /var/lib/stowage
${loaderEngine(engine).needs}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh ${SCRIPT}

[Install]
WantedBy=multi-user.target
`;
}
