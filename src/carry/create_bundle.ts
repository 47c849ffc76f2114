import { createHash } from "node:crypto";
import { basename, dirname, join } from "@std/path";
import { formatReference } from "../../config/mod.ts";
import {
  ContentError,
  InterruptedError,
  StoreError,
  throwIfFailed,
  UsageError,
} from "../errors/mod.ts";
import type { Lock } from "../graph/lock_schema.ts";
import type { ArtifactNode, SourceNode } from "../graph/node.ts";
import { BLOCK, padded } from "../lib/archive/tar_header.ts";
import { digestOf, guard, sync } from "../lib/fs/files.ts";
import { readRegular, refuseOddOutput } from "../lib/fs/outside_file.ts";
import { makeFolder } from "../lib/fs/modes.ts";
import { openRegular, readChunks } from "../lib/fs/regular_file.ts";
import { MAX_JSON } from "../lib/json.ts";
import type { Run } from "../run.ts";
import { placeOf } from "../sources/image_item.ts";
import { isAt, type Origin } from "../store/origin.ts";
import { openWorkspace, sweepWorkspaces } from "../store/workspace.ts";
import { sign } from "../tools/signing.ts";
import { formatLocation, type Location, transportOf } from "../transports/mod.ts";
import {
  type Bundle,
  type BundleArtifact,
  type BundleBlob,
  type BundleImage,
  type BundleOrigin,
  type BundleSource,
  formatContents,
  formatSums,
  headerOfMember,
  type Layout,
  layOut,
  type NamedReferrer,
  type Piece,
  readSums,
  SIGNATURE,
  SUMS,
} from "./bundle_format.ts";
import type { Cargo, CarriedImage } from "./cargo.ts";
import { describeReferrer, knownReferrers, referrersOf } from "./bundle_referrers.ts";
import { gather, type Ware, waresOf } from "./gather.ts";
import { Meter } from "./meter.ts";
import { PieceWriter } from "./pieces.ts";
import { readReceipt } from "./receipt.ts";

/** What is put into a bundle. */
export interface BundleRequest {
  /** The sources. */
  readonly nodes: readonly (SourceNode | ArtifactNode)[];
  /** The lock of the config. */
  readonly lock: Lock | undefined;
  /** The bundle's file. */
  readonly out: string;
  /** Receipts of who it is for: what all of them have is left out. */
  readonly since: readonly string[];
  /** How many bytes a piece has at most; the bundle is one file if absent. */
  readonly chunk?: number;
  /** What its sums are signed with: the file of an OpenSSH key, or what gpg finds a key by. */
  readonly sign?: string;
}

/** A bundle that was made. */
export interface CreatedBundle {
  /** Its pieces, in their order, where they are. */
  readonly pieces: readonly string[];
  /** The file of their sums. */
  readonly sums: string;
  /** The signature of that file; absent where it is not signed. */
  readonly signature?: string;
  /** What is in it. */
  readonly sources: readonly BundleSource[];
  /** The artifacts in it. */
  readonly artifacts: readonly BundleArtifact[];
  /** How many images these are. */
  readonly images: number;
  /** How many signatures, SBOMs and other referrers come with them, those left out as well. */
  readonly referrers: number;
  /** Its size in bytes. */
  readonly bytes: number;
  /** How many layers were left out, as the receiver has them. */
  readonly leftOut: number;
  /** Bytes of these. */
  readonly leftOutBytes: number;
}

/** The smallest piece, in bytes. */
const MIN_CHUNK = 2 ** 20;
/** Their sums are read as a whole. */
const MAX_PIECES = 10_000;

/** Where the bytes of a blob are. */
type Stock = Map<string, { readonly name: string; readonly size: number } & Bytes>;
type Bytes = { readonly bytes: Uint8Array } | { readonly path: string };

/**
 * Makes a bundle of sources: what the store does not have is fetched first. Either all of them are
 * in it, or there is no bundle. The same content makes the same bytes.
 *
 * @param request What is put into it.
 * @param run The run.
 * @returns The bundle.
 * @throws {RunError} If some could not be fetched.
 * @throws {ContentError} If the store's copy of something is damaged.
 * @throws {UsageError} If a receipt, the key or the file is none.
 * @throws {StoreError} If the file cannot be written.
 * @throws {ToolError} If it cannot be signed.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function createBundle(request: BundleRequest, run: Run): Promise<CreatedBundle> {
  const { out, chunk } = request;
  if (chunk !== undefined && chunk < MIN_CHUNK) {
    throw new UsageError(`Cannot make pieces of ${chunk} bytes: at least ${MIN_CHUNK} are needed`, {
      hint: "say 1MiB or more",
    });
  }
  for (const ending of ["", SUMS, SUMS + SIGNATURE]) await refuseOddOutput(`${out}${ending}`);
  const receipts = await Promise.all(request.since.map(readReceipt));
  const has = receipts.map(({ layers }) => new Set(layers));
  const isLeft = (digest: string) => has.length > 0 && has.every((layers) => layers.has(digest));
  const wares = waresOf(request.nodes);
  const { cargoes, failures } = await gather(wares, run);
  throwIfFailed(failures, wares.length, undefined);
  const parcels = wares.flatMap((ware): Parcel[] => {
    const cargo = cargoes.get(ware.name);
    return cargo ? [[ware, cargo]] : [];
  });
  const { bundle, stock } = await describe(
    parcels,
    { isLeft, isKnown: knownReferrers(receipts) },
    request.lock,
    run,
  );
  const contents = formatContents(bundle);
  if (contents.length > MAX_JSON) {
    throw new UsageError(
      `Cannot make a bundle of ${bundle.images.length} images: they are too many`,
      {
        hint: "name some of the sources, and make several bundles",
      },
    );
  }
  const layout = layOut(bundle, contents);
  if (chunk !== undefined && layout.size / chunk > MAX_PIECES) {
    throw new UsageError(`Cannot make more than ${MAX_PIECES} pieces`, {
      hint: `make them larger: all together have ${layout.size} bytes`,
    });
  }
  try {
    const made = await guard("write a bundle at", out, async () => {
      await makeFolder(dirname(out));
      return await write({ layout, stock, bundle: digestOf(contents) }, request, run);
    });
    return {
      ...made,
      sources: bundle.sources,
      artifacts: bundle.artifacts ?? [],
      images: bundle.images.length,
      referrers: bundle.referrers?.length ?? 0,
      bytes: layout.size,
      leftOut: bundle.base.length,
      leftOutBytes: bundle.base.reduce((sum, { size }) => sum + size, 0),
    };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const hint = error.code === "STORE_FULL"
      ? "free some room there, or choose another file with --out"
      : "choose another file with --out";
    throw new StoreError(error.code, error.path, error.message, { cause: error.cause, hint });
  }
}

type Parcel = readonly [Ware, Cargo];

/** Says what is in a bundle, and where its bytes are. */
async function describe(
  parcels: readonly Parcel[],
  { isLeft, isKnown }: {
    /** Whether a layer is left out. */
    readonly isLeft: (digest: string) => boolean;
    /** Whether a referrer is left out. */
    readonly isKnown: (referrer: NamedReferrer) => boolean;
  },
  lock: Lock | undefined,
  run: Run,
): Promise<{ readonly bundle: Bundle; readonly stock: Stock }> {
  const [small, layers]: [Stock, Stock] = [new Map(), new Map()];
  const base = new Map<string, number>();
  const images = new Map<string, BundleImage>();
  const sources: BundleSource[] = [];
  const artifacts: BundleArtifact[] = [];
  for (const [{ name, first: { locations: [first] } }, cargo] of parcels) {
    const { top, images: own, absent, artifact } = cargo;
    small.set(top.digest, { name, bytes: top.bytes, size: top.bytes.length });
    if (artifact) {
      for (const blob of artifact.blobs) layers.set(blob.digest, { name, ...blob });
      const { digest, mediaType, bytes: { length: size } } = top;
      const reference = formatLocation(first);
      const blobs = artifact.blobs.map(({ digest, size }) => ({ digest, size }));
      artifacts.push({ name, reference, digest, mediaType, size, kind: artifact.kind, blobs });
      continue;
    }
    for (const image of own) {
      small.set(image.digest, { name, bytes: image.bytes, size: image.bytes.length });
      for (const blob of image.signatures) small.set(blob.digest, { name, ...blob });
      for (const blob of image.blobs) {
        const { digest, size } = blob;
        if (digest === image.id) small.set(digest, { name, ...blob });
        else if (isLeft(digest)) base.set(digest, size);
        else layers.set(digest, { name, ...blob });
      }
      const origins = [
        ...images.get(image.digest)?.origins ?? [],
        ...await originsOf(image, { name, location: first, top: top.digest }, run),
      ];
      images.set(image.digest, describeImage(image, origins));
    }
    const reference = referenceOf(first);
    sources.push({
      name,
      ...(reference !== undefined && { reference }),
      digest: top.digest,
      mediaType: top.mediaType,
      size: top.bytes.length,
      images: [...new Set(own.map(({ digest }) => digest))].sort(),
      absent,
    });
  }
  const referrers = referrersOf(parcels.map(([, cargo]) => cargo));
  for (const referrer of referrers) {
    if (isKnown(referrer)) continue;
    const [name, size] = [referrer.subject, referrer.bytes.length];
    small.set(referrer.digest, { name, bytes: referrer.bytes, size });
    for (const blob of referrer.blobs) {
      if (!layers.has(blob.digest)) layers.set(blob.digest, { name, ...blob });
    }
  }
  for (const digest of layers.keys()) base.delete(digest); // another needs it, who leaves none out
  for (const digest of small.keys()) {
    layers.delete(digest);
    base.delete(digest);
  }
  const listed = (blobs: ReadonlyMap<string, { readonly size: number }>): BundleBlob[] =>
    [...blobs].map(([digest, { size }]) => ({ digest, size })).sort(byDigest);
  const carried = sources.filter(({ reference }) => reference !== undefined);
  return {
    bundle: {
      schema: 1,
      sources,
      images: [...images.values()].sort(byDigest),
      blobs: [...listed(small), ...listed(layers)],
      base: [...base].map(([digest, size]) => ({ digest, size })).sort(byDigest),
      ...(artifacts.length > 0 && { artifacts }),
      ...(referrers.length > 0 && { referrers: referrers.map(describeReferrer) }),
      ...(lock &&
        { lock: partOf(lock, new Set([...carried, ...artifacts].map(({ name }) => name))) }),
    },
    stock: new Map([...layers, ...small]),
  };
}

/** What a lock says of some sources. */
function partOf({ sources, artifacts = {}, tags = {} }: Lock, names: ReadonlySet<string>): Lock {
  const locked = Object.entries(sources).filter(([name]) => names.has(name));
  const others = Object.entries(artifacts).filter(([name]) => names.has(name));
  const rules = Object.entries(tags).filter(([name, { tags }]) =>
    tags.some((tag) => names.has(`${name}:${tag}`))
  );
  return {
    schema: 1,
    sources: Object.fromEntries(locked),
    ...(others.length > 0 && { artifacts: Object.fromEntries(others) }),
    ...(rules.length > 0 && { tags: Object.fromEntries(rules) }),
  };
}

function byDigest(a: BundleBlob, b: BundleBlob): number {
  return a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0;
}

function describeImage(
  { digest, mediaType, bytes, id, platform, signatures }: CarriedImage,
  origins: readonly BundleOrigin[],
): BundleImage {
  const texts = new Set(origins.map((origin) => JSON.stringify(origin)));
  return {
    ...{ digest, mediaType, size: bytes.length, id, platform },
    origins: [...texts].sort().map((text): BundleOrigin => JSON.parse(text)),
    signatures: signatures.map(({ digest }) => digest),
  };
}

/** The reference of what a network has; files of this machine have none that others know. */
function referenceOf(location: Location): string | undefined {
  const isKnown = "reference" in location && transportOf(location).isRemote(location);
  return isKnown ? formatReference(location.reference) : undefined;
}

/** As the receiver's store is to record them: paths of this machine stay here. */
async function originsOf(
  { id, digest, platform }: CarriedImage,
  { name, location, top }: {
    readonly name: string;
    readonly location: Location;
    /** Digest of what its source stands for. */
    readonly top: string;
  },
  { store, root }: Run,
): Promise<BundleOrigin[]> {
  const asked = placeOf({ locations: [location] }, root);
  const { reference } = asked;
  const known = (await store.origins(id)).filter((origin) => isAt(origin, asked));
  const isAlone = top === digest;
  const origins: Omit<Origin, "fetched">[] = known.length > 0 ? known : [{
    ...{ reference, digest, transport: location.transport, platform },
    ...(!isAlone && { index: top, chosenFor: platform }),
  }];
  const { transport } = location;
  const carried = transportOf(location).isRemote(location)
    ? reference
    : `${transport}:${"reference" in location ? formatReference(location.reference) : name}`;
  return origins.map(({ digest, index, transport, platform, chosenFor }) => ({
    reference: carried,
    transport,
    ...(digest !== undefined && { digest }),
    ...(index !== undefined && { index }),
    ...(platform !== undefined && { platform }),
    ...(chosenFor !== undefined && { chosenFor }),
  }));
}

/** Writes all of it beside its place, then moves it there. */
async function write(
  { layout, stock, bundle }: {
    readonly layout: Layout;
    readonly stock: Stock;
    /** Digest of its contents. */
    readonly bundle: string;
  },
  { out, chunk, sign: key }: BundleRequest,
  run: Run,
): Promise<Pick<CreatedBundle, "pieces" | "sums" | "signature">> {
  const [folder, name] = [dirname(out), basename(out)];
  await sweepWorkspaces(folder);
  await using work = await openWorkspace(folder);
  await using writer = new PieceWriter(work.path, name, layout.size, chunk);
  const meter = new Meter(run.emit, layout.size);
  const put = async (bytes: Uint8Array) => {
    if (run.signal.aborted) throw new InterruptedError(run.signal.reason);
    await writer.write(bytes);
    meter.add("sent", bytes.length);
  };
  for (const member of layout.members) {
    await put(headerOfMember(member));
    const blob = member.digest === undefined ? undefined : stock.get(member.digest);
    if (member.bytes) await put(member.bytes);
    else if (blob) await putBlob({ digest: member.digest ?? "", ...blob }, put);
    await put(new Uint8Array(padded(member.size) - member.size));
  }
  await put(new Uint8Array(2 * BLOCK));
  const pieces = await writer.end();
  const sums = formatSums({ schema: 1, bundle, pieces });
  const files = [[`${name}${SUMS}`, sums]] as [string, Uint8Array][];
  // Before anything is in its place: what cannot be signed is not there.
  if (key !== undefined) {
    files.unshift([`${name}${SUMS}${SIGNATURE}`, await sign(sums, key, run.signal)]);
  }
  for (const [name, bytes] of files) {
    const path = join(work.path, name);
    await Deno.writeFile(path, bytes, { createNew: true, mode: 0o644 });
    await sync(path);
  }
  if (run.signal.aborted) throw new InterruptedError(run.signal.reason);
  const all = { pieces, files: files.map(([name]) => name) };
  await place(work.path, { folder, name }, all);
  const [sumsPath, signature] = [`${out}${SUMS}`, `${out}${SUMS}${SIGNATURE}`];
  return {
    pieces: pieces.map(({ name }) => join(folder, name)),
    sums: sumsPath,
    ...(key !== undefined && { signature }),
  };
}

/** What the store has may be damaged, and nobody finds out at the receiver's. */
async function putBlob(
  { digest, name, size, ...from }: { readonly digest: string; readonly name: string } & Bytes & {
    readonly size: number;
  },
  put: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const hash = createHash("sha256");
  let count = 0;
  if ("bytes" in from) {
    hash.update(from.bytes);
    count = from.bytes.length;
    await put(from.bytes);
  } else {
    using file = await guard("read", from.path, () => openRegular(from.path));
    for await (const chunk of readChunks(file)) {
      count += chunk.length;
      if (count > size) break;
      hash.update(chunk);
      await put(chunk);
    }
  }
  const actual = `sha256:${hash.digest("hex")}`;
  if (count === size && actual === digest) return;
  throw new ContentError(name, `the store's copy of ${digest} is damaged`, {
    expected: digest,
    actual,
    hint: "run `stowage verify --repair`",
  });
}

/**
 * Moves a bundle to its place. What is there goes first, its sums before all else: pieces without
 * sums, or of other sums, are refused, so that no moment of it passes for a bundle.
 */
async function place(
  from: string,
  { folder, name }: { readonly folder: string; readonly name: string },
  { pieces, files }: { readonly pieces: readonly Piece[]; readonly files: readonly string[] },
): Promise<void> {
  const old = await readRegular(join(folder, `${name}${SUMS}`), MAX_JSON);
  const known = old && readSums(old);
  for (const ending of [`${SUMS}${SIGNATURE}`, SUMS]) await removeFile(join(folder, name + ending));
  await sync(folder);
  const names = pieces.map(({ name }) => name);
  for (const name of names) await Deno.rename(join(from, name), join(folder, name));
  if (known && "value" in known) {
    const others = known.value.pieces.map(({ name }) => name).filter((each) =>
      !names.includes(each) && (each === name || each.startsWith(`${name}.`))
    );
    for (const other of others) await removeFile(join(folder, other));
  }
  for (const name of files) await Deno.rename(join(from, name), join(folder, name));
  await sync(folder);
}

async function removeFile(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
