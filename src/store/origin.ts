import { join } from "@std/path";
import * as v from "valibot";
import { isDigest } from "../../config/mod.ts";
import { readIfThere, writeAtomically } from "./files.ts";

const Digest = v.pipe(v.string(), v.check(isDigest));

const OriginSchema = v.object({
  reference: v.string(),
  digest: v.optional(Digest),
  index: v.optional(Digest),
  transport: v.string(),
  platform: v.string(),
  fetched: v.pipe(v.string(), v.isoTimestamp()),
});

const OriginsSchema = v.object({ schema: v.literal(1), origins: v.array(OriginSchema) });

/** Where an image of the store came from. */
export type Origin = v.InferOutput<typeof OriginSchema>;

const FILE = "origin.json";

/**
 * Reads where an image came from.
 *
 * @param entry The folder of the image's entry.
 * @returns Its origins, the latest last; `undefined` where what is recorded cannot be read.
 */
export async function readOrigins(entry: string): Promise<Origin[] | undefined> {
  const bytes = await readIfThere(join(entry, FILE));
  if (!bytes) return [];
  const text = new TextDecoder().decode(bytes);
  const file = v.safeParse(v.pipe(v.string(), v.parseJson(), OriginsSchema), text);
  return file.success ? file.output.origins : undefined;
}

/**
 * Records where an image came from, beside what is recorded already. A record that cannot be read,
 * as a later version may have written it, is left alone.
 *
 * @param entry The folder of the image's entry; it has to be locked.
 * @param origin Where it came from; it replaces an older one of the same reference and platform.
 */
export async function recordOrigin(entry: string, origin: Origin): Promise<void> {
  const origins = await readOrigins(entry);
  if (!origins) return;
  const others = origins.filter((other) =>
    other.reference !== origin.reference || other.platform !== origin.platform
  );
  const file: v.InferOutput<typeof OriginsSchema> = { schema: 1, origins: [...others, origin] };
  await writeAtomically(join(entry, FILE), `${JSON.stringify(file, undefined, 2)}\n`);
}
