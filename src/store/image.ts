import { basename, join } from "@std/path";
import { digestOf, look, sizeOf } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON } from "../lib/json.ts";
import { blobsOf, type ImageManifest, readManifest, sizeOfImage } from "./manifest.ts";

/** An image in a folder of the `dir` transport. */
export interface DirImageData {
  /** The folder. */
  readonly path: string;
  /** Image id. */
  readonly id: string;
  /** Digest of `manifest.json` as it is in the folder. */
  readonly digest: string;
  /** The manifest. */
  readonly manifest: ImageManifest;
  /** Size of manifest, config and layers together, in bytes. */
  readonly size: number;
}

/**
 * Reads an image in a folder of the `dir` transport, if it is complete: its manifest can be read,
 * each blob is there in the size that the manifest says, and there is nothing but files, as skopeo
 * would follow links and wait at pipes. Bytes are not hashed.
 *
 * @param path The folder.
 * @returns The image, or what keeps it from being complete.
 */
export async function readDirImage(
  path: string,
): Promise<DirImageData | { readonly missing: string }> {
  const odd = await findOdd(path);
  if (odd !== undefined) return { missing: `${JSON.stringify(odd)} as a file` };
  const bytes = await readRegular(join(path, "manifest.json"), MAX_JSON);
  if (!bytes) return { missing: `manifest.json, of at most ${MAX_JSON} bytes` };
  const read = readManifest(bytes);
  if (read.kind === "invalid") return { missing: read.reason };
  if (read.kind === "index") return { missing: "the manifest of one image" };
  const { manifest } = read;
  const found = await Promise.all(
    [...blobsOf(manifest)].map(async ([digest, size]) =>
      await sizeOf(blobPath(path, digest)) === size ? [] : [digest]
    ),
  );
  const [missing] = found.flat();
  if (missing !== undefined) return { missing };
  const size = sizeOfImage(manifest) + bytes.length;
  return { path, id: manifest.config.digest, digest: digestOf(bytes), manifest, size };
}

/** The name of something that is no file; the folder itself may be a link to one. */
async function findOdd(folder: string): Promise<string | undefined> {
  const info = await look(folder).catch(() => undefined);
  if (!info) return undefined;
  if (!info.isDirectory) return basename(folder);
  for await (const { name, isFile } of Deno.readDir(folder)) if (!isFile) return name;
  return undefined;
}

/**
 * Where the `dir` transport keeps a blob.
 *
 * @param folder The folder of the image.
 * @param digest The blob's digest; it has to be checked already.
 * @returns The file.
 */
export function blobPath(folder: string, digest: string): string {
  return join(folder, digest.slice("sha256:".length));
}
