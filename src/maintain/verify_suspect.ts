import { StowageError } from "../errors/mod.ts";
import { type Check, type FoundOne, type Looked, otherDigest, unreadable } from "../store/check.ts";
import { codeOf } from "../lib/fs/files.ts";
import type { DigestRequest, FileDigests } from "../tools/hash/digest_file.ts";

/** What is wrong, with the same file in other places. */
export type Judged = FoundOne & { readonly links: readonly string[] };

/** The digests of a part of a file, or why it has none. */
type Hashed = FileDigests | { readonly failure: Error };

/** One file on its disk, with all that it has to be in its several places. */
export class Suspect {
  readonly #found: FoundOne[] = [];
  readonly #checks: Check[] = [];

  /** Takes what is wrong with it already. */
  addFound(found: FoundOne): void {
    this.#found.push(found);
  }

  /** Takes what it has to be. */
  addCheck(check: Check): void {
    this.#checks.push(check);
  }

  /** Ids of the images that it belongs to. */
  get entries(): readonly string[] {
    return [...this.#found, ...this.#checks].flatMap(({ entries }) => entries);
  }

  /** How much of it has to be hashed, in bytes. */
  get size(): number {
    return [...this.#parts().values()].reduce((sum, [{ size }]) => sum + size, 0);
  }

  /** What has to be known of each of its parts. */
  #parts(): Map<string, [Check, ...Check[]]> {
    const parts = new Map<string, [Check, ...Check[]]>();
    for (const check of this.#checks) {
      const key = partOf(check);
      const same = parts.get(key);
      if (same) same.push(check);
      else parts.set(key, [check]);
    }
    return parts;
  }

  /**
   * Hashes it, each part once.
   *
   * @param digest Hashes a part.
   * @returns The digests of its parts.
   * @throws {StowageError} If that is not the file's fault.
   */
  async digest(
    digest: (request: DigestRequest) => Promise<FileDigests>,
  ): Promise<ReadonlyMap<string, Hashed>> {
    const parts = [...this.#parts()].map(async ([key, checks]): Promise<[string, Hashed]> => {
      const [{ path, range }] = checks;
      const unpack = checks.some(({ unpacked }) => unpacked !== undefined);
      try {
        return [key, await digest({ path, unpack, ...(range && { range }) })];
      } catch (failure) {
        if (failure instanceof StowageError || !(failure instanceof Error)) throw failure;
        return [key, { failure }];
      }
    });
    return new Map(await Promise.all(parts));
  }

  /**
   * Compares it with what it has to be.
   *
   * @param digests The digests of its parts.
   * @returns What is wrong, once for each thing that it has to be.
   */
  judge(digests: ReadonlyMap<string, Hashed>): Judged[] {
    const found = this.#checks.flatMap((check) => {
      const hashed = digests.get(partOf(check));
      return hashed ? judgeOne(check, hashed) : [];
    });
    const judged = new Map<string, Judged>();
    for (const one of [...this.#found, ...found]) {
      const key = one.kind === "image" || one.kind === "diff-id"
        ? one.path
        : one.digest ?? one.path;
      const same = judged.get(key);
      const { path = one.path, links = [], entries = [] } = same ?? {};
      judged.set(key, {
        ...(same ?? one),
        links: [...new Set([...links, one.path])].filter((link) => link !== path),
        entries: [...new Set([...entries, ...one.entries])],
      });
    }
    return [...judged.values()];
  }
}

function partOf({ range }: Check): string {
  return range ? `${range.start}+${range.length}` : "";
}

function judgeOne(check: Check, hashed: Hashed): FoundOne[] {
  const { kind, path, inode, entries, digest, id, unpacked, whole, onUnpacked } = check;
  const what = {
    ...{ kind, path: whole ?? path, entries },
    ...(digest && !id && { digest }),
    ...(id && { id }),
    ...(!whole && { inode }),
  };
  if ("failure" in hashed) {
    if (codeOf(hashed.failure) === "ENOENT") return []; // somebody removed it meanwhile
    return [{ ...what, ...unreadable(hashed.failure) }];
  }
  if (digest !== undefined && hashed.digest !== digest) {
    return [{ ...what, ...otherDigest(hashed.digest, digest) }];
  }
  if (unpacked === undefined || hashed.unpacked === unpacked) return [];
  const message = hashed.unpacked === undefined
    ? `its layer "${digest ?? path}" cannot be unpacked: ${hashed.fault}`
    : `its layer unpacks to ${hashed.unpacked}, expected ${unpacked}`;
  return [{ ...onUnpacked ?? what, problem: "content", message, entries }];
}

/**
 * Sorts what was seen by the file on its disk.
 *
 * @param looked What was found at first sight, and what has to be hashed.
 * @param ids Ids of the images that are meant, with all that they share; all if absent.
 * @returns A suspect a file; what is wrong and no file has one each.
 */
export function suspectsOf({ found, checks }: Looked, ids?: ReadonlySet<string>): Suspect[] {
  const byInode = new Map<string, Suspect>();
  const suspectOf = (inode: string = crypto.randomUUID()) => {
    const suspect = byInode.get(inode) ?? new Suspect();
    byInode.set(inode, suspect);
    return suspect;
  };
  for (const one of found) suspectOf(one.inode).addFound(one);
  for (const check of checks) suspectOf(check.inode).addCheck(check);
  const all = [...byInode.values()];
  return ids ? all.filter(({ entries }) => entries.some((id) => ids.has(id))) : all;
}
