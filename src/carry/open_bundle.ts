import { basename, dirname } from "@std/path";
import { BundleError } from "../errors/mod.ts";
import { BLOCK, headerOf, nameOf, padded, sizeIn } from "../lib/archive/tar_header.ts";
import { digestOf, guard } from "../lib/fs/files.ts";
import { OddFile, readIfThere } from "../lib/fs/outside_file.ts";
import { MAX_JSON } from "../lib/json.ts";
import {
  blobsOf,
  type ImageManifest,
  platformOfConfig,
  readImageConfig,
  readManifest,
} from "../store/manifest.ts";
import { checkSignature, type SignedBy } from "../tools/signing.ts";
import {
  type Bundle,
  type BundleImage,
  CONTENTS,
  headerOfMember,
  type Layout,
  layOut,
  readContents,
  readSums,
  SIGNATURE,
  SUMS,
  type Sums,
} from "./bundle_format.ts";
import {
  describePiece,
  digestOfPiece,
  findPieces,
  PieceReader,
  type PlacedPiece,
  placesOf,
  wholeOf,
} from "./pieces.ts";

/** How a bundle is opened. */
export interface OpenBundleOptions {
  /** The public key that its sums have to be signed by; no signature is asked for if absent. */
  readonly verifyKey?: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Whether only what it has is asked for, and none of its bytes are hashed. */
  readonly isInspected?: boolean;
  /** Takes how many bytes were hashed, of how many. */
  readonly onBytes?: (bytes: number, total: number) => void;
}

/** A bundle whose signature, pieces and contents are what they have to be. */
export interface OpenedBundle {
  /** Its file, as a person calls it. */
  readonly path: string;
  /** What it has. */
  readonly bundle: Bundle;
  /** Digest of `bundle.json`. */
  readonly digest: string;
  /** Where its files are. */
  readonly layout: Layout;
  /** Its bytes. */
  readonly reader: PieceReader;
  /** What its pieces hash to; absent where no sums are beside it. */
  readonly sums?: Sums;
  /** Who has signed it, where that was asked for. */
  readonly signedBy?: SignedBy;
  /** Where blobs begin, by digest. */
  readonly blobs: ReadonlyMap<string, { readonly start: number; readonly size: number }>;
}

/** An image of a bundle, with all of it that is small. */
export interface ReadImage extends BundleImage {
  /** The bytes of its manifest. */
  readonly manifestBytes: Uint8Array<ArrayBuffer>;
  /** Its manifest. */
  readonly manifest: ImageManifest;
  /** The bytes of its config. */
  readonly config: Uint8Array<ArrayBuffer>;
  /** Its signatures. */
  readonly signatureBytes: readonly Uint8Array<ArrayBuffer>[];
}

/** A bundle that was found, and has the signature that it has to have; no piece of it is read. */
export interface FoundBundle {
  /** Its file, as a person calls it. */
  readonly path: string;
  /** The files that were named. */
  readonly paths: readonly string[];
  /** Its sums; absent where none are beside it. */
  readonly sums?: Sums & FoundSums;
  /** Who has signed it, where that was asked for. */
  readonly signedBy?: SignedBy;
  /** Where each of its pieces is; `undefined` for one that is not at hand. */
  readonly placed: readonly (PlacedPiece | undefined)[];
}

/**
 * Opens a bundle: its signature is checked first, then its pieces, then what it says that it has.
 *
 * @param paths Its file, or pieces of it; the others, its sums and its signature are beside them.
 * @param options The key, cancellation, progress.
 * @returns The bundle.
 * @throws {BundleError} If it is damaged, not signed by the key, or something of it is not at hand.
 * @throws {UsageError} If the key is none.
 * @throws {StoreError} If a file cannot be read.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function openBundle(
  paths: readonly string[],
  options: OpenBundleOptions,
): Promise<OpenedBundle> {
  return await openFound(await findBundle(paths, options), options);
}

/**
 * Finds a bundle, its sums and its pieces, and checks the signature.
 *
 * @param paths Its file, or pieces of it; the others, its sums and its signature are beside them.
 * @param options The key, cancellation; and where else its sums may be.
 * @returns What was found.
 * @throws {BundleError} If its sums are damaged, or not signed by the key.
 * @throws {UsageError} If the key is none.
 * @throws {StoreError} If a file cannot be read.
 */
export async function findBundle(
  paths: readonly string[],
  { verifyKey, signal, keptSums }: Pick<OpenBundleOptions, "verifyKey" | "signal"> & {
    /** Says where the sums of a piece are that has none beside it. */
    readonly keptSums?: (piece: string) => Promise<string | undefined>;
  },
): Promise<FoundBundle> {
  const [first = ""] = paths;
  const beside = await findSums(paths);
  const kept = beside ? undefined : await keptSums?.(first);
  const found = kept === undefined ? beside : await findSums([kept]);
  const path = beside ? beside.path.slice(0, -SUMS.length) : found ? wholeOf(first) : first;
  const signedBy = verifyKey === undefined
    ? undefined
    : await checkSums(path, found, verifyKey, signal);
  if (!found) return { path, paths, placed: [] };
  // The very bytes whose signature was checked.
  const read = readSums(found.bytes);
  if ("reason" in read) throw damaged(found.path, `it ${read.reason}`);
  const { pieces } = read.value;
  const files = paths.filter((path) => !path.endsWith(SUMS));
  const named = files.length > 0 ? files : [path];
  const placed = await guard("read", path, () => findPieces(pieces, named, dirname(found.path)));
  return {
    ...{ path, paths, placed, sums: { ...read.value, ...found } },
    ...(signedBy && { signedBy }),
  };
}

/**
 * Opens a bundle that was found: its pieces are checked, then what it says that it has.
 *
 * @param found The bundle.
 * @param options Cancellation, progress.
 * @returns The bundle.
 * @throws {BundleError} If it is damaged, or something of it is not at hand.
 * @throws {StoreError} If a file cannot be read.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function openFound(
  found: FoundBundle,
  { signal, isInspected = false, onBytes = () => {} }: OpenBundleOptions,
): Promise<OpenedBundle> {
  const { path, paths } = found;
  const reader = found.sums
    ? await openPieces(path, found.sums, found.placed, { isInspected, signal, onBytes })
    : await openAlone(paths, signal);
  const opened = await readOpened(found, reader);
  if (!isInspected) await checkLayout(path, reader, opened.layout);
  return opened;
}

/**
 * Reads what a bundle has.
 *
 * @param found The bundle.
 * @param reader Its bytes; only the beginning is read.
 * @returns The bundle.
 * @throws {BundleError} If its contents are damaged.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function readOpened(
  { path, sums, signedBy }: FoundBundle,
  reader: PieceReader,
): Promise<OpenedBundle> {
  const { bundle, contents } = await readHead(path, reader);
  const digest = digestOf(contents);
  if (sums && sums.bundle !== digest) {
    throw damaged(path, `${CONTENTS} hashes to ${digest}, expected ${sums.bundle}`, CONTENTS);
  }
  const layout = layOut(bundle, contents);
  const blobs = new Map(
    layout.members.flatMap(({ digest, at, size }) =>
      digest === undefined ? [] : [[digest, { start: at + BLOCK, size }] as const]
    ),
  );
  return {
    ...{ path, bundle, digest, layout, reader, blobs },
    ...(sums && { sums }),
    ...(signedBy && { signedBy }),
  };
}

/**
 * Makes the error of what is damaged.
 *
 * @param path The bundle's file.
 * @param why What is wrong with it.
 * @param items Of what: names of pieces, of files in it, or digests.
 * @returns The error.
 */
export function damaged(path: string, why: string, ...items: readonly string[]): BundleError {
  return new BundleError("BUNDLE_DAMAGED", path, why, { items });
}

/** The file of a bundle's sums. */
interface FoundSums {
  /** The file. */
  readonly path: string;
  /** Its bytes. */
  readonly bytes: Uint8Array;
}

async function findSums(paths: readonly string[]): Promise<FoundSums | undefined> {
  const named = paths.filter((path) => path.endsWith(SUMS));
  const beside = paths.flatMap((path) => [...new Set([path, wholeOf(path)])])
    .map((path) => `${path}${SUMS}`);
  for (const path of [...named, ...beside]) {
    const bytes = await readBeside(path);
    if (bytes) return { path, bytes };
    if (named.includes(path)) {
      throw new BundleError("BUNDLE_INCOMPLETE", path, "there is no such file", { items: [path] });
    }
  }
  return undefined;
}

async function readBeside(path: string): Promise<Uint8Array | undefined> {
  return await guard("read", path, async () => {
    try {
      return await readIfThere(path);
    } catch (error) {
      throw error instanceof OddFile ? damaged(path, error.message, basename(path)) : error;
    }
  });
}

async function checkSums(
  path: string,
  found: FoundSums | undefined,
  key: string,
  signal: AbortSignal,
): Promise<SignedBy> {
  const refuse = (why: string) => new BundleError("BUNDLE_UNSIGNED", path, why);
  if (!found) throw refuse(`there is no ${basename(path)}${SUMS} beside it, which would be signed`);
  const signature = await readBeside(`${found.path}${SIGNATURE}`);
  if (!signature) {
    throw refuse(`it is not signed: there is no ${basename(found.path)}${SIGNATURE} beside it`);
  }
  const verdict = await checkSignature(found.bytes, signature, key, signal);
  if ("signedBy" in verdict) return verdict.signedBy;
  throw refuse(verdict.reason);
}

/** What is missing, and then what is damaged, is told of all pieces at a time. */
async function openPieces(
  path: string,
  { pieces }: Sums,
  placed: FoundBundle["placed"],
  { isInspected, signal, onBytes }: Required<
    Pick<OpenBundleOptions, "isInspected" | "signal" | "onBytes">
  >,
): Promise<PieceReader> {
  const missing = pieces.flatMap((_, at) => placed[at] || (isInspected && at > 0) ? [] : [at]);
  if (missing.length > 0) {
    const names = missing.map((at) => describePiece(pieces, at)).join(", ");
    throw new BundleError("BUNDLE_INCOMPLETE", path, `not at hand: ${names}`, {
      items: missing.flatMap((at) => pieces[at]?.name ?? []),
      hint: "copy it beside the others, or name it too, wherever it is",
    });
  }
  const all = placed.filter((piece) => piece !== undefined);
  if (isInspected) return new PieceReader(placesOf(all), signal);
  const total = pieces.reduce((sum, { size }) => sum + size, 0);
  const wrong: string[] = [];
  let bytes = 0;
  for (const [at, piece] of all.entries()) {
    const expected = pieces[at]?.digest;
    const actual = await digestOfPiece(piece, signal, (count) => onBytes(bytes += count, total));
    if (actual !== expected) wrong.push(`${describePiece(pieces, at)} hashes to ${actual}`);
  }
  if (wrong.length > 0) {
    const names = pieces.flatMap(({ name }) =>
      wrong.some((each) => each.startsWith(`${name} `)) ? [name] : []
    );
    throw damaged(path, `damaged: ${wrong.join(", ")}`, ...names);
  }
  return new PieceReader(placesOf(all), signal);
}

/** One file tells by itself whether it is whole; pieces do not. */
async function openAlone(paths: readonly string[], signal: AbortSignal): Promise<PieceReader> {
  const [path = "", ...others] = paths;
  const info = await guard("read", path, () =>
    Deno.stat(path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }));
  if (others.length > 0 || wholeOf(path) !== path) {
    const name = `${basename(wholeOf(path))}${SUMS}`;
    throw new BundleError("BUNDLE_INCOMPLETE", path, `there is no ${name} beside it`, {
      items: [name],
      hint: "it is made with the pieces: copy it too, or join them with cat",
    });
  }
  if (!info) {
    throw new BundleError("BUNDLE_INCOMPLETE", path, "there is no such file", { items: [path] });
  }
  if (!info.isFile) throw damaged(path, "it is no file");
  return new PieceReader(placesOf([{ path, at: 0, size: info.size }]), signal);
}

async function readHead(
  path: string,
  reader: PieceReader,
): Promise<{ readonly bundle: Bundle; readonly contents: Uint8Array<ArrayBuffer> }> {
  const header = await reader.readAll(0, BLOCK);
  const size = header.length === BLOCK ? sizeIn(header) : -1;
  const isRight = size >= 0 && nameOf(header) === CONTENTS &&
    isSame(header, headerOf(CONTENTS, size));
  if (!isRight) {
    throw damaged(
      path,
      `it does not begin with ${CONTENTS}, as a bundle of stowage does`,
      CONTENTS,
    );
  }
  if (size > MAX_JSON) throw damaged(path, `${CONTENTS} has ${size} bytes`, CONTENTS);
  const contents = await reader.readAll(BLOCK, size);
  const read = readContents(contents);
  if ("reason" in read) throw damaged(path, `${CONTENTS} ${read.reason}`, CONTENTS);
  return { bundle: read.value, contents };
}

/** All but the bytes of blobs: headers, what is filled up, the index of the layout. */
async function checkLayout(path: string, reader: PieceReader, layout: Layout): Promise<void> {
  if (reader.size !== layout.size) {
    throw damaged(path, `it has ${reader.size} bytes, expected ${layout.size}`);
  }
  for (const member of layout.members) {
    const { name, at, size, bytes } = member;
    const [start, end] = [at + BLOCK, at + BLOCK + size];
    const parts: [number, Uint8Array][] = [
      [at, headerOfMember(member)],
      ...(bytes ? [[start, bytes] as [number, Uint8Array]] : []),
      [end, new Uint8Array(padded(size) - size)],
    ];
    for (const [from, expected] of parts) {
      if (isSame(await reader.readAll(from, expected.length), expected)) continue;
      const where = from === at ? "its header" : from === end ? "what follows it" : "it";
      throw damaged(path, `${name} is damaged: ${where} is not as ${CONTENTS} has it`, name);
    }
  }
  const end = await reader.readAll(layout.size - 2 * BLOCK, 2 * BLOCK);
  if (!isSame(end, new Uint8Array(2 * BLOCK))) throw damaged(path, "its end is damaged");
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/**
 * Hashes all blobs of a bundle.
 *
 * @param opened The bundle.
 * @param onBytes Takes the count of bytes that were read since it was called last.
 * @throws {BundleError} If some are not what they are called.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function checkBlobs(
  { path, blobs, reader }: OpenedBundle,
  onBytes: (count: number) => void = () => {},
): Promise<void> {
  const wrong: string[] = [];
  for (const [digest, { start, size }] of blobs) {
    if (await reader.digest(start, size, onBytes) !== digest) wrong.push(digest);
  }
  if (wrong.length > 0) throw damaged(path, `damaged blobs: ${wrong.join(", ")}`, ...wrong);
}

/**
 * Reads the images of a bundle, and its indexes, and compares them with what it says of them.
 *
 * @param opened The bundle.
 * @returns The images, and the bytes of the indexes by digest.
 * @throws {BundleError} If something is not as it says.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function readImages(opened: OpenedBundle): Promise<{
  readonly images: readonly ReadImage[];
  readonly indexes: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}> {
  const { path, bundle } = opened;
  const sizes = new Map(
    [...bundle.blobs, ...bundle.base].map(({ digest, size }) => [digest, size]),
  );
  const images: ReadImage[] = [];
  for (const image of bundle.images) {
    const manifestBytes = await readBlob(opened, image.digest);
    const read = readManifest(manifestBytes);
    const isOther = (why: string) =>
      damaged(path, `the image ${image.digest}: ${why}`, image.digest);
    if (read.kind !== "image") {
      throw isOther(read.kind === "index" ? "it is an index" : read.reason);
    }
    const { manifest } = read;
    if (manifest.config.digest !== image.id) throw isOther(`it is of ${manifest.config.digest}`);
    if (manifest.mediaType !== image.mediaType || manifestBytes.length !== image.size) {
      throw isOther(`${CONTENTS} has its media type or its size otherwise`);
    }
    for (const [digest, size] of blobsOf(manifest)) {
      if (sizes.get(digest) !== size) throw isOther(`${CONTENTS} does not have its ${digest}`);
    }
    const signatureBytes: Uint8Array<ArrayBuffer>[] = [];
    for (const digest of image.signatures) signatureBytes.push(await readBlob(opened, digest));
    const config = await readBlob(opened, image.id);
    const own = platformIn(config);
    if (own !== undefined && own !== image.platform.split("/", 2).join("/")) {
      throw isOther(`it is for ${own}, and ${CONTENTS} has ${image.platform}`);
    }
    images.push({ ...image, manifestBytes, manifest, config, signatureBytes });
  }
  const known = new Map(bundle.images.map((image) => [image.digest, image]));
  const indexes = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const { name, digest, mediaType, size, images: own } of bundle.sources) {
    const isOther = (why: string) => damaged(path, `the source "${name}": ${why}`, digest);
    const lost = own.find((image) => !known.has(image));
    if (lost !== undefined) throw isOther(`${CONTENTS} does not have its image ${lost}`);
    const requireSame = (top: { readonly mediaType: string; readonly size: number }) => {
      if (top.mediaType === mediaType && top.size === size) return;
      throw isOther(`${CONTENTS} has its media type or its size otherwise`);
    };
    const alone = known.get(digest);
    if (alone) {
      requireSame(alone);
      if (own.length !== 1 || own[0] !== digest) throw isOther("it is one image, and names others");
      continue;
    }
    const bytes = await readBlob(opened, digest);
    const read = readManifest(bytes);
    if (read.kind !== "index") throw isOther(`${digest} is no index`);
    requireSame({ mediaType: read.index.mediaType, size: bytes.length });
    const listed = new Set(read.index.manifests.map(({ digest }) => digest));
    const other = own.find((image) => !listed.has(image));
    if (other !== undefined) throw isOther(`its index does not list ${other}`);
    indexes.set(digest, bytes);
  }
  return { images, indexes };
}

/** Operating system and architecture; the variant is said by the index only, at times. */
function platformIn(config: Uint8Array): string | undefined {
  const read = readImageConfig(config);
  const platform = read && platformOfConfig(read);
  return platform && `${platform.os}/${platform.architecture}`;
}

/**
 * Reads a blob of a bundle, which is small.
 *
 * @param opened The bundle.
 * @param digest The blob.
 * @returns Its bytes, which have that digest.
 * @throws {BundleError} If it is not there, too large, or another one.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function readBlob(
  { path, blobs, reader }: OpenedBundle,
  digest: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const blob = blobs.get(digest);
  if (!blob) throw damaged(path, `${CONTENTS} names ${digest}, and does not have it`, digest);
  if (blob.size > MAX_JSON) {
    throw damaged(
      path,
      `${digest} has ${blob.size} bytes, which is too much for what it is`,
      digest,
    );
  }
  const bytes = await reader.readAll(blob.start, blob.size);
  const actual = digestOf(bytes);
  if (actual !== digest) {
    throw damaged(path, `the blob ${digest} hashes to ${actual}`, digest);
  }
  return bytes;
}
