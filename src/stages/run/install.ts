import pLimit from "p-limit";
import { StageError } from "../../errors/mod.ts";
import { join } from "@std/path";
import type { MadeImage } from "../../events.ts";
import { digestOf } from "../../lib/fs/files.ts";
import { readOutside } from "../../lib/fs/outside_file.ts";
import { readImageConfig, type StoredConfig } from "../../store/manifest.ts";
import { all, type ProcessResult } from "../../tools/process.ts";
import {
  accessFlags,
  formatImage,
  platformFlags,
  signatureFlags,
  type SkopeoImage,
} from "../../tools/skopeo_args.ts";
import { skopeoWords } from "../../tools/skopeo_words.ts";
import { destinationKind } from "../destinations.ts";
import { apart } from "../file_names.ts";
import { refuseForeignDigests } from "./archive_names.ts";
import { imagesOf } from "./inputs_of.ts";
import type { StageContext, StageImage, StageRunner } from "../stage.ts";
import type { OpenDestination, Target } from "./open_destination.ts";
import {
  hasSignatures,
  openImage,
  openList,
  type ReadableList,
  withPlainLayers,
} from "./open_image.ts";

/** What to do about failures that skopeo does not explain to who writes a config. */
const HINTS: readonly (readonly [said: RegExp, hint: string])[] = [
  [
    /Can ?not copy signatures/i,
    "this destination cannot hold the image's signatures: set removeSignatures: true",
  ],
  [
    /sigstore attachments is disabled/,
    "the image has sigstore signatures: say use-sigstore-attachments: true for this registry in a file " +
    "of registriesD, or set removeSignatures: true",
  ],
  [
    /Writing directly to a \S+ (?:lookaside|sigstore)/,
    "signatures can be written to files only: name a folder as lookaside-staging in the file of " +
    "registriesD, or set removeSignatures: true",
  ],
  [
    /CAP_SYS_ADMIN/,
    "this process may not write deletions as overlay has them, which takes CAP_SYS_ADMIN: give it that " +
    '(docker run --cap-add SYS_ADMIN), or install with driver: "vfs"',
  ],
  [
    /insufficient UIDs or GIDs/,
    "a user other than root cannot make files of other owners: run it as root, or install into an " +
    "oci-archive, oci or dir",
  ],
];

/** How many images are written at a time where a destination takes several, and read back. */
const [WRITERS, READERS] = [2, 4];

/** Installs images, as osbuild's `org.osbuild.skopeo` stage does, and reads each one back. */
export const install: StageRunner<"install"> = async (stage, context) => {
  const { destination, removeSignatures = false, additionalImageStore = false } = stage;
  const kind = destinationKind(destination);
  const images = imagesOf(context);
  if (!removeSignatures && !kind.holdsSignatures) {
    await refuseSigned(images, destination.type, context);
  }
  for (const { names, listNames = [], digest, index } of images) {
    const ofList = index === undefined ? [] : [digestOf(await readOutside(index))];
    refuseForeignDigests([...names, ...listNames], [digest, ...ofList], context);
  }
  const opened = await kind.open(destination, context);
  await using targets = new AsyncDisposableStack();
  const namesOf = ({ names }: StageImage) => kind.holdsSeveral ? names.flatMap(apart) : names;
  const to = (image: StageImage, list?: ReadableList) => (name: string): Installed => ({
    ...{ image, name, target: targets.use(opened.target(name)) },
    ...(list && { list }),
  });
  const lists = kind.holdsLists ? await listsOf(images, context) : [];
  const inLists = new Set(lists.flatMap(({ images }) => images));
  const installs = [
    // A list needs its images; under names of their own, they are there before.
    ...images.filter((image) => image.listNames || !inLists.has(image))
      .flatMap((image) => namesOf(image).map(to(alone(image, kind.holdsLists)))),
    ...lists.flatMap(({ images: [image], list, names }) => image ? names.map(to(image, list)) : []),
  ];
  const put = (each: Installed) => copy(each, opened, removeSignatures, context);
  const read = (each: Installed) => readBack(each, opened, kind.convertsConfigs, context);
  const made = opened.takesSeveral
    ? await putSideBySide(installs, put, read)
    : await putInTurn(installs, put, read);
  for (const each of installs) {
    await each.target.settle();
    const image = made.get(each);
    if (image) context.made({ name: each.name, ...image });
  }
  await opened.finish(additionalImageStore);
};

type Made = Pick<MadeImage, "id" | "digest">;

/** A manifest list, and what is installed of it. */
interface List {
  readonly images: readonly StageImage[];
  readonly list: ReadableList;
  readonly names: readonly string[];
}

/** The lists that images were chosen from, those of which nothing is missing; others are told. */
async function listsOf(images: readonly StageImage[], context: StageContext): Promise<List[]> {
  const indexed = images.filter(({ index }) => index !== undefined);
  const groups = Map.groupBy(
    indexed,
    ({ index, names, listNames = names }) => JSON.stringify([index, listNames]),
  );
  const lists: List[] = [];
  for (const group of groups.values()) {
    const [first] = group;
    const list = await openList(group, context);
    if (!first) continue;
    const names = first.listNames ?? first.names;
    if ("absent" in list) {
      const lacks = list.absent.join(", ");
      context.notice(`"${names[0]}" is no index there, as the store does not have ${lacks}`);
    } else lists.push({ images: group, list, names });
  }
  return lists;
}

/** Where a name may stand for a list, one that is not whole is left out. */
function alone(image: StageImage, isWithoutList: boolean): StageImage {
  const { index: _, listed: _others, ...own } = image;
  return isWithoutList ? own : image;
}

/** Writes one after the other, and reads them back when nothing is written any more. */
async function putInTurn(
  installs: readonly Installed[],
  put: (each: Installed) => Promise<void>,
  read: (each: Installed) => Promise<Made>,
): Promise<ReadonlyMap<Installed, Made>> {
  const made = new Map<Installed, Made>();
  for (const each of installs) await put(each);
  const limit = pLimit(READERS);
  await all(installs.map((each) => limit(async () => void made.set(each, await read(each)))));
  return made;
}

/**
 * Writes several images at a time, and reads each back while others are written. The first one is
 * alone, so that the layers that it shares with others are unpacked once; so are the names of an
 * image, as each is added to those that are there.
 */
async function putSideBySide(
  installs: readonly Installed[],
  put: (each: Installed) => Promise<void>,
  read: (each: Installed) => Promise<Made>,
): Promise<ReadonlyMap<Installed, Made>> {
  const made = new Map<Installed, Made>();
  const [writing, reading] = [pLimit(WRITERS), pLimit(READERS)];
  let hasFailed = false;
  const putAll = async (names: readonly Installed[]) => {
    try {
      for (const each of hasFailed ? [] : names) await put(each);
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  };
  const finish = async (names: readonly Installed[], written: Promise<void>) => {
    await written;
    for (const each of hasFailed ? [] : names) made.set(each, await reading(() => read(each)));
  };
  const [first = [], ...rest] = Map.groupBy(installs, ({ image }) => image.id).values();
  const alone = putAll(first);
  await alone;
  await all([
    finish(first, alone),
    ...rest.map((names) => finish(names, writing(() => putAll(names)))),
  ]);
  return made;
}

async function refuseSigned(
  images: readonly StageImage[],
  destination: string,
  { name }: StageContext,
): Promise<void> {
  const parts = images.flatMap((image) =>
    [image, ...image.listed ?? []].map(({ path }) => ({ ...image, path }))
  );
  for (const image of parts) {
    if (!await hasSignatures(image)) continue;
    const message = `"${image.names[0]}" is signed, and ${destination} cannot hold that`;
    throw new StageError(name, message, {
      hint: `set removeSignatures: true on stages.${name}, or choose another destination`,
    });
  }
}

/** An image that was copied to its destination. */
interface Installed {
  readonly image: StageImage;
  readonly name: string;
  readonly target: Target;
  /** The list that the name stands for; the image if absent. */
  readonly list?: ReadableList;
}

async function copy(
  { image, target, list }: Installed,
  destination: OpenDestination,
  removeSignatures: boolean,
  context: StageContext,
): Promise<void> {
  const { flags, image: opened } = list
    ? { flags: [], image: list.image }
    : await openImage(image, context);
  const skopeo = async (...args: string[]) => {
    // What is installed was verified, and its policy checked, when it was fetched.
    const always = ["--insecure-policy", "--tmpdir", context.scratch, ...flags];
    return (await runSkopeo([...always, ...args], destination, context)).stdout;
  };
  const source = destination.needsPlainLayers
    ? await withPlainLayers(opened, join(context.scratch, crypto.randomUUID()), skopeo)
    : opened;
  await skopeo(
    ...["copy", "--quiet", ...(removeSignatures ? ["--remove-signatures"] : [])],
    ...(list ? ["--all"] : []),
    ...(list && keepsBytes(list, target) ? ["--preserve-digests"] : []),
    ...[...accessFlags(target.how, "dest-"), "--"],
    ...[formatImage(source), formatImage(target.image)],
  );
}

/** An OCI layout has OCI's media types only: skopeo makes them of docker's. */
function keepsBytes({ isOci }: ReadableList, { image }: Target): boolean {
  return isOci || !("path" in image);
}

async function runSkopeo(
  args: readonly string[],
  { registriesD, network, env }: OpenDestination,
  { run }: StageContext,
): Promise<ProcessResult> {
  const hint = (log: string) => HINTS.find(([said]) => said.test(log))?.[1];
  const all = [...signatureFlags(registriesD), ...args];
  return await run("skopeo", all, { network, env, words: skopeoWords, hint });
}

/** What counts is not that skopeo was content, but that the image is there. */
async function readBack(
  { image, name, target, list }: Installed,
  destination: OpenDestination,
  convertsConfigs: boolean,
  context: StageContext,
): Promise<Made> {
  const inspect = async (of: SkopeoImage, flags: readonly string[], ...args: string[]) => {
    const { stdout } = await runSkopeo(
      ["--tmpdir", context.scratch, ...flags, "inspect", "--raw", ...args, "--", formatImage(of)],
      destination,
      context,
    );
    return stdout;
  };
  const access = accessFlags(target.how, "");
  if (list && keepsBytes(list, target)) {
    const digest = digestOf(await inspect(target.image, [], ...access));
    if (digest === list.digest) return { id: image.id, digest };
    throw new StageError(
      context.name,
      `"${name}" was installed as ${digest}, and is ${list.digest}`,
    );
  }
  const platform = platformFlags(image.platform);
  const config = await inspect(target.image, platform, "--config", ...access);
  const id = digestOf(config);
  if (id === image.id) return { id, digest: image.digest };
  if (convertsConfigs) {
    // skopeo makes OCI's config of docker's: the id is another one, the image is the same.
    const source = await openImage(image, context);
    const before = readImageConfig(await inspect(source.image, source.flags, "--config"));
    const after = readImageConfig(config);
    if (before && after && saysTheSame(before, after)) {
      context.log(`"${name}" is ${id} as OCI has it, and was ${image.id}`);
      return { id, digest: digestOf(await inspect(target.image, platform, ...access)) };
    }
  }
  throw new StageError(context.name, `"${name}" was installed as ${id}, and is ${image.id}`);
}

function saysTheSame(one: StoredConfig, other: StoredConfig): boolean {
  const of = ({ os, architecture, variant, rootfs }: StoredConfig) =>
    JSON.stringify([os, architecture, variant, rootfs.diff_ids]);
  return of(one) === of(other);
}
