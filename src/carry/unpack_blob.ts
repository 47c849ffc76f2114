import { createHash } from "node:crypto";
import { damaged, type OpenedBundle } from "./open_bundle.ts";

/**
 * Takes a blob out of a bundle.
 *
 * @param opened The bundle.
 * @param digest The blob.
 * @param to The file that it is written to.
 * @throws {BundleError} If it is not what it is called.
 * @throws {InterruptedError} If it was interrupted.
 */
export async function unpackBlob(
  { path, blobs, reader }: OpenedBundle,
  digest: string,
  to: string,
): Promise<void> {
  const { start, size } = blobs.get(digest) ?? { start: 0, size: 0 };
  const hash = createHash("sha256");
  using file = await Deno.open(to, { write: true, create: true, truncate: true });
  for await (const chunk of reader.read(start, size)) {
    hash.update(chunk);
    for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
  }
  const actual = `sha256:${hash.digest("hex")}`;
  if (actual === digest) return;
  throw damaged(path, `the blob ${digest} hashes to ${actual}`, digest);
}
