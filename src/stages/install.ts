import { basename, dirname, join, resolve } from "@std/path";
import pLimit from "p-limit";
import type { Destination } from "../../config/mod.ts";
import { StageError } from "../errors/mod.ts";
import { digestOf } from "../lib/fs/files.ts";
import type { ProcessResult } from "../tools/process.ts";
import { skopeoWords } from "../tools/skopeo_words.ts";
import { addImageStore } from "./image_store.ts";
import { hasSignatures, openImage, platformFlags } from "./open_image.ts";
import type { StageContext, StageImage, StageRunner } from "./stage.ts";
import { ensureDirInTree, resolveInTree } from "./tree_path.ts";

const DEFAULT_STORAGE = "/var/lib/containers/storage";

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

/** What this machine's own credentials, proxies and authorities are found by. */
const REGISTRY_ENV = [
  ...["HOME", "XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG"],
  ...["SSL_CERT_FILE", "SSL_CERT_DIR", "CONTAINERS_REGISTRIES_CONF"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"],
];

/** How many images are read back at a time; a storage lets one be written only. */
const READERS = 4;

/** Installs images, as osbuild's `org.osbuild.skopeo` stage does, and reads each one back. */
export const install: StageRunner<"install"> = async (stage, context) => {
  const { destination, removeSignatures = false, additionalImageStore = false } = stage;
  const images = context.inputs.flatMap((input) => {
    if (input.kind === "images") return input.images;
    throw new StageError(context.name, `input "${input.name}" gives a tree, not images`);
  });
  if (images.length === 0) throw new StageError(context.name, "its inputs have no images");
  const pairs = images.flatMap((image) => image.names.map((name) => ({ image, name })));
  if (!removeSignatures) await checkSignatures(images, destination, context);
  await using targets = new AsyncDisposableStack();
  const installed: Installed[] = [];
  for (const { image, name } of pairs) {
    const target = targets.use(await openDestination(destination, name, context));
    await copy(image, target, removeSignatures, context);
    installed.push({ image, name, target });
  }
  const limit = pLimit(READERS);
  const checks = installed.map((each) => limit(() => checkId(each, context)));
  for (const check of await Promise.allSettled(checks)) {
    if (check.status === "rejected") throw check.reason;
  }
  for (const { image, name, target } of installed) {
    await target.settle();
    context.made({ name, id: image.id, digest: image.digest });
  }
  if (destination.type !== "containers-storage") return;
  const { path: storage = DEFAULT_STORAGE, driver = "overlay" } = destination;
  // The overlay driver makes this device node on xfs at each start; ostree cannot hold it.
  const overlay = await resolveInTree(context.tree, join(storage, "overlay"));
  const node = join(overlay, "backingFsBlockDev");
  await Deno.remove(node).catch(ignoreAbsent);
  if (additionalImageStore) await addImageStore(context.tree, storage, driver, context.name);
};

/** The formats that have no place for signatures; skopeo does not leave them out unasked. */
const UNSIGNED: readonly Destination["type"][] = ["oci", "oci-archive", "docker-archive"];

async function checkSignatures(
  images: readonly StageImage[],
  { type }: Destination,
  { name }: StageContext,
): Promise<void> {
  if (!UNSIGNED.includes(type)) return;
  for (const image of images) {
    if (!await hasSignatures(image)) continue;
    throw new StageError(name, `"${image.names[0]}" is signed, and ${type} cannot hold that`, {
      hint: `set removeSignatures: true on stages.${name}, or choose another destination`,
    });
  }
}

/** A destination as skopeo is told it. */
interface Target extends AsyncDisposable {
  readonly image: string;
  readonly copyFlags: readonly string[];
  readonly inspectFlags: readonly string[];
  readonly network: boolean;
  readonly env: Readonly<Record<string, string>>;
  /** Moves the image to its place, where it was written beside it. */
  settle(): Promise<void>;
}

/** An image that was copied to its destination. */
interface Installed {
  readonly image: StageImage;
  readonly name: string;
  readonly target: Target;
}

async function openDestination(
  destination: Destination,
  name: string,
  context: StageContext,
): Promise<Target> {
  const { tree, scratch, root } = context;
  const nothing = () => Promise.resolve();
  const dispose = { settle: nothing, [Symbol.asyncDispose]: nothing };
  const none = { copyFlags: [], inspectFlags: [], network: false, env: {}, ...dispose };
  switch (destination.type) {
    case "containers-storage": {
      const { path = DEFAULT_STORAGE, driver = "overlay" } = destination;
      const folder = await ensureDirInTree(tree, path);
      await refuseLinks(folder, context);
      // skopeo takes the specifier apart at ":", "+" and "]", which the tree's path may have.
      const [graph, run] = [await link(folder, scratch), join(scratch, "run")];
      return { ...none, image: `containers-storage:[${driver}@${graph}+${run}]${name}` };
    }
    case "docker": {
      const { tlsVerify = true, authFile, certDir } = destination;
      const auth = authFile ? [resolve(root, authFile)] : [];
      const certs = certDir ? [resolve(root, certDir)] : [];
      return {
        ...none,
        image: `docker://${name}`,
        copyFlags: [
          ...(tlsVerify ? [] : ["--dest-tls-verify=false"]),
          ...auth.flatMap((file) => ["--dest-authfile", file]),
          ...certs.flatMap((folder) => ["--dest-cert-dir", folder]),
        ],
        inspectFlags: [
          ...(tlsVerify ? [] : ["--tls-verify=false"]),
          ...auth.flatMap((file) => ["--authfile", file]),
          ...certs.flatMap((folder) => ["--cert-dir", folder]),
        ],
        network: true,
        env: registryEnv(),
      };
    }
    default: {
      const suffix = destination.type === "dir" ? "" : `:${name}`;
      const place = await resolveInTree(tree, destination.path);
      const isFolder = await Deno.lstat(place).then((info) => info.isDirectory, () => false);
      if (isFolder) {
        for (const each of [place, join(place, "blobs")]) await refuseLinks(each, context);
        return { ...none, image: `${destination.type}:${await link(place, scratch)}${suffix}` };
      }
      // Written beside its place, as skopeo would follow a link there, or take its name apart.
      await Deno.mkdir(dirname(place), { recursive: true, mode: 0o755 });
      const next = join(dirname(place), `.${crypto.randomUUID()}`);
      const file = join(await link(dirname(place), scratch), basename(next));
      return {
        ...none,
        image: `${destination.type}:${file}${suffix}`,
        settle: () => Deno.rename(next, place),
        // What cannot be removed goes with the tree; why the stage has failed counts.
        [Symbol.asyncDispose]: () => Deno.remove(next, { recursive: true }).catch(() => {}),
      };
    }
  }
}

/** skopeo would follow a link of the tree to this machine's own files. */
async function refuseLinks(folder: string, { name, tree }: StageContext): Promise<void> {
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  const link = entries.find(({ isSymlink }) => isSymlink);
  if (!link) return;
  const path = join(folder, link.name).slice(tree.length);
  throw new StageError(name, `"${path}" of the tree is a link, where images are to be written`, {
    hint: "put a folder in its place, or install somewhere else",
  });
}

function registryEnv(): Record<string, string> {
  const own = Object.entries(Deno.env.toObject());
  return Object.fromEntries(own.filter(([name]) => REGISTRY_ENV.includes(name)));
}

async function link(path: string, scratch: string): Promise<string> {
  const link = join(scratch, crypto.randomUUID());
  await Deno.symlink(path, link);
  return link;
}

async function copy(
  image: StageImage,
  target: Target,
  removeSignatures: boolean,
  context: StageContext,
): Promise<void> {
  const source = await openImage(image, context);
  await runSkopeo(
    [
      // What is installed was verified, and its policy checked, when it was fetched.
      ...["--insecure-policy", "--tmpdir", context.scratch, ...source.flags, "copy", "--quiet"],
      ...(removeSignatures ? ["--remove-signatures"] : []),
      ...[...target.copyFlags, "--", source.image, target.image],
    ],
    target,
    context,
  );
}

async function runSkopeo(
  args: readonly string[],
  { network, env }: Target,
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
async function checkId({ image, name, target }: Installed, context: StageContext): Promise<void> {
  const { stdout } = await runSkopeo(
    [
      ...["--tmpdir", context.scratch, ...platformFlags(image.platform)],
      ...["inspect", "--config", "--raw"],
      ...[...target.inspectFlags, "--", target.image],
    ],
    target,
    context,
  );
  const id = digestOf(stdout);
  if (id === image.id) return;
  throw new StageError(context.name, `"${name}" was installed as ${id}, and is ${image.id}`);
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
