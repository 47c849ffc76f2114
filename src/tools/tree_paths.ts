import { globToRegExp } from "@std/path/glob-to-regexp";
import type { TreePatterns } from "../../config/mod.ts";
import { concat } from "../lib/bytes.ts";
import { all, joint, mustRun } from "./process.ts";

/** Tells which paths of a tree are meant; it is asked of folders before what is in them. */
class PathFilter {
  /** The patterns to include that have matched something. */
  readonly matched = new Set<string>();
  readonly #include: readonly (readonly [pattern: string, match: RegExp])[] | undefined;
  readonly #exclude: readonly RegExp[];
  #inside = "";
  #outside = "";

  constructor({ include, exclude = [] }: TreePatterns) {
    this.#include = include?.map((pattern) => [pattern, toRegExp(pattern)]);
    this.#exclude = exclude.map(toRegExp);
  }

  /** Whether a path is meant; one that is not may be of a folder that has what is meant. */
  has(path: string): boolean {
    if (isBelow(path, this.#outside)) return false;
    if (this.#exclude.some((pattern) => pattern.test(path))) {
      this.#outside = path;
      return false;
    }
    if (!this.#include) return true;
    const found = this.#include.filter(([, match]) => match.test(path));
    for (const [pattern] of found) this.matched.add(pattern);
    if (isBelow(path, this.#inside)) return true;
    if (found.length > 0) this.#inside = path;
    return found.length > 0;
  }
}

function isBelow(path: string, folder: string): boolean {
  return folder !== "" && path.startsWith(`${folder}/`);
}

/**
 * Makes what tells whether a path of a tree matches a pattern.
 *
 * @param pattern The pattern, as configs have it.
 * @returns The same for paths without a slash at their start.
 */
export function toRegExp(pattern: string): RegExp {
  return globToRegExp(plainPath(pattern), { extended: false });
}

/**
 * Makes what tells whether patterns mean a path of a tree, whatever it was asked before.
 *
 * @param patterns The patterns.
 * @returns The same for paths without a slash at their start.
 */
export function meantBy(patterns: TreePatterns): (path: string) => boolean {
  const filter = new PathFilter(patterns);
  return (path) => {
    for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
      filter.has(path.slice(0, end));
    }
    return filter.has(path);
  };
}

/**
 * Says patterns as git does, gitglossary(7): its own match no more than a path, and know no braces.
 *
 * @param patterns The patterns; all of the tree is meant if absent.
 * @returns Pathspecs that start at the tree.
 */
export function gitPathspecs({ include = ["."], exclude = [] }: TreePatterns = {}): string[] {
  const said = (magic: string) => (pattern: string) => {
    const path = plainPath(pattern);
    return withoutBraces(path).flatMap((each) => [`:(${magic})${each}`, `:(${magic})${each}/**`]);
  };
  return [
    ...include.flatMap((pattern) => plainPath(pattern) === "" ? ["."] : said("glob")(pattern)),
    ...exclude.flatMap(said("exclude,glob")),
  ];
}

/** `a{b,c}` is `ab` and `ac`. */
function withoutBraces(pattern: string): string[] {
  const found = /^(.*?)\{([^{}]*,[^{}]*)\}(.*)$/.exec(pattern);
  if (!found) return [pattern];
  const [, before = "", choices = "", behind = ""] = found;
  return choices.split(",").flatMap((choice) => withoutBraces(`${before}${choice}${behind}`));
}

function plainPath(pattern: string): string {
  return pattern.split("/").filter((part) => part !== "" && part !== ".").join("/");
}

/**
 * Lists what patterns mean of a tree.
 *
 * @param folder The tree.
 * @param patterns The patterns.
 * @param to Takes the paths, `./` before each and a byte of 0 behind it, sorted; a folder stands
 * before what is in it, and where it has what is meant it is listed too. The first is the tree.
 * @param signal Ends the work.
 * @returns The patterns to include that match nothing.
 * @throws {ToolError} If a folder cannot be read.
 * @throws {InterruptedError} If the signal was aborted.
 */
export async function listPaths(
  folder: string,
  patterns: TreePatterns,
  to: WritableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const filter = new PathFilter(patterns);
  const pipe = joint();
  const sort = ["--zero-terminated", "--buffer-size=16M"];
  await all([
    // The folder itself may be a link.
    mustRun("find", ["-H", folder, "-mindepth", "1", "-printf", "%P\\0"], {
      signal,
      stdout: choosing(filter, pipe.writable),
    }),
    mustRun("sort", sort, { signal, stdin: pipe.readable, stdout: to, env: { LC_ALL: "C" } }),
  ]);
  return (patterns.include ?? []).filter((pattern) => !filter.matched.has(pattern));
}

/** Passes on what is meant of a list of paths, with the folders above it, each once. */
function choosing(filter: PathFilter, to: WritableStream<Uint8Array>): WritableStream<Uint8Array> {
  const writer = to.getWriter();
  const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];
  let pending = new Uint8Array();
  let folders: { readonly path: string; readonly line: Uint8Array }[] = [];
  let chosen: Uint8Array[] = [encoder.encode("./\0")];
  return new WritableStream({
    async write(chunk) {
      const bytes = concat(pending, chunk);
      let start = 0;
      for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, start)) {
        const name = bytes.subarray(start, end);
        const line = concat(encoder.encode("./"), bytes.subarray(start, end + 1));
        start = end + 1;
        // Names need not be Unicode: they are passed on as they are.
        const path = decoder.decode(name);
        folders = folders.filter((folder) => isBelow(path, folder.path));
        if (filter.has(path)) {
          chosen.push(...folders.map((folder) => folder.line), line);
          folders = [];
        } else {
          folders.push({ path, line });
        }
      }
      pending = bytes.slice(start);
      if (chosen.length > 0) await writer.write(concat(...chosen));
      chosen = [];
    },
    async close() {
      if (chosen.length > 0) await writer.write(concat(...chosen));
      await writer.close();
    },
    abort: (reason) => writer.abort(reason),
  });
}
