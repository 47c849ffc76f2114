import { createHash } from "node:crypto";
import type { TreeAttributes, TreePatterns } from "../../config/mod.ts";
import { ToolError } from "../errors/mod.ts";
import { TarEditor, type TarEdits } from "../lib/archive/tar_editor.ts";
import { formatEntry, NEW_ENTRY } from "../lib/archive/tar_entry.ts";
import { all, mustRun } from "./process.ts";
import { joint } from "./process_streams.ts";
import { runInSandbox } from "./sandbox.ts";
import { listPaths } from "./tree_paths.ts";

/** How a folder becomes a tar archive. */
export interface TarOptions extends TarEdits {
  /** The time of every file, in seconds since 1970; 0 if absent. */
  readonly epoch?: number;
  /** Which part of the folder is meant; all of it if absent. */
  readonly patterns?: TreePatterns | undefined;
  /** How files are seen, where that is not as they are in the folder. */
  readonly attributes?: TreeAttributes | undefined;
  /** Whether holes of files stay holes; where they are is in the archive then. */
  readonly keepsHoles?: boolean;
  /** Takes the path of each socket, which no archive can have. */
  readonly onSocket?: ((path: string) => void) | undefined;
  /** Ends the work. */
  readonly signal?: AbortSignal | undefined;
}

// ACLs as attributes: tar's own form of them has this machine's user names, and no engine reads it.
const ATTRIBUTES = ["user.*", "trusted.*", "security.*", "system.posix_acl_*"];
/** Holds for one inode of one machine only. */
const OWN_ATTRIBUTE = "security.evm";

/** What tar says of a socket. */
const SOCKET = /^tar: \.\/(.+): socket ignored$/gm;
/** What tar says, and goes on, where an attribute is lost. */
const LOST_ATTRIBUTE = /^tar: .*[Cc]annot set .* extended attribute.*/m;

/**
 * Writes what is in a folder as a tar archive in pax format. The same content gives the same bytes
 * at any time and place: paths, types, modes, owners as stages see them, links, devices, all extended
 * attributes that can be read, ACLs and bytes. The folder's own mode and owner are not in it, unless
 * told, nor are sockets. Files with holes are written in full, unless told, as where the holes are differs
 * from copy to copy.
 *
 * @param folder The folder.
 * @param to Takes the archive; it is closed then, or aborted with what went wrong.
 * @param options The time, how files are seen, what is left out, cancellation.
 * @throws {ToolError} If a file cannot be read, or changes meanwhile.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function writeTar(
  folder: string,
  to: WritableStream<Uint8Array>,
  options: TarOptions = {},
): Promise<void> {
  const { epoch = 0, attributes = {}, keepsHoles = false } = options;
  const { dates = "epoch", owner, group, mode } = attributes;
  const { patterns, onSocket, signal, ...edits } = options;
  const list = patterns && joint();
  const tar = runInSandbox("tar", [
    ...["--create", "--file=-", "--blocking-factor=128", `--directory=${folder}`, "--sort=name"],
    ...["--format=posix", "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"],
    ...(dates === "keep" ? [] : [`--mtime=@${epoch}`]),
    ...(dates === "clamp" ? ["--clamp-mtime"] : []),
    ...["--numeric-owner", "--no-selinux", "--no-acls", "--xattrs"],
    ...ATTRIBUTES.map((pattern) => `--xattrs-include=${pattern}`),
    `--xattrs-exclude=${OWN_ATTRIBUTE}`,
    // Else the ACLs of the folder of a checkout would be in what is made of it.
    ...(mode === "normal" ? ["--xattrs-exclude=system.posix_acl_*"] : []),
    ...(keepsHoles ? ["--sparse"] : []),
    ...(owner === undefined ? [] : [`--owner=:${owner}`]),
    ...(group === undefined ? [] : [`--group=:${group}`]),
    ...(mode === "normal" ? ["--mode=u=rwX,go=rX"] : []),
    "--transform=flags=rSh;s,^\\./\\(.\\),\\1,",
    ...(list ? ["--null", "--no-recursion", "--files-from=-"] : ["--", "."]),
  ], {
    env: { LC_ALL: "C" },
    stdout: editing(to, edits),
    signal,
    ...(list && { stdin: list.readable }),
  });
  await all([...(list ? [listPaths(folder, patterns, list.writable, signal)] : []), tar]);
  const { code, stderr } = await tar;
  if (code !== 0) {
    throw new ToolError("tar", { exitCode: code, stderr, doing: `archive "${folder}"` });
  }
  for (const [, path = ""] of stderr.matchAll(SOCKET)) onSocket?.(path);
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
  options: Pick<
    TarOptions,
    "epoch" | "patterns" | "attributes" | "onMember" | "onSocket" | "signal"
  > = {},
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
  { epoch = 0, patterns, attributes, signal }: Pick<
    TarOptions,
    "epoch" | "patterns" | "attributes" | "signal"
  > = {},
): Promise<void> {
  const pipe = joint();
  const options = { epoch, patterns, attributes, keepsHoles: true, signal };
  const doing = `copy "${folder}"`;
  await all([
    writeTar(folder, pipe.writable, options),
    readTar(pipe.readable, to, { doing, signal }),
  ]);
  await Deno.chmod(to, 0o755);
  await Deno.utime(to, epoch, epoch);
}

/**
 * Unpacks what {@linkcode writeTar} has written, with all that belongs to a file. Links are made last,
 * so that none is followed.
 *
 * @param from The archive, in pax format; no name in it leads upwards.
 * @param to The folder; it must be there, and empty.
 * @param options What this is for, to follow "Cannot"; whether what the archive says of the folder
 * itself is left out; cancellation.
 * @throws {ToolError} If it cannot be unpacked, or not all of it.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function readTar(
  from: ReadableStream<Uint8Array>,
  to: string,
  { doing, isOnlyContent = false, signal }: {
    readonly doing: string;
    readonly isOnlyContent?: boolean;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { code, stderr } = await runInSandbox("tar", [
    ...["--extract", "--file=-", "--preserve-permissions", "--delay-directory-restore"],
    ...["--numeric-owner", "--no-selinux", "--no-acls", "--xattrs", "--xattrs-include=*"],
    ...(isOnlyContent ? ["--anchored", "--exclude=.", "--exclude=/*"] : []),
    // Not by --directory, where tar takes a backslash for the start of an escape.
  ], { env: { LC_ALL: "C" }, cwd: to, stdin: from, signal });
  if (code === 0 && !LOST_ATTRIBUTE.test(stderr)) return;
  throw new ToolError("tar", { exitCode: code, stderr, doing });
}

/**
 * Takes from a new folder what it has inherited of the one that it is in, and would pass on to all
 * that is made in it: default ACLs, and the bit that makes a group follow its folder.
 *
 * @param folder The folder; its mode is 700 then.
 * @throws {ToolError} If its mode cannot be set.
 */
export async function disinherit(folder: string): Promise<void> {
  // Of what it extracts, tar also deletes the ACLs that the archive does not have.
  await mustRun("tar", ["--extract", "--file=-", "--preserve-permissions", "--acls"], {
    cwd: folder,
    stdin: ReadableStream.from([formatEntry({ ...NEW_ENTRY, type: "5", mode: 0o700 }, ".")]),
  });
}

/** Passes an archive on as {@linkcode writeTar} promises it, which tar alone cannot do. */
function editing(to: WritableStream<Uint8Array>, edits: TarEdits): WritableStream<Uint8Array> {
  const writer = to.getWriter();
  const editor = new TarEditor(edits);
  return new WritableStream({
    write: async (chunk) => {
      try {
        const bytes = editor.next(chunk);
        if (bytes.length > 0) await writer.write(bytes);
      } catch (error) {
        // A stream that has failed is not told to abort.
        await writer.abort(error).catch(() => {});
        throw error;
      }
    },
    close: () => writer.close(),
    abort: (reason) => writer.abort(reason),
  });
}
