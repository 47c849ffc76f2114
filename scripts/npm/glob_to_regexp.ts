/** `@std/path/glob-to-regexp` from npm, typed. */
import * as std from "deno-std/path/posix/glob_to_regexp.js";

export interface GlobOptions {
  extended?: boolean;
  globstar?: boolean;
  caseInsensitive?: boolean;
}

export const globToRegExp: (glob: string, options?: GlobOptions) => RegExp = std.globToRegExp;
