import { createHash } from "node:crypto";
import { join } from "@std/path";
import type { ContainerLoaderOptions } from "../../../config/mod.ts";
import { StageError } from "../../errors/mod.ts";
import { loaderScript } from "./container_loader_script.ts";
import { archiveFileName, imagesByName } from "./archive_names.ts";
import { addArchive, makeDockerArchive } from "./docker_archive.ts";
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
  /** Image id, 64 hex digits. */
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

/** Puts images into the tree, with a list of them, and a script and a unit that load them. */
export const containerLoader: StageRunner<"container-loader"> = async (stage, context) => {
  const { engine, deleteAfterLoad = false } = stage;
  const listed = new Map((await readList(engine, context)).map((image) => [image.id, image]));
  for (const [id, { image, names }] of namesById(context)) {
    const known = listed.get(id);
    for (const name of names) context.made({ name, id: image.id, digest: image.digest });
    const isKept = !deleteAfterLoad || known?.after === "keep";
    listed.set(id, {
      ...known ?? await addImage(image, names, stage, context),
      after: isKept ? "keep" : "delete",
      names: [...new Set([...known?.names ?? [], ...names])],
    });
  }
  const images = [...listed.values()].sort((a, b) => b.size - a.size || (a.file < b.file ? -1 : 1));
  refuseClashes(images, context);
  const write = (path: string, text: string, mode = 0o644) =>
    addToTree(path, (file) => writeWithMode(file, text, mode), context);
  await write(LIST, [`${LIST_HEADER} ${engine}`, ...images.map(formatLine), ""].join("\n"));
  await write(SCRIPT, loaderScript(engine), 0o755);
  await write(join(UNITS, UNIT), unitOf(engine));
  const link = join(UNITS, "multi-user.target.wants", UNIT);
  await addToTree(link, (file) => Deno.symlink(`../${UNIT}`, file), context);
};

/** Images with all of their names: each needs one archive. */
function namesById(
  context: StageContext,
): Map<string, { readonly image: StageImage; readonly names: string[] }> {
  const images = new Map<string, { image: StageImage; names: string[] }>();
  for (const [name, image] of imagesByName(context)) {
    const id = image.id.replace("sha256:", "");
    const entry = images.get(id) ?? { image, names: [] };
    entry.names.push(name);
    images.set(id, entry);
  }
  return images;
}

async function addImage(
  image: StageImage,
  names: readonly string[],
  options: ContainerLoaderOptions,
  context: StageContext,
): Promise<Omit<ListedImage, "after" | "names">> {
  const [name = ""] = names;
  const archive = await makeDockerArchive(image, name, options, context);
  const file = archiveFileName(name, options.compression);
  await addArchive(archive, join(FOLDER, "images", file), context);
  return {
    id: image.id.replace("sha256:", ""),
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
  const needs = engine === "docker"
    ? "Requires=docker.service\nAfter=docker.service"
    : "RequiresMountsFor=/var/lib/containers/storage\nAfter=local-fs.target";
  return `[Unit]
Description=Load the container images that came with this system into ${engine}
ConditionPathExists=${LIST}
RequiresMountsFor=/usr/share/stowage /var/lib/stowage
${needs}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh ${SCRIPT}

[Install]
WantedBy=multi-user.target
`;
}
