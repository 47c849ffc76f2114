/** What is used of `@std/path`, from npm, typed; these scripts run on POSIX systems only. */
import * as basenames from "deno-std/path/posix/basename.js";
import * as dirnames from "deno-std/path/posix/dirname.js";
import * as extnames from "deno-std/path/posix/extname.js";
import * as fromFileUrls from "deno-std/path/posix/from_file_url.js";
import * as absolutes from "deno-std/path/posix/is_absolute.js";
import * as joins from "deno-std/path/posix/join.js";
import * as relatives from "deno-std/path/posix/relative.js";
import * as resolves from "deno-std/path/posix/resolve.js";
import * as toFileUrls from "deno-std/path/posix/to_file_url.js";

type Path = string | URL;

export const basename: (path: Path, suffix?: string) => string = basenames.basename;
export const dirname: (path: Path) => string = dirnames.dirname;
export const extname: (path: Path) => string = extnames.extname;
export const fromFileUrl: (url: Path) => string = fromFileUrls.fromFileUrl;
export const isAbsolute: (path: string) => boolean = absolutes.isAbsolute;
export const join: (path: Path, ...paths: string[]) => string = joins.join;
export const relative: (from: string, to: string) => string = relatives.relative;
export const toFileUrl: (path: string) => URL = toFileUrls.toFileUrl;

/** Where it has to ask for the current folder itself, it has Deno load what Node has of processes. */
export function resolve(...paths: string[]): string {
  return paths.some(isAbsolute)
    ? resolves.resolve(...paths)
    : resolves.resolve(Deno.cwd(), ...paths);
}
