import { createHash } from "node:crypto";
import type { TreePatterns } from "../../config/mod.ts";
import { concat } from "../lib/bytes.ts";
import { ToolError } from "../errors/mod.ts";
import { BLOCK, decode, nameOf, padded, sizeIn } from "../lib/archive/tar_header.ts";
import { all } from "./process.ts";
import { joint } from "./process_streams.ts";
import { runInSandbox } from "./sandbox.ts";
import { listPaths } from "./tree_paths.ts";

/** How a folder becomes a tar archive. */
export interface TarOptions {
  /** The time of every file, in seconds since 1970; 0 if absent. */
  readonly epoch?: number;
  /** Which part of the folder is meant; all of it if absent. */
  readonly patterns?: TreePatterns | undefined;
  /** Whether root owns every file, which others may only read; else they are as in the folder. */
  readonly isPublic?: boolean;
  /** Whether holes of files stay holes; where they are is in the archive then. */
  readonly keepsHoles?: boolean;
  /** Ends the work. */
  readonly signal?: AbortSignal | undefined;
}

// ACLs as attributes: tar's own form of them has this machine's user names, and no engine reads it.
const ATTRIBUTES = ["user.*", "security.capability", "security.ima", "system.posix_acl_*"];

/**
 * Writes what is in a folder as a tar archive in pax format. The same content gives the same bytes
 * at any time and place: paths, types, modes, owners as stages see them, links, devices, extended
 * attributes, ACLs and bytes. The folder's own mode and owner are not in it, nor are sockets. Files
 * with holes are written in full, unless told, as where the holes are differs from copy to copy.
 *
 * @param folder The folder.
 * @param to Takes the archive; it is closed then, or aborted with what went wrong.
 * @param options The time, the owner, cancellation.
 * @throws {ToolError} If a file cannot be read, or changes meanwhile.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function writeTar(
  folder: string,
  to: WritableStream<Uint8Array>,
  options: TarOptions = {},
): Promise<void> {
  const { epoch = 0, isPublic = false, keepsHoles = false, patterns, signal } = options;
  const list = patterns && joint();
  const tar = runInSandbox("tar", [
    ...["--create", "--file=-", "--blocking-factor=128", `--directory=${folder}`, "--sort=name"],
    ...["--format=posix", "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"],
    ...[`--mtime=@${epoch}`, "--numeric-owner", "--no-selinux", "--no-acls", "--xattrs"],
    ...ATTRIBUTES.map((pattern) => `--xattrs-include=${pattern}`),
    ...(keepsHoles ? ["--sparse"] : []),
    ...(isPublic ? ["--owner=0", "--group=0", "--mode=u=rwX,go=rX"] : []),
    "--transform=flags=rSh;s,^\\./\\(.\\),\\1,",
    ...(list ? ["--null", "--no-recursion", "--files-from=-"] : ["--", "."]),
  ], {
    env: { LC_ALL: "C" },
    stdout: normalizing(to),
    signal,
    ...(list && { stdin: list.readable }),
  });
  await all([...(list ? [listPaths(folder, patterns, list.writable, signal)] : []), tar]);
  const { code, stderr } = await tar;
  if (code !== 0) throw new ToolError("tar", code, stderr, `archive "${folder}"`);
}

/**
 * Hashes what is in a folder: of two folders with the same digest, {@linkcode writeTar} makes the
 * same archive.
 *
 * @param folder The folder.
 * @param options Which part of it is meant, cancellation.
 * @returns `sha256:` and 64 hex digits.
 * @throws {ToolError} If a file cannot be read, or changes meanwhile.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function treeDigest(
  folder: string,
  options: Pick<TarOptions, "patterns" | "signal"> = {},
): Promise<string> {
  const hash = createHash("sha256");
  await writeTar(
    folder,
    new WritableStream({ write: (chunk) => void hash.update(chunk) }),
    options,
  );
  return `sha256:${hash.digest("hex")}`;
}

/**
 * Copies what {@linkcode treeDigest} tells of a folder, and nothing else, so that folders with the
 * same digest have the same copy. Holes of files stay holes.
 *
 * @param folder The folder.
 * @param to The copy; it must be there, and empty. Its own mode is 755 then.
 * @param options The time of every file, which part of the folder is meant, cancellation.
 * @throws {ToolError} If a file cannot be read or written, or changes meanwhile.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function copyExactly(
  folder: string,
  to: string,
  { epoch = 0, patterns, signal }: Pick<TarOptions, "epoch" | "patterns" | "signal"> = {},
): Promise<void> {
  const pipe = joint();
  const unpack = async () => {
    const { code, stderr } = await runInSandbox("tar", [
      ...["--extract", "--file=-", "--preserve-permissions"],
      ...["--numeric-owner", "--no-selinux", "--no-acls", "--xattrs", "--xattrs-include=*"],
      // Not by --directory, where tar takes a backslash for the start of an escape.
    ], { env: { LC_ALL: "C" }, cwd: to, stdin: pipe.readable, signal });
    if (code !== 0) throw new ToolError("tar", code, stderr, `copy "${folder}"`);
  };
  const options = { epoch, patterns, keepsHoles: true, signal };
  await all([writeTar(folder, pipe.writable, options), unpack()]);
  await Deno.chmod(to, 0o755);
  await Deno.utime(to, epoch, epoch);
}

/** Passes an archive on as {@linkcode writeTar} promises it, which tar alone cannot do. */
function normalizing(to: WritableStream<Uint8Array>): WritableStream<Uint8Array> {
  const writer = to.getWriter();
  const normalizer = new Normalizer();
  return new WritableStream({
    write: async (chunk) => {
      const bytes = normalizer.next(chunk);
      if (bytes.length > 0) await writer.write(bytes);
    },
    close: () => writer.close(),
    abort: (reason) => writer.abort(reason),
  });
}

const EXTENDED = "x".charCodeAt(0);

/** How long a header is, and the content that follows it; both in bytes. */
interface Member {
  readonly header: number;
  readonly content: number;
}

/**
 * Leaves out the folder itself and what fills up the last write, and sorts the records of extended
 * headers: the system lists attributes in the order in which they were set.
 */
class Normalizer {
  /** The beginning of a header. */
  #pending = new Uint8Array();
  /** Bytes to come of the content of a file. */
  #content = 0;
  #isOver = false;

  /** Takes the next bytes of the archive, may change them, and returns what goes on. */
  next(chunk: Uint8Array): Uint8Array {
    if (this.#isOver) return new Uint8Array();
    const bytes = this.#pending.length === 0 ? chunk : concat(this.#pending, chunk);
    let start = 0;
    let end = 0;
    while (true) {
      const step = Math.min(this.#content, bytes.length - end);
      this.#content -= step;
      end += step;
      const member = readMember(bytes.subarray(end));
      if (!member) break;
      const name = nameOf(bytes.subarray(end + member.header - BLOCK));
      if (name === "") {
        this.#isOver = true;
        return concat(bytes.subarray(start, end), new Uint8Array(2 * BLOCK));
      }
      end += member.header;
      this.#content = member.content;
      if (name === "./") start = end; // It comes first.
    }
    this.#pending = bytes.slice(end);
    return bytes.subarray(start, end);
  }
}

/** Reads the header of a file with the extended one before it, if they are there as a whole. */
function readMember(bytes: Uint8Array): Member | undefined {
  if (bytes.length < BLOCK) return undefined;
  if (bytes[156] !== EXTENDED) return { header: BLOCK, content: padded(sizeIn(bytes)) };
  const size = sizeIn(bytes);
  const header = BLOCK + padded(size) + BLOCK;
  if (bytes.length < header) return undefined;
  const records = sortRecords(bytes.subarray(BLOCK, BLOCK + size));
  const extended = records.map((record) => /^\d+ size=(\d+)\n$/.exec(record)?.[1]).find(Boolean);
  const content = extended ? Number(extended) : sizeIn(bytes.subarray(header - BLOCK));
  return { header, content: padded(content) };
}

/** Sorts records of the form `length key=value\n` in their place; returns them. */
function sortRecords(bytes: Uint8Array): string[] {
  const records: { text: string; bytes: Uint8Array }[] = [];
  for (let start = 0; start < bytes.length;) {
    const length = parseInt(decode(bytes.subarray(start, start + 20)));
    const record = bytes.slice(start, start + length);
    records.push({ text: decode(record), bytes: record });
    start += length;
  }
  records.sort((a, b) => a.text < b.text ? -1 : 1);
  let end = 0;
  for (const record of records) {
    bytes.set(record.bytes, end);
    end += record.bytes.length;
  }
  return records.map(({ text }) => text);
}
