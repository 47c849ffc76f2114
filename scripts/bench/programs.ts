import { fromFileUrl } from "@std/path";
import type { Config } from "../../config/mod.ts";
import type { Folder } from "./folder.ts";
import { type Program, runProgram } from "./measure.ts";
import type { Contender } from "./rounds.ts";

const STOWAGE = fromFileUrl(new URL("../stowage", import.meta.url));
const SDK = fromFileUrl(new URL("../sdk.ts", import.meta.url));
/** What {@linkcode emptyModule} is called. */
export const EMPTY_MODULE = "deno run of an empty module";

const WRAPPER = fromFileUrl(new URL("../deno", import.meta.url));

/**
 * Stowage, as a user runs it.
 *
 * @param args Its arguments.
 * @returns The program.
 */
export function stowage(...args: string[]): Program {
  return { path: STOWAGE, args };
}

/**
 * Stowage, as the Debian package installs it: JavaScript that imports no packages.
 *
 * @param dir For what is installed.
 * @returns Makes programs, of their arguments.
 */
export async function installStowage(dir: Folder): Promise<(...args: string[]) => Program> {
  const sdk = dir.join("installed");
  await runProgram({ path: WRAPPER, args: ["run", "-A", "--quiet", SDK, sdk] });
  const flags = [
    "--quiet",
    "--no-config",
    "--no-lock",
    "--unstable-lazy-dynamic-imports",
    "--v8-flags=--max-semi-space-size=1,--no-lazy,--heap-growing-percent=10",
  ];
  const run = ["run", "-A", ...flags, "--import-map", `${sdk}/import_map.json`];
  return (...args) => ({
    path: Deno.execPath(),
    args: [...run, `${sdk}/src/cli/main.js`, ...args],
  });
}

/**
 * A shell script.
 *
 * @param script The script; it ends at the first failure.
 * @param args `$0`, `$1` and so on.
 * @returns The program.
 */
export function shell(script: string, ...args: string[]): Program {
  return { path: "sh", args: ["-euc", script, ...args] };
}

/**
 * The runtime by itself, running a module that does nothing: what no program in it can be below.
 *
 * @param dir For the module.
 * @returns The peer.
 */
export async function emptyModule(dir: Folder): Promise<Contender> {
  return { name: EMPTY_MODULE, run: await denoRun(dir, "empty.ts", "export {};") };
}

/**
 * The runtime by itself, running a module.
 *
 * @param dir For the module.
 * @param name Of its file.
 * @param code What it says.
 * @param args Its arguments.
 * @returns The program.
 */
export async function denoRun(
  dir: Folder,
  name: string,
  code: string,
  ...args: string[]
): Promise<Program> {
  await Deno.writeTextFile(dir.join(name), code);
  return {
    path: Deno.execPath(),
    args: ["run", "-A", "--quiet", "--no-config", "--no-lock", dir.join(name), ...args],
  };
}

/**
 * The runtime by itself, evaluating nothing.
 *
 * @returns The peer.
 */
export function emptyEval(): Contender {
  return {
    name: "deno eval of nothing",
    run: { path: Deno.execPath(), args: ["eval", "--no-config", "--no-lock", "export {};"] },
  };
}

/**
 * A module that does nothing, with the flags that stowage is run with.
 *
 * @param dir The folder that {@linkcode emptyModule} has made it in.
 * @returns The contender.
 */
export function wrappedEmptyModule(dir: Folder): Contender {
  const run = { path: WRAPPER, args: ["run", "-A", "--quiet", dir.join("empty.ts")] };
  return { name: "… through scripts/deno", run };
}

/**
 * Writes a config.
 *
 * @param dir The folder.
 * @param name Of the file.
 * @param config The config.
 * @returns The file's path.
 */
export async function writeConfig(dir: Folder, name: string, config: Config): Promise<string> {
  await Deno.writeTextFile(dir.join(name), JSON.stringify(config));
  return dir.join(name);
}
