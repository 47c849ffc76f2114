import { basename, dirname, join, resolve } from "@std/path";
import {
  type DaemonDestination,
  parseReference,
  type PathDestination,
  type RegistryDestination,
  type StorageDestination,
} from "../../../config/mod.ts";
import { StageError } from "../../errors/mod.ts";
import type { SkopeoAccess, SkopeoImage } from "../../tools/skopeo_args.ts";
import { STORAGE_PATH } from "../destinations.ts";
import type { StageContext } from "../stage.ts";
import { archiveLayout } from "./archive_layout.ts";
import { addImageStore } from "./image_store.ts";
import { makeFolders } from "./tree_file.ts";
import { refuseDialects } from "./overlay_dialect.ts";
import { ensureDirInTree, resolveInTree } from "../../lib/fs/tree_path.ts";

/** A destination that images can be copied to. */
export interface OpenDestination {
  /** Whether it takes layers without compression only; skopeo before 1.14 does not see to that. */
  readonly needsPlainLayers?: boolean;
  /** Whether several images can be written at a time, and read while others are written. */
  readonly takesSeveral?: boolean;
  /** The folder that says where signatures go; this machine's own if absent. */
  readonly registriesD?: string | undefined;
  /** Whether reaching it takes the network. */
  readonly network: boolean;
  /** What skopeo's environment has for it. */
  readonly env: Readonly<Record<string, string>>;

  /**
   * Makes room for an image.
   *
   * @param name What the image is called there.
   * @returns Where it goes.
   */
  target(name: string): Target;

  /**
   * Leaves the destination as a tree can have it, when all images are there.
   *
   * @param isAdditional Whether podman and its kin are told to look for images there as well.
   */
  finish(isAdditional: boolean): Promise<void>;
}

/** Where an image goes; what is not settled is gone when it is disposed of. */
export interface Target extends AsyncDisposable {
  /** As skopeo is told it. */
  readonly image: SkopeoImage;
  /** How skopeo reaches it. */
  readonly how: SkopeoAccess;
  /** Moves the image to its place, where it was written beside it. */
  settle(): Promise<void>;
}

/** What this machine's own credentials, proxies and authorities are found by. */
const REGISTRY_ENV = [
  ...["HOME", "XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG"],
  ...["SSL_CERT_FILE", "SSL_CERT_DIR", "CONTAINERS_REGISTRIES_CONF"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"],
];

const nothing = () => Promise.resolve();
const inPlace = { how: {}, settle: nothing, [Symbol.asyncDispose]: nothing };
const local = { network: false, env: {}, finish: nothing };

/**
 * Opens a container storage of the tree, which is made if it is not there.
 *
 * @param destination The storage.
 * @param context What the engine gives to the stage.
 * @returns The destination.
 * @throws {StageError} If the tree has a link where images are to be written.
 */
export async function openStorage(
  { path = STORAGE_PATH, driver = "overlay" }: StorageDestination,
  context: StageContext,
): Promise<OpenDestination> {
  const { tree, scratch, name: stage } = context;
  const folder = await ensureDirInTree(tree, path);
  await refuseLinks(folder, context);
  // skopeo takes the specifier apart at ":", "+" and "]", which the tree's path may have.
  const [root, runRoot] = [await link(folder, scratch), join(scratch, "run")];
  return {
    ...local,
    takesSeveral: true,
    target: (name) => ({
      image: { transport: "containers-storage", storage: { driver, root, runRoot }, name },
      ...inPlace,
    }),
    async finish(isAdditional) {
      await refuseDialects(folder, context);
      // The overlay driver makes this device node on xfs at each start; ostree cannot hold it.
      const overlay = await resolveInTree(tree, join(path, "overlay"));
      await Deno.remove(join(overlay, "backingFsBlockDev")).catch(ignoreAbsent);
      if (isAdditional) await addImageStore(tree, path, driver, stage);
    },
  };
}

/**
 * Opens the registries that the names of images say.
 *
 * @param destination How they are reached.
 * @param context What the engine gives to the stage.
 * @returns The destination.
 * @throws {ConfigError} If there is no folder where the config's `registriesD` says.
 */
export async function openRegistry(
  { type: transport, ...own }: RegistryDestination,
  { reach, registriesD }: StageContext,
): Promise<OpenDestination> {
  const env = Object.entries(Deno.env.toObject());
  return {
    registriesD: await registriesD(),
    network: true,
    env: Object.fromEntries(env.filter(([name]) => REGISTRY_ENV.includes(name))),
    target: (name) => ({
      ...inPlace,
      image: { transport, name },
      how: reach(parseReference(name), own),
    }),
    finish: nothing,
  };
}

/**
 * Opens a docker daemon.
 *
 * @param destination How it is reached.
 * @param context What the engine gives to the stage.
 * @returns The destination.
 */
export function openDaemon(
  { type: transport, certDir, ...own }: DaemonDestination,
  { root }: StageContext,
): OpenDestination {
  const how = { ...own, ...(certDir && { certDir: resolve(root, certDir) }) };
  return {
    ...local,
    network: true,
    target: (name) => ({ ...inPlace, image: { transport, name }, how }),
  };
}

/**
 * Opens a file or folder of the tree. What is no folder yet is written beside its place, as skopeo
 * would follow a link there, or take its name apart.
 *
 * @param destination The file or folder.
 * @param context What the engine gives to the stage.
 * @param isNamed Whether images have names there.
 * @returns The destination.
 * @throws {StageError} If the tree has a link where images are to be written.
 */
export async function openFile(
  { type: transport, path }: PathDestination,
  context: StageContext,
  isNamed = true,
): Promise<OpenDestination> {
  const { tree, scratch } = context;
  const place = await resolveInTree(tree, path);
  const imageAt = (path: string, name: string) => ({ transport, path, ...(isNamed && { name }) });
  const isFolder = await Deno.lstat(place).then((info) => info.isDirectory, () => false);
  if (isFolder) {
    for (const each of [place, join(place, "blobs")]) await refuseLinks(each, context);
    const there = await link(place, scratch);
    return {
      ...local,
      target: (name) => ({
        ...inPlace,
        image: imageAt(there, name),
        settle: () => date(place, [], context),
      }),
    };
  }
  const changed = await makeFolders(dirname(place));
  const next = join(dirname(place), `.${crypto.randomUUID()}`);
  const file = join(await link(dirname(place), scratch), basename(next));
  return {
    ...local,
    target: (name) => ({
      image: imageAt(file, name),
      how: {},
      async settle() {
        await Deno.rename(next, place);
        await date(place, changed, context);
      },
      // What cannot be removed goes with the tree; why the stage has failed counts.
      [Symbol.asyncDispose]: () => Deno.remove(next, { recursive: true }).catch(() => {}),
    }),
  };
}

/**
 * Opens an OCI archive of the tree. skopeo writes a layout, as an archive of its own has other bytes
 * each time.
 *
 * @param destination The file.
 * @param context What the engine gives to the stage.
 * @returns The destination.
 */
export async function openOciArchive(
  { path }: PathDestination,
  context: StageContext,
): Promise<OpenDestination> {
  const { tree, scratch, staging } = context;
  const place = await resolveInTree(tree, path);
  const changed = await makeFolders(dirname(place));
  const layout = join(staging, crypto.randomUUID());
  const there = join(await link(staging, scratch), basename(layout));
  return {
    ...local,
    target: (name) => ({
      ...inPlace,
      image: { transport: "oci", path: there, name },
      async settle() {
        await archiveLayout(layout, place, context);
        await date(place, changed, context);
      },
    }),
  };
}

/** Gives what is at a path, and the folders above it, the date that everything new has. */
async function date(
  path: string,
  folders: readonly string[],
  { epoch, run }: StageContext,
): Promise<void> {
  const touch = ["touch", "--no-dereference", `--date=@${epoch}`, "--"];
  await run("find", [path, "-depth", "-exec", ...touch, "{}", "+"]);
  if (folders.length > 0) await run("touch", [...touch.slice(1), ...folders]);
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

async function link(path: string, scratch: string): Promise<string> {
  const link = join(scratch, crypto.randomUUID());
  await Deno.symlink(path, link);
  return link;
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
