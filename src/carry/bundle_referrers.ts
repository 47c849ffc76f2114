import { join } from "@std/path";
import type { ReferrerResult } from "../events.ts";
import { guard } from "../lib/fs/files.ts";
import type { Run } from "../run.ts";
import { blobsOf, readManifest } from "../store/manifest.ts";
import type { StoredReferrer } from "../store/referrers.ts";
import { DigestPool } from "../tools/hash/digest_pool.ts";
import { BundleError } from "../errors/mod.ts";
import { referrersTag } from "../transports/docker/repository.ts";
import type { BundleReferrer, NamedReferrer } from "./bundle_format.ts";
import type { Cargo, CarriedReferrer } from "./cargo.ts";
import { damaged, type OpenedBundle, readBlob } from "./open_bundle.ts";
import { unpackBlob } from "./unpack_blob.ts";

/**
 * Lists what refers to what is carried, each once.
 *
 * @param cargoes What is carried.
 * @returns The referrers, in an order of their own.
 */
export function referrersOf(cargoes: readonly Cargo[]): CarriedReferrer[] {
  const all = new Map(
    cargoes.flatMap(({ referrers = [] }) => referrers).map((each) => [keyOf(each), each]),
  );
  return [...all].sort(([one], [other]) => one < other ? -1 : 1).map(([, each]) => each);
}

function keyOf({ subject, digest, tag = "" }: NamedReferrer): string {
  return `${subject} ${digest} ${tag}`;
}

/**
 * Says what a bundle has of a referrer.
 *
 * @param referrer The referrer.
 * @returns What `bundle.json` says.
 */
export function describeReferrer(
  { subject, digest, mediaType, bytes, kind, tag, from, blobs }: CarriedReferrer,
): BundleReferrer {
  return {
    ...{ subject, digest, mediaType, size: bytes.length, kind },
    ...(tag !== undefined && { tag }),
    from,
    blobs: blobs.map(({ digest, size }) => ({ digest, size })),
  };
}

/**
 * Reads the referrers of a bundle, and compares them with what it says of them.
 *
 * @param opened The bundle.
 * @returns Those that are in it, and the bytes of their manifests.
 * @throws {BundleError} If one is not as it says.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function readReferrers(
  opened: OpenedBundle,
): Promise<ReadonlyMap<BundleReferrer, Uint8Array<ArrayBuffer>>> {
  const { path, bundle, blobs: here } = opened;
  const subjects = new Set([...bundle.images, ...bundle.sources].map(({ digest }) => digest));
  const read = new Map<BundleReferrer, Uint8Array<ArrayBuffer>>();
  for (const referrer of bundle.referrers ?? []) {
    const { subject, digest, mediaType, size, tag, blobs } = referrer;
    const refuse = (why: string) => damaged(path, `the referrer ${digest}: ${why}`, digest);
    if (!subjects.has(subject)) throw refuse(`nothing in it is ${subject}`);
    if (!here.has(digest)) continue;
    const bytes = await readBlob(opened, digest);
    const found = readManifest(bytes);
    if (found.kind !== "image") throw refuse("it is no manifest");
    const { manifest } = found;
    if (manifest.mediaType !== mediaType || bytes.length !== size) {
      throw refuse("its media type or its size is another one");
    }
    const refersTo = tag === undefined
      ? manifest.subject?.digest === subject
      : tag.startsWith(`${referrersTag(subject)}.`);
    if (!refersTo) throw refuse(`it does not refer to ${subject}`);
    const own = new Map(blobs.map(({ digest, size }) => [digest, size]));
    const named = blobsOf(manifest);
    const isSame = own.size === named.size &&
      [...named].every(([blob, size]) => own.get(blob) === size && here.get(blob)?.size === size);
    if (!isSame) throw refuse("its blobs are others");
    read.set(referrer, bytes);
  }
  return read;
}

/** Referrers of a bundle, on their way into the store. */
export class LoadedReferrers {
  /** The folder of those that are new, by what they refer to. */
  readonly #folders = new Map<string, string>();
  readonly #added = new Map<string, StoredReferrer[]>();
  readonly #results: ReferrerResult[] = [];

  /**
   * @param run The run.
   * @param opened The bundle.
   */
  constructor(private readonly run: Run, private readonly opened: OpenedBundle) {}

  /**
   * Makes sure that the store has those that the bundle leaves out.
   *
   * @throws {BundleError} If it lacks some; it names them.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async requireBase(): Promise<void> {
    const { path, bundle, blobs } = this.opened;
    using digests = new DigestPool(this.run.signal, 1);
    const missing: string[] = [];
    for (const referrer of bundle.referrers ?? []) {
      if (blobs.has(referrer.digest) || await this.#isKept(referrer, digests)) continue;
      missing.push(referrer.digest);
    }
    if (missing.length === 0) return;
    const message = "it was made for a store that has the signatures and other referrers " +
      `${missing.join(", ")}, and this one has not`;
    throw new BundleError("BUNDLE_INCOMPLETE", path, message, {
      items: missing,
      hint: "load the bundles before it first, or have it made with a new `stowage bundle receipt`",
    });
  }

  /**
   * Takes referrers out of the bundle, verified, into a folder.
   *
   * @param referrers The referrers, with the bytes of their manifests.
   * @param work A folder in a workspace of the store.
   * @throws {BundleError} If a blob is not what it is called.
   * @throws {StoreError} If they cannot be written.
   * @throws {InterruptedError} If the run was interrupted.
   */
  async unpack(
    referrers: ReadonlyMap<BundleReferrer, Uint8Array<ArrayBuffer>>,
    work: string,
  ): Promise<void> {
    for (const [referrer, bytes] of referrers) {
      const { subject, digest, kind, tag, blobs } = referrer;
      const isHere = await this.#isKept(referrer);
      const size = blobs.reduce((sum, { size }) => sum + size, bytes.length);
      this.#results.push({
        ...{ subject, digest, kind, size, status: isHere ? "cached" : "fetched" },
        ...(tag !== undefined && { tag }),
      });
      if (isHere) continue;
      const folder = this.#folders.get(subject) ??
        join(work, `referrers-${this.#folders.size + 1}`);
      await guard("store a referrer in", folder, async () => {
        await Deno.mkdir(folder, { recursive: true });
        await Deno.writeFile(join(folder, nameOf(digest)), bytes);
        for (const blob of blobs) {
          await unpackBlob(this.opened, blob.digest, join(folder, nameOf(blob.digest)));
        }
      });
      this.#folders.set(subject, folder);
      const { mediaType: _m, subject: _s, ...stored } = referrer;
      const added = { ...stored, blobs: [...blobs], fetched: new Date().toISOString() };
      this.#added.set(subject, [...this.#added.get(subject) ?? [], added]);
    }
  }

  /**
   * Moves them to their place; what they refer to is there.
   *
   * @returns What became of each.
   * @throws {StoreError} If the store cannot be written.
   */
  async commit(): Promise<readonly ReferrerResult[]> {
    for (const [subject, folder] of this.#folders) {
      await this.run.store.referrers.add(subject, this.#added.get(subject) ?? [], folder);
    }
    return this.#results;
  }

  async #isKept(
    { subject, digest, size, tag, blobs }: BundleReferrer,
    digests?: DigestPool,
  ): Promise<boolean> {
    const { referrers } = this.run.store;
    const kept = await referrers.of(subject) ?? [];
    if (!kept.some((one) => one.digest === digest && one.tag === tag)) return false;
    for (const file of [{ digest, size }, ...blobs]) {
      if (!await referrers.has(subject, file)) return false;
      if (!digests) continue;
      const path = referrers.file(subject, file.digest);
      if ((await digests.digest({ path, unpack: false })).digest !== file.digest) return false;
    }
    return true;
  }
}

/** As the store calls them. */
function nameOf(digest: string): string {
  return digest.slice("sha256:".length);
}

/**
 * Tells which referrers are left out of a bundle.
 *
 * @param receipts What each receiver has.
 * @returns Whether one is, as all of them have it.
 */
export function knownReferrers(
  receipts: readonly { readonly referrers?: readonly NamedReferrer[] }[],
): (referrer: NamedReferrer) => boolean {
  const known = receipts.map(({ referrers = [] }) => new Set(referrers.map(keyOf)));
  return (referrer) => known.length > 0 && known.every((each) => each.has(keyOf(referrer)));
}
