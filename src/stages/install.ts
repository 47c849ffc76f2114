import { basename, dirname, join, resolve } from "@std/path";
import type { Destination } from "../../config/mod.ts";
import { StageError } from "../errors.ts";
import { digestOf } from "../store/files.ts";
import { addImageStore } from "./image_store.ts";
import { hasSignatures, openImage, platformFlags } from "./open_image.ts";
import type { StageContext, StageImage, StageRunner, StageRunOptions } from "./stage.ts";
import { ensureDirInTree, resolveInTree } from "./tree_path.ts";

const DEFAULT_STORAGE = "/var/lib/containers/storage";

/** Installs images, as osbuild's `org.osbuild.skopeo` stage does, and reads each one back. */
export const install: StageRunner<"install"> = async (stage, context) => {
  const { destination, removeSignatures = false, additionalImageStore = false } = stage;
  const images = context.inputs.flatMap((input) => {
    if (input.kind === "images") return input.images;
    throw new StageError(context.name, `input "${input.name}" gives a tree, not images`);
  });
  if (images.length === 0) throw new StageError(context.name, "its inputs have no images");
  const pairs = images.flatMap((image) => image.names.map((name) => ({ image, name })));
  if (pairs.length > 1 && "path" in destination && destination.type !== "containers-storage") {
    throw new StageError(context.name, `"${destination.path}" has room for one image, not more`, {
      hint: "give it one image with one name, or install the others with stages of their own",
    });
  }
  if (!removeSignatures) await checkSignatures(images, destination, context);
  for (const { image, name } of pairs) {
    const target = await openDestination(destination, name, context);
    await copy(image, target, removeSignatures, context);
    await checkId(image, name, target, context);
  }
  if (destination.type !== "containers-storage") return;
  const { path: storage = DEFAULT_STORAGE, driver = "overlay" } = destination;
  // The overlay driver makes this device node on xfs at each start; ostree cannot hold it.
  const node = join(await resolveInTree(context.tree, storage), "overlay/backingFsBlockDev");
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
interface Target {
  readonly image: string;
  readonly copyFlags: readonly string[];
  readonly inspectFlags: readonly string[];
  readonly network: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** What skopeo finds credentials, certificates and proxies by, as it does where it fetches. */
const REACH = [
  ...["HOME", "XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG"],
  ...["SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"],
  ...["http_proxy", "https_proxy", "no_proxy"],
];

function reach(): Record<string, string> {
  const entries = REACH.map((name) => [name, Deno.env.get(name)] as const);
  return Object.fromEntries(
    entries.filter((entry): entry is readonly [string, string] => entry[1] !== undefined),
  );
}

async function openDestination(
  destination: Destination,
  name: string,
  { tree, scratch, root }: StageContext,
): Promise<Target> {
  const none = { copyFlags: [], inspectFlags: [], network: false };
  switch (destination.type) {
    case "containers-storage": {
      const { path = DEFAULT_STORAGE, driver = "overlay" } = destination;
      const folder = await ensureDirInTree(tree, path);
      // skopeo takes the specifier apart at ":", "+" and "]", which the tree's path may have.
      const [graph, run] = [await link(folder, scratch), join(scratch, "run")];
      return { ...none, image: `containers-storage:[${driver}@${graph}+${run}]${name}` };
    }
    case "docker": {
      const { tlsVerify = true, authFile, certDir } = destination;
      const auth = authFile ? [resolve(root, authFile)] : [];
      const certs = certDir ? [resolve(root, certDir)] : [];
      return {
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
        env: reach(),
      };
    }
    default: {
      const folder = await link(await ensureDirInTree(tree, dirname(destination.path)), scratch);
      const suffix = destination.type === "dir" ? "" : `:${name}`;
      const file = join(folder, basename(destination.path));
      return { ...none, image: `${destination.type}:${file}${suffix}` };
    }
  }
}

function accessOf({ network, env }: Target): StageRunOptions {
  return { network, ...(env && { env }) };
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
  await context.run("skopeo", [
    // What is installed was verified, and its policy checked, when it was fetched.
    ...["--insecure-policy", "--tmpdir", context.scratch, ...source.flags, "copy", "--quiet"],
    ...(removeSignatures ? ["--remove-signatures"] : []),
    ...[...target.copyFlags, "--", source.image, target.image],
  ], accessOf(target));
}

/** What counts is not that skopeo was content, but that the image is there. */
async function checkId(
  image: StageImage,
  name: string,
  target: Target,
  context: StageContext,
): Promise<void> {
  const { stdout } = await context.run("skopeo", [
    ...["--tmpdir", context.scratch, ...platformFlags(image.platform)],
    ...["inspect", "--config", "--raw"],
    ...[...target.inspectFlags, "--", target.image],
  ], accessOf(target));
  const id = digestOf(stdout);
  if (id === image.id) return;
  throw new StageError(context.name, `"${name}" was installed as ${id}, and is ${image.id}`);
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
