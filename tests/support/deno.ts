import { fromFileUrl } from "@std/path";

/** This checkout's Deno, with its dependencies. */
const DENO = fromFileUrl(new URL("../../scripts/deno", import.meta.url));

/**
 * How to start a program as the suite itself was started: with its Deno and its dependencies.
 *
 * @param file The program, as a path or a URL.
 * @param args What it is given.
 * @returns The command and its arguments.
 *
 * @example Usage
 * ```ts ignore
 * const told = await run(...denoProgram(import.meta.resolve("./fetch_program.ts"), "app"));
 * ```
 */
export function denoProgram(file: string, ...args: string[]): [string, string[]] {
  const path = file.startsWith("file:") ? fromFileUrl(file) : file;
  return ["sh", [DENO, "run", "--allow-all", "--quiet", path, ...args]];
}

/** What of the environment a program needs to find the dependencies of the suite. */
export function denoEnv(): Record<string, string> {
  const names = ["PATH", "DENO_DIR", "JSR_URL", "STOWAGE_DEPS", "STOWAGE_CACHED_ONLY"];
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
}
