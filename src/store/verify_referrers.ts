import { join } from "@std/path";
import { type Check, type FoundOne, lookAt, type Looked, see, wrongType } from "./check.ts";
import { readOriginRecord } from "./origin.ts";
import { REFERRERS_RECORD } from "./referrers.ts";
import type { Store } from "./store.ts";

/**
 * Looks at what refers to the images and indexes of a store: all that its records name.
 *
 * @param store The store.
 * @returns What is wrong, and what has to be hashed.
 */
export async function lookAtReferrers(store: Store): Promise<Looked> {
  const subjects = await store.referrers.subjects();
  if (subjects.length === 0) return { found: [], checks: [] };
  const owners = await findOwners(store);
  const parts = await Promise.all(subjects.map((subject) => {
    const entries = owners.get(subject) ?? [];
    const path = store.referrers.folder(subject);
    const what = { kind: "referrer", path, digest: subject, entries } as const;
    return lookAt(what, () => lookAtSubject(store, subject, entries));
  }));
  return {
    found: parts.flatMap(({ found }) => found),
    checks: parts.flatMap(({ checks }) => checks),
  };
}

async function lookAtSubject(
  { referrers }: Store,
  subject: string,
  entries: readonly string[],
): Promise<Looked> {
  const found: FoundOne[] = [];
  const checks: Check[] = [];
  const kept = await referrers.of(subject);
  if (!kept) {
    const folder = referrers.folder(subject);
    const path = join(folder, REFERRERS_RECORD);
    const { type } = await see(path);
    // A run that was killed before it came to the record has left what the next one takes up.
    if (type === "nothing" && (await see(folder)).type === "folder") return { found, checks };
    const format = { problem: "format", message: "it does not say what refers to what" } as const;
    const wrong = type === "file" ? format : wrongType(type, "file");
    return { found: [{ kind: "referrer", path, entries, ...wrong }], checks };
  }
  const files = new Map(
    kept.flatMap(({ digest, size, blobs }) => [
      [digest, size] as const,
      ...blobs.map(({ digest, size }) => [digest, size] as const),
    ]),
  );
  for (const [digest, size] of files) {
    const path = referrers.file(subject, digest);
    const what = { kind: "referrer", path, digest, entries } as const;
    const seen = await see(path);
    if (seen.type !== "file") found.push({ ...what, ...wrongType(seen.type, "file") });
    else if (seen.size !== size) {
      const message = `it has ${seen.size} bytes, expected ${size}`;
      found.push({ ...what, problem: "size", message, inode: seen.inode });
    } else checks.push({ ...what, inode: seen.inode, size });
  }
  return { found, checks };
}

/** Ids of the images that have a digest, or are of the index that has it. */
async function findOwners(store: Store): Promise<ReadonlyMap<string, readonly string[]>> {
  const owners = new Map<string, string[]>();
  for (const id of await store.ids()) {
    // One that cannot be read is told already.
    const record = await readOriginRecord(store.entryPath(id)).catch(() => undefined);
    const digests = (record?.origins ?? []).flatMap(({ digest, index }) => [digest, index]);
    for (const digest of new Set([record?.manifest, ...digests])) {
      if (digest !== undefined) owners.set(digest, [...owners.get(digest) ?? [], id]);
    }
  }
  return owners;
}
