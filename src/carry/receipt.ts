import * as v from "valibot";
import { closed, Digest } from "../../config/schema_parts.ts";
import { StoreError, UsageError } from "../errors/mod.ts";
import { guard, writeAtomically } from "../lib/fs/files.ts";
import { readOutside, refuseOddOutput } from "../lib/fs/outside_file.ts";
import { readAs } from "../lib/json.ts";
import { layersOf } from "../store/manifest.ts";
import type { Store } from "../store/store.ts";
import type { NamedReferrer } from "./bundle_format.ts";

/** What a store holds, for who makes a bundle for it. */
export interface Receipt {
  /** Version of the format. */
  readonly schema: 1;
  /** Digests of the manifests of its images. */
  readonly manifests: readonly string[];
  /** Digests of its indexes. */
  readonly indexes: readonly string[];
  /** Digests of the layers of its images. */
  readonly layers: readonly string[];
  /** What refers to its images and indexes: signatures, SBOMs; absent where nothing does. */
  readonly referrers?: readonly NamedReferrer[];
}

const ReceiptSchema: v.GenericSchema<Receipt> = closed({
  schema: v.literal(1, "1"),
  manifests: v.array(Digest),
  indexes: v.array(Digest),
  layers: v.array(Digest),
  referrers: v.exactOptional(v.array(closed({
    subject: Digest,
    digest: Digest,
    tag: v.exactOptional(v.string()),
  }))),
});

/**
 * Says what a store holds: of images that are whole. Nothing is hashed; whoever loads a bundle that
 * was made for this hashes what the bundle builds on.
 *
 * @param store The store.
 * @returns What it holds.
 * @throws {StoreError} If it cannot be read.
 */
export async function makeReceipt(store: Store): Promise<Receipt> {
  const [manifests, indexes, layers] = [new Set<string>(), new Set<string>(), new Set<string>()];
  for (const id of await store.ids()) {
    const image = await store.find(id);
    if (!image) continue;
    manifests.add(image.digest);
    for (const { digest } of layersOf(image.manifest)) layers.add(digest);
    for (const { index } of await store.origins(id)) {
      if (index !== undefined && await store.findFile(index)) indexes.add(index);
    }
  }
  const referrers = await referrersIn(store);
  const sorted = (digests: ReadonlySet<string>) => [...digests].sort();
  return {
    schema: 1,
    manifests: sorted(manifests),
    indexes: sorted(indexes),
    layers: sorted(layers),
    ...(referrers.length > 0 && { referrers }),
  };
}

/** Only what is there whole. */
async function referrersIn({ referrers }: Store): Promise<NamedReferrer[]> {
  const named: NamedReferrer[] = [];
  for (const subject of (await referrers.subjects()).sort()) {
    for (const { digest, size, tag, blobs } of await referrers.of(subject) ?? []) {
      const files = [{ digest, size }, ...blobs];
      const has = await Promise.all(files.map((file) => referrers.has(subject, file)));
      if (has.every((isThere) => isThere)) named.push({ subject, digest, ...(tag && { tag }) });
    }
  }
  return named.sort((one, other) => JSON.stringify(one) < JSON.stringify(other) ? -1 : 1);
}

/**
 * Writes a receipt: at any moment, the old one or the new one is there as a whole.
 *
 * @param path The file.
 * @param receipt The receipt.
 * @throws {UsageError} If what is there is no regular file.
 * @throws {StoreError} If it cannot be written.
 */
export async function writeReceipt(path: string, receipt: Receipt): Promise<void> {
  await refuseOddOutput(path);
  try {
    await guard("write the receipt", path, async () => {
      await writeAtomically(path, `${JSON.stringify(receipt, undefined, 2)}\n`);
    });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new StoreError(error.code, path, error.message, {
      cause: error.cause,
      hint: "choose another file",
    });
  }
}

/** How large a receipt may be, in bytes: a line a layer. */
const MAX_RECEIPT = 64 * 2 ** 20;

/**
 * Reads a receipt.
 *
 * @param path The file.
 * @returns The receipt.
 * @throws {UsageError} If it cannot be read, or is none.
 */
export async function readReceipt(path: string): Promise<Receipt> {
  const refuse = (why: string, cause?: unknown) =>
    new UsageError(`Cannot use "${path}" as a receipt: ${why}`, {
      hint: "make it at the receiver, with `stowage bundle receipt -o FILE`",
      cause,
    });
  const bytes = await readOutside(path, MAX_RECEIPT).catch((error) => {
    throw error instanceof Error ? refuse(error.message, error) : error;
  });
  const read = readAs(ReceiptSchema, bytes, MAX_RECEIPT);
  if ("reason" in read) throw refuse(`it ${read.reason}`);
  return read.value;
}
