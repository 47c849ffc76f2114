import { join } from "@std/path";
import * as v from "valibot";
import { isDigest } from "../../config/mod.ts";
import type { FindingKind } from "../finding.ts";
import {
  type Check,
  type FoundOne,
  lookAt,
  type Looked,
  see,
  unreadable,
  wrongType,
} from "./check.ts";
import { HEX } from "../lib/hash/hash.ts";
import { list } from "../lib/fs/files.ts";
import { readRegular } from "../lib/fs/outside_file.ts";
import { MAX_JSON } from "../lib/json.ts";

/** What a folder of files that are called by their digests has to hold. */
interface Shelf {
  /** What its files are. */
  readonly kind: FindingKind;
  /** The digest that a name stands for; `undefined` for what somebody else put there. */
  readonly digestOf: (name: string) => string | undefined;
}

const byHex = (name: string) => HEX.test(name) ? `sha256:${name}` : undefined;

/**
 * Looks at the indexes of a store, which are called by their digests.
 *
 * @param folder The store's folder of osbuild's content type for files.
 * @returns What is wrong, and what has to be hashed. What has other names is somebody else's.
 */
export async function lookAtIndexes(folder: string): Promise<Looked> {
  const digestOf = (name: string) => isDigest(name) ? name : undefined;
  return await lookAtShelf(folder, { kind: "index", digestOf });
}

/**
 * Looks at the pool of blobs, and at what is recorded of what they unpack to.
 *
 * @param folder The store's `blobs/`.
 * @returns What is wrong, and what has to be hashed. A record of a blob that is not there vouches
 * for nothing.
 */
export async function lookAtPool(folder: string): Promise<Looked> {
  const pool = await lookAtShelf(join(folder, "sha256"), { kind: "blob", digestOf: byHex });
  const found: FoundOne[] = [...pool.found];
  const checks: Check[] = [];
  for (const check of pool.checks) {
    const { digest = "" } = check;
    const path = join(folder, "diff-ids", digest.slice("sha256:".length));
    const record = { kind: "diff-id", path, digest, entries: [] } as const;
    const { type } = await see(path);
    if (type === "nothing") {
      checks.push(check);
      continue;
    }
    const bytes = type === "file" ? await readRegular(path, MAX_JSON).catch(unreadable) : undefined;
    if (bytes && "problem" in bytes) {
      found.push({ ...record, ...bytes });
      checks.push(check);
      continue;
    }
    const unpacked = new TextDecoder().decode(bytes).trim();
    const diffId = byHex(unpacked) ?? unpacked;
    if (isDigest(diffId)) {
      checks.push({ ...check, unpacked: diffId, onUnpacked: record });
    } else {
      const noDigest = { problem: "format", message: "it holds no digest" } as const;
      found.push({ ...record, ...(bytes ? noDigest : wrongType(type, "file")) });
      checks.push(check);
    }
  }
  return { found, checks };
}

async function lookAtShelf(folder: string, { kind, digestOf }: Shelf): Promise<Looked> {
  const found: FoundOne[] = [];
  const checks: Check[] = [];
  for (const name of (await list(folder)).sort()) {
    const digest = digestOf(name);
    if (digest === undefined) continue;
    const what = { kind, path: join(folder, name), digest, entries: [] };
    const seen = await see(what.path);
    if (seen.type === "file") checks.push({ ...what, inode: seen.inode, size: seen.size });
    else if (seen.type !== "nothing") found.push({ ...what, ...wrongType(seen.type, "file") });
  }
  return { found, checks };
}

const ArchiveSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ sha256: v.pipe(v.string(), v.regex(HEX)) }),
);

/**
 * Looks at the archives that stages share, each with a record of its hash.
 *
 * @param folder The store's `archives/`.
 * @returns What is wrong, and what has to be hashed.
 */
export async function lookAtArchives(folder: string): Promise<Looked> {
  const found: FoundOne[] = [];
  const checks: Check[] = [];
  for (const name of (await list(folder)).sort()) {
    if (!HEX.test(name)) continue;
    const what = { kind: "archive", path: join(folder, name), id: name, entries: [] } as const;
    const looked = await lookAt(what, async () => {
      const one = await lookAtArchive(what);
      return "problem" in one
        ? { found: [{ ...what, ...one }], checks: [] }
        : { found: [], checks: [one] };
    });
    found.push(...looked.found);
    checks.push(...looked.checks);
  }
  return { found, checks };
}

async function lookAtArchive(
  what: Pick<FoundOne, "kind" | "path" | "entries">,
): Promise<Check | Pick<FoundOne, "problem" | "message">> {
  const whole = what.path;
  const { type } = await see(whole);
  if (type !== "folder") return wrongType(type, "folder");
  const path = join(whole, "archive");
  const [seen, record] = [await see(path), await see(join(whole, "archive.json"))];
  if (seen.type !== "file") return wrongType(seen.type, "file");
  if (record.type !== "file") return wrongType(record.type, "file");
  const text = new TextDecoder().decode(await readRegular(join(whole, "archive.json"), MAX_JSON));
  const { success, output } = v.safeParse(ArchiveSchema, text);
  if (!success) return { problem: "format", message: "its record cannot be read" };
  const digest = `sha256:${output.sha256}`;
  return { ...what, path, digest, inode: seen.inode, size: seen.size, whole };
}
