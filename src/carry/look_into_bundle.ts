import type { Lock } from "../graph/lock_schema.ts";
import { emitTo, type Listener } from "../events.ts";
import { ofSystem } from "../lib/typed_error.ts";
import { UsageError } from "../errors/mod.ts";
import type { SignedBy } from "../tools/signing.ts";
import type {
  BundleArtifact,
  BundleBlob,
  BundleImage,
  BundleReferrer,
  BundleSource,
} from "./bundle_format.ts";
import { readArtifacts } from "./bundle_artifacts.ts";
import { readReferrers } from "./bundle_referrers.ts";
import { checkBlobs, openBundle, type OpenedBundle, readImages } from "./open_bundle.ts";
import { tellHashed } from "./tell_hashed.ts";

/** How a bundle is looked into. */
export interface BundleOptions {
  /**
   * File of the public key that it has to be signed by: of OpenSSH, as `id_ed25519.pub`, or what
   * `gpg --export` makes; no signature is asked for if absent.
   */
  readonly verifyKey?: string;
  /** Takes events. */
  readonly onEvent?: Listener;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** What a bundle has. */
export interface BundleInfo {
  /** Its file; of pieces, what they are together. */
  readonly path: string;
  /** Digest of its `bundle.json`, which stands for all that is in it. */
  readonly digest: string;
  /** Its sources. */
  readonly sources: readonly BundleSource[];
  /** Their images. */
  readonly images: readonly BundleImage[];
  /** Its artifacts. */
  readonly artifacts: readonly BundleArtifact[];
  /** Layers that were left out: the receiver has to have them. */
  readonly base: readonly BundleBlob[];
  /** What refers to them and to their indexes; left out where its blobs are not in the bundle. */
  readonly referrers: readonly BundleReferrer[];
  /** What tags stood for where it was made; absent where that had no lock. */
  readonly lock?: Lock;
  /** Its size in bytes. */
  readonly bytes: number;
  /** Names of its pieces; the bundle itself where it is one file. */
  readonly pieces: readonly string[];
  /** Who has signed it, as the program has checked; absent where no key was given. */
  readonly signedBy?: SignedBy;
}

/**
 * Tells what a bundle has. Its contents are compared with its sums, where they are beside it; what
 * else is in it is not read, and only the first piece has to be there.
 *
 * @param paths Its file, or pieces of it.
 * @param options The key, cancellation.
 * @returns What it has.
 * @throws {BundleError} If it is damaged, not signed by the key, or not there.
 * @throws {UsageError} If no file is named, or the key is none.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function inspectBundle(
  paths: string | readonly string[],
  options: BundleOptions = {},
): Promise<BundleInfo> {
  return await look(paths, options, true, () => Promise.resolve());
}

/**
 * Verifies a bundle without a store: its signature, its pieces, every byte of it. What the layers
 * unpack to is compared with the images' configs when it is loaded.
 *
 * @param paths Its file, or pieces of it; the others are found beside them.
 * @param options The key, events, cancellation.
 * @returns What it has.
 * @throws {BundleError} If it is damaged, not signed by the key, or something of it is not at hand.
 * @throws {UsageError} If no file is named, or the key is none.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function verifyBundle(
  paths: string | readonly string[],
  options: BundleOptions = {},
): Promise<BundleInfo> {
  return await look(paths, options, false, async (opened) => {
    await readImages(opened);
    await readReferrers(opened);
    await readArtifacts(opened);
    let bytes = 0;
    const total = opened.bundle.blobs.reduce((sum, { size }) => sum + size, 0);
    const tell = tellHashed(emitTo(options.onEvent));
    await checkBlobs(opened, (count) => tell(bytes += count, total));
  });
}

async function look(
  paths: string | readonly string[],
  { verifyKey, onEvent, signal = new AbortController().signal }: BundleOptions,
  isInspected: boolean,
  check: (opened: OpenedBundle) => Promise<void>,
): Promise<BundleInfo> {
  try {
    const files = requireFiles(paths);
    const onBytes = tellHashed(emitTo(onEvent));
    const key = verifyKey === undefined ? {} : { verifyKey };
    const opened = await openBundle(files, { ...key, signal, isInspected, onBytes });
    await check(opened);
    const { path, digest, bundle, layout, sums, signedBy } = opened;
    const { sources, images, artifacts = [], base, referrers = [], lock } = bundle;
    return {
      ...{ path, digest, sources, images, artifacts, base, referrers },
      ...(lock && { lock }),
      bytes: layout.size,
      pieces: sums?.pieces.map(({ name }) => name) ?? [path],
      ...(signedBy && { signedBy }),
    };
  } catch (error) {
    throw ofSystem(error);
  }
}

/**
 * Takes the files of a bundle.
 *
 * @param paths One or several.
 * @returns All of them.
 * @throws {UsageError} If there is none.
 */
export function requireFiles(paths: string | readonly string[]): readonly string[] {
  const files = typeof paths === "string" ? [paths] : paths;
  if (files.length > 0) return files;
  throw new UsageError("Cannot open a bundle: none is named", { hint: "name its file: site.tar" });
}
