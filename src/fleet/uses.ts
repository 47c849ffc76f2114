import { join } from "@std/path";
import * as v from "valibot";
import type { Cache } from "../../config/mod.ts";
import { closed, Digest } from "../../config/schema_parts.ts";
import type { CarriedBlob } from "../carry/cargo.ts";
import type { Sender, SendTo } from "../carry/sender.ts";
import { digestOf, guard } from "../lib/fs/files.ts";
import { sha256Of } from "../lib/hash/hash.ts";
import { readJson } from "../lib/json.ts";
import type { Run } from "../run.ts";
import { nameIn } from "../sources/caches.ts";
import { senderTo } from "./sender_to.ts";

const MEDIA = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  empty: "application/vnd.oci.empty.v1+json",
  uses: "application/vnd.stowage.uses.v1+json",
} as const;
const TAG = /^used-(\d{4}-\d\d-\d\d)-[\da-f]{16}$/;
/** So many tags are in one record at most: it is read whole. */
const MOST = 10_000;

const UsesSchema = closed({
  schema: v.literal(1),
  /** In UTC, so that the same tags have another digest the next day. */
  day: v.pipe(v.string(), v.isoDate()),
  tags: v.array(v.string()),
});

/** The manifest of a record: https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md */
const ManifestSchema = v.object({
  artifactType: v.literal(MEDIA.uses),
  layers: v.strictTuple([v.object({ mediaType: v.literal(MEDIA.uses), digest: Digest })]),
});

/**
 * Notes that a run uses what a tag of a cache stands for; `recordUses` writes that down.
 *
 * @param cache The cache; one that is only read has no records of its readers.
 * @param tag The tag.
 * @param run The run.
 */
export function noteUse(cache: Cache, tag: string, { used }: Pick<Run, "used">): void {
  if (cache.mode !== "write") return;
  used.set(cache, (used.get(cache) ?? new Set()).add(tag));
}

/**
 * Writes to each cache which of its tags a run has used on this day, so that others may go. Who uses
 * the same on the same day writes nothing.
 *
 * @param run The run; a cache that has failed in it is left out.
 * @throws {InterruptedError} If the run was interrupted.
 */
export async function recordUses(run: Run): Promise<void> {
  const { used, leftCaches, signal } = run;
  for (const [cache, tags] of used) {
    if (leftCaches.has(cache, "write")) continue;
    try {
      await writeUses([...tags], dayOf(new Date()), nameIn(cache), senderTo(cache, run), run);
    } catch (error) {
      if (signal.aborted || !leftCaches.passOver(cache, error, "write")) throw error;
    }
  }
}

/**
 * Writes which tags of a cache were used on a day.
 *
 * @param tags The tags.
 * @param day The day.
 * @param target The repository.
 * @param sender Writes to it.
 * @param run Has room for what is written.
 * @throws {PushError} If the registry does not take it.
 */
export async function writeUses(
  tags: readonly string[],
  day: string,
  target: SendTo["target"],
  sender: Sender,
  { scratch }: Pick<Run, "scratch">,
): Promise<void> {
  const to: SendTo = { item: { key: "cache/uses", name: "what is used" }, target };
  const sorted = tags.toSorted();
  for (let at = 0; at < sorted.length; at += MOST) {
    const bytes = encode({ schema: 1, day, tags: sorted.slice(at, at + MOST) });
    const tag = `used-${day}-${sha256Of(bytes).slice(0, 16)}`;
    if (await sender.find(to, tag) !== undefined) continue;
    await using part = await scratch.part();
    const [empty, uses] = [
      await write(join(part.path, "empty"), encode({})),
      await write(join(part.path, "uses"), bytes),
    ];
    for (const blob of [empty, uses]) await sender.sendBlob(to, blob);
    const manifest = encode({
      ...{ schemaVersion: 2, mediaType: MEDIA.manifest, artifactType: MEDIA.uses },
      config: { mediaType: MEDIA.empty, digest: empty.digest, size: empty.size },
      layers: [{ mediaType: MEDIA.uses, digest: uses.digest, size: uses.size }],
    });
    const { manifest: mediaType } = MEDIA;
    await sender.putManifest(to, { digest: digestOf(manifest), mediaType, bytes: manifest }, tag);
  }
}

/**
 * The day of a record.
 *
 * @param tag Any tag.
 * @returns The day, as in 2026-11-28; `undefined` if it is not the tag of a record.
 */
export function dayOfUses(tag: string): string | undefined {
  return TAG.exec(tag)?.[1];
}

/**
 * The day of a moment.
 *
 * @param date The moment.
 * @returns The day in UTC, as in 2026-11-28.
 */
export function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

/**
 * Reads the manifest of a record.
 *
 * @param bytes The bytes.
 * @returns Digest of the record; `undefined` if it is none.
 */
export function usesOf(bytes: Uint8Array): string | undefined {
  const { success, output } = v.safeParse(ManifestSchema, jsonOf(bytes));
  return success ? output.layers[0].digest : undefined;
}

/**
 * Reads a record.
 *
 * @param bytes The bytes.
 * @returns The tags that it has; `undefined` if it is none.
 */
export function readUses(bytes: Uint8Array): readonly string[] | undefined {
  const { success, output } = v.safeParse(UsesSchema, jsonOf(bytes));
  return success ? output.tags : undefined;
}

function jsonOf(bytes: Uint8Array): unknown {
  const read = readJson(bytes);
  return "json" in read ? read.json : undefined;
}

function encode(value: object): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}

async function write(path: string, bytes: Uint8Array): Promise<CarriedBlob> {
  await guard("write", path, () => Deno.writeFile(path, bytes));
  return { path, digest: digestOf(bytes), size: bytes.length };
}
