/** `@std/path` and `@std/path/posix` from npm, typed; these scripts run on POSIX systems only. */
import * as std from "deno-std/path/posix/mod.js";

export interface ParsedPath {
  root: string;
  dir: string;
  base: string;
  ext: string;
  name: string;
}

export interface GlobOptions {
  extended?: boolean;
  globstar?: boolean;
  caseInsensitive?: boolean;
}

type Path = string | URL;

export const SEPARATOR: "/" = std.SEPARATOR;
export const DELIMITER: ":" = std.DELIMITER;
export const basename: (path: Path, suffix?: string) => string = std.basename;
export const common: (paths: string[]) => string = std.common;
export const dirname: (path: Path) => string = std.dirname;
export const extname: (path: Path) => string = std.extname;
export const format: (path: Partial<ParsedPath>) => string = std.format;
export const fromFileUrl: (url: Path) => string = std.fromFileUrl;
export const globToRegExp: (glob: string, options?: GlobOptions) => RegExp = std.globToRegExp;
export const isAbsolute: (path: string) => boolean = std.isAbsolute;
export const isGlob: (str: string) => boolean = std.isGlob;
export const join: (path: Path, ...paths: string[]) => string = std.join;
export const normalize: (path: Path) => string = std.normalize;
export const parse: (path: string) => ParsedPath = std.parse;
export const relative: (from: string, to: string) => string = std.relative;
export const resolve: (...paths: string[]) => string = std.resolve;
export const toFileUrl: (path: string) => URL = std.toFileUrl;
