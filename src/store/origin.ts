import { join } from "@std/path";
import * as v from "valibot";
import { Digest, Platform } from "../../config/schema_parts.ts";
import { type FoundOne, see, wrongType } from "./check.ts";
import { digestOf, writeAtomically } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { sortKeys } from "../lib/hash/hash.ts";
import { MAX_JSON, readJson } from "../lib/json.ts";

const common = {
  reference: v.string(),
  digest: v.optional(Digest),
  index: v.optional(Digest),
  transport: v.string(),
  /** The repository that has given it in place of the reference's own. */
  mirror: v.optional(v.string()),
  /** The place that served it, as a person reads it; absent where an old version fetched it. */
  from: v.optional(v.string()),
  fetched: v.pipe(v.string(), v.isoTimestamp()),
};

/** Plain data; whose it is knows what it says. */
const Data = v.record(v.string(), v.unknown());

const OriginSchema = v.object({
  ...common,
  /**
   * The place that `reference` was the text of, with absolute paths: what decides which image it
   * is. Absent where an old version has recorded the text only.
   */
  place: v.exactOptional(Data),
  /** How that place was reached, without secrets. */
  access: v.exactOptional(Data),
  /** Of the image, as its own config says; absent where an old version has not looked. */
  platform: v.optional(Platform),
  /** The platform that it was chosen for; absent where the reference stood for this one image. */
  chosenFor: v.optional(v.string()),
});

/** The first version recorded the platform that was asked for, and not what the image is for. */
const FirstOriginSchema = v.pipe(
  v.object({ ...common, platform: v.string() }),
  v.transform(({ platform, ...origin }): Origin => ({ ...origin, chosenFor: platform })),
);

const manifest = v.optional(Digest);
const RecordSchema = v.variant("schema", [
  v.object({ schema: v.literal(1), manifest, origins: v.array(FirstOriginSchema) }),
  v.object({ schema: v.literal(2), manifest, origins: v.array(OriginSchema) }),
]);

const LaterSchema = v.object({ schema: v.pipe(v.number(), v.minValue(3)) });

/** Where an image of the store came from. */
export type Origin = v.InferOutput<typeof OriginSchema>;

/** A place as it is recorded, structured. */
export type RecordedPlace = Pick<Origin, "place" | "access">;

const FILE = "origin.json";

/**
 * How many places of one text are recorded: a config with relative paths that is run in a new
 * folder each time, as in CI, must not make the record grow for ever.
 */
const MAX_PLACES = 20;

/** What is recorded beside an image. */
export interface OriginRecord {
  /** Digest of the manifest that was put there, or that a place has vouched for since. */
  readonly manifest?: string | undefined;
  /** Where it came from, the latest last. */
  readonly origins: readonly Origin[];
}

/**
 * Whether an image was fetched from a place.
 *
 * @param origin Where it came from.
 * @param asked The place, and its text. The text says the same in two configs with relative paths,
 * and counts alone only where no more was recorded.
 * @returns Whether it was.
 */
export function isAt(
  origin: Pick<Origin, "reference" | "place">,
  asked: { readonly reference?: string | undefined; readonly place?: RecordedPlace["place"] },
): boolean {
  if (origin.reference !== asked.reference) return false;
  return origin.place === undefined || asked.place === undefined ||
    JSON.stringify(origin.place, sortKeys) === JSON.stringify(asked.place, sortKeys);
}

/**
 * Reads what is recorded beside an image.
 *
 * @param entry The folder of the image's entry.
 * @returns The record; `undefined` where it cannot be read.
 */
export async function readOriginRecord(entry: string): Promise<OriginRecord | undefined> {
  const bytes = await readRegular(join(entry, FILE), MAX_JSON);
  if (!bytes) return { origins: [] };
  const read = readJson(bytes);
  const file = "json" in read ? v.safeParse(RecordSchema, read.json) : undefined;
  return file?.success ? file.output : undefined;
}

/**
 * Finds out what is wrong with the record beside an image. One of a later version is not.
 *
 * @param entry The folder of the image's entry.
 * @returns What is wrong; `undefined` if nothing is, or no record is there.
 */
export async function findOriginFault(
  entry: string,
): Promise<Omit<FoundOne, "entries"> | undefined> {
  const path = join(entry, FILE);
  const seen = await see(path);
  if (seen.type === "nothing") return undefined;
  const what = { kind: "origin", path } as const;
  if (seen.type !== "file") return { ...what, ...wrongType(seen.type, "file") };
  const read = readJson(await readRegular(path, MAX_JSON) ?? new Uint8Array());
  if ("json" in read && v.is(v.union([RecordSchema, LaterSchema]), read.json)) return undefined;
  const { inode } = seen;
  return { ...what, inode, problem: "format", message: "it does not say where an image came from" };
}

/**
 * Records where an image came from, beside what is recorded already. A record that cannot be read,
 * as a later version may have written it, is left alone.
 *
 * @param entry The folder of the image's entry; it has to be locked.
 * @param origin Where it came from; it replaces an older one that says the same.
 * @param isNew Whether the image itself came from there just now.
 * @param work A workspace of the store: what a process that is killed leaves in an entry stays.
 * @returns What is recorded then; `undefined` where it was left alone.
 */
export async function recordOrigin(
  entry: string,
  origin: Origin,
  isNew: boolean,
  work: string,
): Promise<OriginRecord | undefined> {
  const record = await readOriginRecord(entry);
  if (!record) return undefined;
  // What was in an index stays in it, also when it is asked for by itself.
  const older = record.origins.findLast((other) =>
    isAt(other, origin) && other.digest === origin.digest &&
    [undefined, other.chosenFor].includes(origin.chosenFor)
  );
  const next = {
    ...older?.index !== undefined && { index: older.index },
    ...older?.chosenFor !== undefined && { chosenFor: older.chosenFor },
    ...origin,
  };
  const isLike = (other: Origin) =>
    other.reference === next.reference && other.chosenFor === next.chosenFor;
  const like = record.origins.filter((other) => isLike(other) && !isAt(other, next))
    .slice(1 - MAX_PLACES);
  const others = record.origins.filter((other) => !isLike(other) || like.includes(other));
  const bytes = await readRegular(join(entry, "image", "manifest.json"), MAX_JSON);
  const present = bytes && digestOf(bytes);
  const manifest = isNew || present === origin.digest ? present : record.manifest;
  const file = {
    schema: 2,
    ...(manifest !== undefined && { manifest }),
    origins: [...others, next],
  };
  await writeAtomically(join(entry, FILE), `${JSON.stringify(file, undefined, 2)}\n`, work);
  return file;
}
