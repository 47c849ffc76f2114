import { dirname, join, resolve } from "@std/path";
import type { TreePatterns } from "../../config/mod.ts";
import { ToolError, ToolMissingError } from "../errors/mod.ts";
import { concat } from "../lib/bytes.ts";
import { readOutsideText } from "../lib/fs/outside_file.ts";
import { mustRun } from "./process.ts";
import { gitPathspecs, meantBy } from "./tree_paths.ts";

/** When a tree was changed. */
export interface TreeDate {
  /** In whole seconds since 1970. */
  readonly date: number;
  /** Why git could not tell, where it should have, and what to do about it; it follows "as". */
  readonly doubt?: string;
}

/** The end of the year 9999, the last that archives and images can say. */
const LAST_SECOND = 253_402_300_799;

/**
 * Finds one date for all of a tree, such that what was changed has another one.
 *
 * In a git work tree it is that of the last commit that changed something of the tree, the same in
 * all clones; where files differ from the commit, the newest time of those, if that is later. Elsewhere
 * it is the newest time of the tree's files and folders: a file that takes another's place may be older.
 *
 * @param folder The tree.
 * @param patterns Which part of it is meant; all of it if absent. Folders have no date then, as
 * what is not meant changes it.
 * @param signal Ends the work.
 * @returns The date.
 * @throws {ToolError} If the tree cannot be read.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function treeDate(
  folder: string,
  patterns?: TreePatterns,
  signal?: AbortSignal,
): Promise<TreeDate> {
  const path = await Deno.realPath(folder);
  let doubt: string | undefined;
  if (await isInRepository(path)) {
    try {
      const found = await dateOfGit(path, patterns, signal);
      if (found) return { ...found, date: bounded(found.date) };
    } catch (error) {
      if (error instanceof ToolMissingError) doubt = "git is not installed: install it";
      else if (error instanceof ToolError) {
        doubt = `git fails with ${wordsOf(error)}: run git status there`;
      } else throw error;
    }
  }
  const date = bounded(await newest(path, patterns, signal));
  return { date, ...(doubt !== undefined && { doubt }) };
}

function bounded(seconds: number): number {
  return Math.min(Math.max(Math.floor(seconds), 0), LAST_SECOND);
}

/** Where there is none, git is not run. */
async function isInRepository(path: string): Promise<boolean> {
  for (let folder = path;; folder = dirname(folder)) {
    if (await Deno.lstat(join(folder, ".git")).catch(() => undefined)) return true;
    if (folder === dirname(folder)) return false;
  }
}

function wordsOf({ stderr }: ToolError): string {
  const [line = ""] = stderr.trim().split("\n");
  return JSON.stringify(line.replace(/^(fatal|error): /, ""));
}

/** Asks git; it knows nothing of a tree that has no commit and no file. */
async function dateOfGit(
  path: string,
  patterns: TreePatterns | undefined,
  signal: AbortSignal | undefined,
): Promise<TreeDate | undefined> {
  const meant = ["--", ...gitPathspecs(patterns)];
  const newestOf = async (entry: string, deleted: boolean): Promise<number> => {
    const info = await Deno.lstat(entry).catch(() => undefined);
    // Of a file that is gone, or whose name is no Unicode, the folder tells.
    if (!info) return entry === path ? 0 : await newestOf(dirname(entry), true);
    if (info.isDirectory && !deleted) return await newest(entry, undefined, signal);
    return (info.mtime?.getTime() ?? 0) / 1000;
  };
  const places = await git(path, ["rev-parse", "--show-toplevel", "--git-path", "shallow"], signal);
  const [top = "", shallow = ""] = places.split("\n");
  const last = ["rev-list", "--ignore-missing", "--max-count=1", "--timestamp", "HEAD", ...meant];
  const [time = "", commit = ""] = (await git(path, last, signal)).trim().split(" ");
  let [changed, differs] = [0, false];
  await git(
    path,
    [
      ...["status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignored=traditional"],
      ...["--no-renames", "--ignore-submodules=none", ...meant],
    ],
    signal,
    async (record) => {
      differs = true;
      changed = Math.max(changed, await newestOf(join(top, record.slice("XY ".length)), false));
    },
  );
  if (commit === "") return differs ? { date: changed } : undefined;
  const date = Math.max(Number(time), changed);
  const ends = await readOutsideText(resolve(path, shallow)).catch(() => "");
  if (!ends.split("\n").includes(commit)) return { date };
  return { date, doubt: "the clone is shallow: fetch all of its history (fetch-depth: 0)" };
}

/** Runs git so that nothing but the repository decides what it says, and it runs nothing itself. */
async function git(
  cwd: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
  onRecord?: (record: string) => Promise<void>,
): Promise<string> {
  // Its own configuration says which repositories of others a user trusts.
  const own = ["HOME", "XDG_CONFIG_HOME", "SUDO_UID"].flatMap((name): [string, string][] => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  const { stdout } = await mustRun("git", [
    ...["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"],
    ...args,
  ], {
    cwd,
    signal,
    isBare: true,
    env: {
      ...Object.fromEntries(own),
      ...{ LC_ALL: "C", GIT_OPTIONAL_LOCKS: "0", GIT_NO_REPLACE_OBJECTS: "1" },
      ...{ GIT_NO_LAZY_FETCH: "1", GIT_TERMINAL_PROMPT: "0" },
    },
    ...(onRecord && { stdout: records(onRecord) }),
  });
  return new TextDecoder().decode(stdout);
}

/** The newest time in a folder, in seconds since 1970. */
async function newest(
  folder: string,
  patterns: TreePatterns | undefined,
  signal: AbortSignal | undefined,
): Promise<number> {
  const isMeant = patterns && meantBy(patterns);
  let last = 0;
  const stdout = records((record) => {
    const space = record.indexOf(" ");
    const time = Number(record.slice(0, space));
    if (time > last && (!isMeant || isMeant(record.slice(space + 1)))) last = time;
    return Promise.resolve();
  });
  const files = isMeant ? ["-mindepth", "1", "!", "-type", "d"] : [];
  await mustRun("find", [folder, ...files, "-printf", "%T@ %P\\0"], { signal, stdout });
  return last;
}

/** Takes texts with a byte of 0 behind each. */
function records(take: (record: string) => Promise<void>): WritableStream<Uint8Array> {
  const decoder = new TextDecoder();
  let pending = new Uint8Array();
  return new WritableStream({
    async write(chunk) {
      const bytes = concat(pending, chunk);
      let start = 0;
      for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, start)) {
        await take(decoder.decode(bytes.subarray(start, end)));
        start = end + 1;
      }
      pending = bytes.slice(start);
    },
  });
}
