import { join } from "@std/path";
import type { Platform } from "../../config/mod.ts";
import { ToolMissingError } from "../errors/mod.ts";
import { runThroughGate } from "./gate.ts";
import type { Pipes } from "./pipes.ts";
import type { ProcessOptions, ProcessResult } from "./process.ts";
import { find, runProcess } from "./process.ts";
import {
  accessFlags,
  formatImage,
  platformFlags,
  signatureFlags,
  type SkopeoAccess,
  type SkopeoImage,
} from "./skopeo_args.ts";

/** What every run of skopeo takes. */
export interface SkopeoOptions extends ProcessOptions {
  /** Folder for its temporary files, instead of `/var/tmp`. */
  readonly tmpDir: string;
  /** Configuration, instead of the machine's own. */
  readonly trust: SkopeoTrust;
  /** The platform to choose where an image has several. */
  readonly platform?: Platform | undefined;
}

/** Files that say whom skopeo trusts; where one is absent, the machine's own says it. */
export interface SkopeoTrust {
  /** Signature policy, containers-policy.json(5). */
  readonly policy?: string;
  /** Folder that says where signatures are, containers-registries.d(5). */
  readonly registriesD?: string;
  /** Mirrors, containers-registries.conf(5). */
  readonly registriesConf?: string;
}

/** Layers that skopeo leaves out of a copy. */
export interface LeftOut {
  /** The layers. */
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
  /** What it is told of registries. */
  readonly registriesConf: RegistriesConf;
}

/** A containers-registries.conf(5). */
export interface RegistriesConf {
  /** The file, there or not. */
  readonly path: string;
  /** What it says. */
  readonly text: string;
}

const MAX_MANIFEST = 4 * 2 ** 20;

/**
 * Reads the manifest of an image, or the index that its name stands for, as it is served.
 *
 * @param image The image.
 * @param how How it is reached.
 * @param options What every run of skopeo takes.
 * @returns What skopeo said; its standard output are the bytes, at most 4 MiB.
 * @throws {ToolMissingError} If there is no skopeo.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function inspectRaw(
  image: SkopeoImage,
  how: SkopeoAccess,
  options: SkopeoOptions,
): Promise<ProcessResult> {
  const result = await inspect(image, how, options, []);
  // In the words that skopeo has for what a registry serves; of files it reads all.
  const stderr = `the manifest exceeded maximum allowed size of ${MAX_MANIFEST} bytes`;
  return result.isCut ? { ...result, stderr } : result;
}

/**
 * Reads the config of an image, as it is served.
 *
 * @param image The image, which is one, and no index.
 * @param how How it is reached.
 * @param options What every run of skopeo takes.
 * @returns What skopeo said; its standard output are the bytes, at most 4 MiB.
 * @throws {ToolMissingError} If there is no skopeo.
 * @throws {InterruptedError} If the signal was aborted.
 */
export function inspectConfig(
  image: SkopeoImage,
  how: SkopeoAccess,
  options: SkopeoOptions,
): Promise<ProcessResult> {
  return inspect(image, how, options, ["--config"]);
}

function inspect(
  image: SkopeoImage,
  how: SkopeoAccess,
  options: SkopeoOptions,
  flags: readonly string[],
): Promise<ProcessResult> {
  const all = [...globalFlags(options), "inspect", "--raw", ...flags, ...accessFlags(how, "")];
  const read = [...all, "--", formatImage(image)];
  return runSkopeo(image, read, { maxOutput: MAX_MANIFEST, ...options });
}

/** What is copied into a folder, and how. */
export interface CopyToDir {
  /** The image. */
  readonly image: SkopeoImage;
  /** How it is reached. */
  readonly how: SkopeoAccess;
  /** The folder of the `dir` transport; skopeo makes it. */
  readonly folder: string;
  /** Whether signatures are left behind, once the policy was asked of them. */
  readonly leavesSignatures?: boolean;
}

/**
 * Copies an image into a folder of the `dir` transport, with its signatures and its manifest as
 * served.
 *
 * @param copy What is copied.
 * @param options What every run of skopeo takes.
 * @returns What skopeo said.
 * @throws {ToolMissingError} If there is no skopeo.
 * @throws {InterruptedError} If the signal was aborted.
 */
export function copyToDir(
  { image, how, folder, leavesSignatures = false }: CopyToDir,
  options: SkopeoOptions,
): Promise<ProcessResult> {
  const flags = [
    ...accessFlags(how, "src-"),
    ...(leavesSignatures ? ["--remove-signatures"] : []),
  ];
  const [from, to] = [formatImage(image), formatImage({ transport: "dir", path: folder })];
  const all = [...globalFlags(options), "copy", "--quiet", ...flags, "--", from, to];
  return runSkopeo(image, all, options);
}

/** The one transport that mounts what it reads, and leaves that mounted. */
const MOUNTS = "containers-storage";

async function runSkopeo(
  { transport }: SkopeoImage,
  args: readonly string[],
  options: ProcessOptions,
): Promise<ProcessResult> {
  if (transport !== MOUNTS) return await runProcess("skopeo", args, options);
  const { runWithOwnMounts } = await import("./sandbox.ts");
  return await runWithOwnMounts("skopeo", args, options);
}

/** Values of `PATH` that lead to a skopeo: it is not looked for again for each image. */
const having = new Set<string>();

/**
 * Copies an image as {@linkcode copyToDir} does, and without some of its layers: manifest, config,
 * policy and signatures are skopeo's work all the same. It takes a layer for copied that has a file
 * of its name, but it empties the folder first; so it is stopped in between, where it reads
 * containers-registries.conf(5), and files without content are put there.
 *
 * @param copy What is copied; the image is one of a registry. Its folder must not be
 * there: as soon as skopeo has made it, it is at work.
 * @param leftOut The layers. There are sparse files of their sizes, unless this skopeo has copied
 * them after all.
 * @param options What every run of skopeo takes, and the pipe to stop it by.
 * @returns What skopeo said.
 * @throws {ToolMissingError} If there is no skopeo.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function copyWithoutLayers(
  copy: CopyToDir,
  { layers, registriesConf }: LeftOut,
  { pipes, ...options }: SkopeoOptions & { readonly pipes: Pipes },
): Promise<ProcessResult> {
  const searched = Deno.env.get("PATH") ?? "";
  if (!having.has(searched) && !await find("skopeo")) throw new ToolMissingError("skopeo");
  having.add(searched);
  const path = join(options.tmpDir, `registries-${crypto.randomUUID()}.conf`);
  const leaveOut = async () => {
    // Another skopeo may read it before it has made the folder. What is in it then differs: the file
    // `version` is written first by 1.9, and last by those after 1.22.
    if (await Deno.stat(copy.folder).catch(() => undefined) === undefined) return;
    for (const { digest, size } of layers) {
      const file = join(copy.folder, digest.slice("sha256:".length));
      using placeholder = await Deno.open(file, { createNew: true, write: true, mode: 0o644 });
      await placeholder.truncate(size);
    }
  };
  const trust = { ...options.trust, registriesConf: path };
  const result = await runThroughGate(
    { path, pipes, text: registriesConf.text, signal: options.signal },
    leaveOut,
    (signal) => copyToDir(copy, { ...options, trust, signal }),
  );
  if (!result) return await copyToDir(copy, options);
  return { ...result, stderr: result.stderr.replaceAll(path, registriesConf.path) };
}

/**
 * Asks a policy of an image in a folder of the `dir` transport, by the signatures that are in it.
 * skopeo asks only where it copies; what it copies here are links to blobs.
 *
 * @param folder The folder.
 * @param blobs Digests of the image's config and layers.
 * @param options What every run of skopeo takes.
 * @returns Whether the image is accepted.
 * @throws {ToolMissingError} If there is no skopeo.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function accepts(
  folder: string,
  blobs: readonly string[],
  options: SkopeoOptions,
): Promise<boolean> {
  const shared = join(options.tmpDir, "blobs");
  await Deno.mkdir(join(shared, "sha256"), { recursive: true });
  for (const digest of blobs) {
    const hex = digest.slice("sha256:".length);
    await Deno.symlink(join(folder, hex), join(shared, "sha256", hex));
  }
  const flags = ["--quiet", "--remove-signatures", "--dest-shared-blob-dir", "blobs"];
  const { code } = await runProcess(
    "skopeo",
    // The names are relative, as skopeo takes them apart at colons.
    [...globalFlags(options), "copy", ...flags, "--", `dir:${folder}`, "oci:layout:x"],
    { ...options, cwd: options.tmpDir },
  );
  return code === 0;
}

function globalFlags({ tmpDir, trust, platform }: SkopeoOptions): string[] {
  const { policy, registriesD, registriesConf } = trust;
  return [
    ...["--tmpdir", tmpDir],
    ...(policy ? ["--policy", policy] : []),
    ...signatureFlags(registriesD),
    ...(registriesConf ? ["--registries-conf", registriesConf] : []),
    ...(platform ? platformFlags(platform) : []),
  ];
}
