import { join } from "@std/path";
import * as v from "valibot";
import type { CompressionOptions } from "../../../config/mod.ts";
import { codeOf, sync, syncTree } from "../../lib/fs/files.ts";
import { readRegular } from "../../lib/fs/outside_file.ts";
import { MAX_JSON } from "../../lib/json.ts";
import { markUsed } from "../../store/last_use.ts";
import { digestFile } from "../../tools/hash/digest_file.ts";
import type { StageContext } from "../stage.ts";
import { addToTree, writeWithMode } from "./tree_file.ts";

const RecordSchema = v.object({
  /** sha256 of the archive, 64 hex digits. */
  sha256: v.string(),
  /** The size of the archive before it was compressed, or of its layers unpacked, if larger; bytes. */
  size: v.number(),
  /** Digests of the image's layers, uncompressed. */
  layers: v.array(v.string()),
});

/** An archive in the store. */
export interface StoredArchive extends v.InferOutput<typeof RecordSchema> {
  /** The file; it has to be copied or linked before the stage ends. */
  readonly path: string;
}

/** What is told of an archive that was made. */
export type ArchiveFacts = Pick<StoredArchive, "size" | "layers">;

/**
 * Makes an archive, unless the store has it already, whole.
 *
 * @param id Its name in the store: a hash of all that it depends on.
 * @param write Writes `image.tar` into a folder.
 * @param options How the archive is compressed.
 * @param context What the engine gives to the stage.
 * @returns The archive; the same bytes each time, with the same tools.
 * @throws {StageError} If it cannot be made.
 */
export async function makeArchive(
  id: string,
  write: (work: string) => Promise<ArchiveFacts>,
  { compression = "zstd", level }: CompressionOptions,
  context: StageContext,
): Promise<StoredArchive> {
  const entry = join(context.archives, id);
  const found = await findArchive(entry, context);
  if (found) {
    await markUsed(entry);
    return found;
  }
  const work = join(context.staging, crypto.randomUUID());
  await Deno.mkdir(join(work, "entry"), { recursive: true });
  const run = (program: string, args: readonly string[]) =>
    context.run(program, args, { cwd: work });
  const facts = await write(work);
  const file = "entry/archive";
  const speed = level === undefined ? [] : [`-${level}`];
  if (compression === "zstd") {
    await run("zstd", ["--quiet", "--threads=0", ...speed, "-o", file, "image.tar"]);
  } else if (compression === "gzip") {
    await run("gzip", ["--no-name", ...speed, "image.tar"]);
    await Deno.rename(join(work, "image.tar.gz"), join(work, file));
  } else {
    await Deno.rename(join(work, "image.tar"), join(work, file));
  }
  await Deno.chmod(join(work, file), 0o644);
  await run("touch", [`--date=@${context.epoch}`, file]);
  const record = { ...facts, sha256: await sha256Of(join(work, "entry"), context) };
  await writeWithMode(join(work, "entry/archive.json"), `${JSON.stringify(record)}\n`, 0o644);
  await Deno.chmod(join(work, "entry"), 0o755);
  await syncTree(join(work, "entry"));
  try {
    await Deno.rename(join(work, "entry"), entry);
    await sync(context.archives);
  } catch (error) {
    // Another stage was first.
    if (codeOf(error) !== "EEXIST" && codeOf(error) !== "ENOTEMPTY") throw error;
  }
  await Deno.remove(work, { recursive: true });
  return { ...record, path: join(entry, "archive") };
}

/**
 * Adds an archive to the tree, as a hard link where the file system can.
 *
 * @param archive The archive.
 * @param path A path in the tree, absolute.
 * @param context What the engine gives to the stage.
 */
export async function addArchive(
  archive: StoredArchive,
  path: string,
  context: StageContext,
): Promise<void> {
  const { mtime } = await Deno.stat(archive.path);
  // The date of a file belongs to all of its links.
  const isDated = mtime?.getTime() === context.epoch * 1000;
  await addToTree(path, async (file) => {
    if (isDated && await link(archive.path, file)) return;
    await context.run("cp", ["--reflink=auto", "--preserve=mode", "--", archive.path, file]);
  }, context);
}

async function link(from: string, to: string): Promise<boolean> {
  try {
    await Deno.link(from, to);
    return true;
  } catch (error) {
    if (["EXDEV", "EPERM", "EMLINK", "ENOTSUP"].includes(codeOf(error) ?? "")) return false;
    throw error;
  }
}

/** Finds an archive that is as it was made; another is moved out of the way. */
async function findArchive(
  entry: string,
  context: StageContext,
): Promise<StoredArchive | undefined> {
  const bytes = await readRegular(join(entry, "archive.json"), MAX_JSON);
  if (!bytes) return undefined;
  const text = new TextDecoder().decode(bytes);
  const { success, output } = v.safeParse(v.pipe(v.string(), v.parseJson(), RecordSchema), text);
  const path = join(entry, "archive");
  const isFile = await Deno.lstat(path).then((info) => info.isFile, () => false);
  if (success && isFile && await sha256Of(entry, context) === output.sha256) {
    return { ...output, path };
  }
  context.log(`the archive "${path}" is not as it was made: it is made again`);
  await Deno.rename(entry, join(context.staging, crypto.randomUUID()));
  return undefined;
}

/** Not by a program: `sha256sum` takes five times as long where it is built without OpenSSL. */
async function sha256Of(entry: string, { signal }: StageContext): Promise<string> {
  const { digest } = await digestFile({ path: join(entry, "archive"), unpack: false }, { signal });
  return digest.slice("sha256:".length);
}
