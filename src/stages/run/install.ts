import pLimit from "p-limit";
import { StageError } from "../../errors/mod.ts";
import { digestOf } from "../../lib/fs/files.ts";
import type { ProcessResult } from "../../tools/process.ts";
import { accessFlags, formatImage, platformFlags } from "../../tools/skopeo_args.ts";
import { skopeoWords } from "../../tools/skopeo_words.ts";
import { destinationKind } from "../destinations.ts";
import { imagesOf } from "./inputs_of.ts";
import type { StageContext, StageImage, StageRunner } from "../stage.ts";
import type { OpenDestination, Target } from "./open_destination.ts";
import { hasSignatures, openImage } from "./open_image.ts";

/** What to do about failures that skopeo does not explain to who writes a config. */
const HINTS: readonly (readonly [said: RegExp, hint: string])[] = [
  [
    /Can ?not copy signatures/i,
    "this destination cannot hold the image's signatures: set removeSignatures: true",
  ],
  [
    /insufficient UIDs or GIDs/,
    "a user other than root cannot make files of other owners: run it as root, or install into an " +
    "oci-archive, oci or dir",
  ],
];

/** How many images are read back at a time; a storage lets one be written only. */
const READERS = 4;

/** Installs images, as osbuild's `org.osbuild.skopeo` stage does, and reads each one back. */
export const install: StageRunner<"install"> = async (stage, context) => {
  const { destination, removeSignatures = false, additionalImageStore = false } = stage;
  const kind = destinationKind(destination);
  const images = imagesOf(context);
  if (!removeSignatures && !kind.holdsSignatures) {
    await refuseSigned(images, destination.type, context);
  }
  const opened = await kind.open(destination, context);
  await using targets = new AsyncDisposableStack();
  const installed: Installed[] = [];
  for (const { image, name } of images.flatMap(withEachName)) {
    const target = targets.use(opened.target(name));
    await copy(image, target, opened, removeSignatures, context);
    installed.push({ image, name, target });
  }
  const limit = pLimit(READERS);
  const checks = installed.map((each) => limit(() => checkId(each, opened, context)));
  for (const check of await Promise.allSettled(checks)) {
    if (check.status === "rejected") throw check.reason;
  }
  for (const { image, name, target } of installed) {
    await target.settle();
    context.made({ name, id: image.id, digest: image.digest });
  }
  await opened.finish(additionalImageStore);
};

function withEachName(image: StageImage): Pick<Installed, "image" | "name">[] {
  return image.names.map((name) => ({ image, name }));
}

async function refuseSigned(
  images: readonly StageImage[],
  destination: string,
  { name }: StageContext,
): Promise<void> {
  for (const image of images) {
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
}

async function copy(
  image: StageImage,
  target: Target,
  destination: OpenDestination,
  removeSignatures: boolean,
  context: StageContext,
): Promise<void> {
  const source = await openImage(image, context);
  await runSkopeo(
    [
      // What is installed was verified, and its policy checked, when it was fetched.
      ...["--insecure-policy", "--tmpdir", context.scratch, ...source.flags, "copy", "--quiet"],
      ...(removeSignatures ? ["--remove-signatures"] : []),
      ...[...accessFlags(destination.how, "dest-"), "--"],
      ...[formatImage(source.image), formatImage(target.image)],
    ],
    destination,
    context,
  );
}

async function runSkopeo(
  args: readonly string[],
  { network, env }: OpenDestination,
  { name, run }: StageContext,
): Promise<ProcessResult> {
  try {
    return await run("skopeo", args, { network, env, words: skopeoWords });
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    const hint = HINTS.find(([said]) => said.test(error.log))?.[1];
    if (hint === undefined) throw error;
    const [message = ""] = error.message.replace(/^[^:]*: /, "").split("\n");
    throw new StageError(name, message, { log: error.log, hint, cause: error });
  }
}

/** What counts is not that skopeo was content, but that the image is there. */
async function checkId(
  { image, name, target }: Installed,
  destination: OpenDestination,
  context: StageContext,
): Promise<void> {
  const { stdout } = await runSkopeo(
    [
      ...["--tmpdir", context.scratch, ...platformFlags(image.platform)],
      ...["inspect", "--config", "--raw"],
      ...[...accessFlags(destination.how, ""), "--", formatImage(target.image)],
    ],
    destination,
    context,
  );
  const id = digestOf(stdout);
  if (id === image.id) return;
  throw new StageError(context.name, `"${name}" was installed as ${id}, and is ${image.id}`);
}
