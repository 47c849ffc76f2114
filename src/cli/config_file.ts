import { basename, dirname, extname, join, resolve } from "@std/path";
import * as v from "valibot";
import type { Config } from "../../config/mod.ts";
import { readLock } from "../lockfile/lock_file.ts";
import { ConfigFileError, LockError } from "../errors/mod.ts";
import type { Lock } from "../graph/lock_schema.ts";
import type { LoadOptions } from "./project/load.ts";
import { foldersUp } from "../lib/fs/folders_up.ts";
import { readOutside } from "../lib/fs/outside_file.ts";

/** A config and where it was found. */
export interface LoadedConfig {
  /** The config, not checked yet. */
  readonly config: Config;
  /** The folder that its relative paths start from. */
  readonly root: string;
  /** Where its lock is, there or not. */
  readonly lockPath: string;
}

const NAMES = [
  "images.config.ts",
  "images.config.js",
  "images.config.mjs",
  "images.config.json",
];

/**
 * Finds and loads the config.
 *
 * @param path The file; the nearest with a usual name, here or in a folder above, if absent.
 * @param options Notes, signal, whether what it imports may be downloaded.
 * @returns The config, whose content `compile()` checks.
 * @throws {ConfigFileError} If there is none, or it cannot be loaded.
 */
export async function loadConfig(path?: string, options: LoadOptions = {}): Promise<LoadedConfig> {
  const file = await findConfig(path);
  const loaded = extname(file) === ".json"
    ? await loadJson(file)
    : await (await import("./project/load.ts")).loadModule(file, options);
  const result = v.safeParse(ObjectSchema, loaded);
  if (!result.success) {
    throw new ConfigFileError(`Cannot use the config "${file}": it holds no object`, {
      hint: "a module has to say `export default defineConfig({ … })`",
    });
  }
  return { config: result.output, root: dirname(file), lockPath: lockOf(file) };
}

/**
 * Finds and loads a config, and the lock that may be beside it.
 *
 * @param path The file; the nearest with a usual name, here or in a folder above, if absent.
 * @param options Notes, signal, whether what it imports may be downloaded.
 * @param onBadLock Takes what is wrong with a lock that can be done without; it is thrown if absent.
 * @returns The config, the folder that its relative paths start from, and its lock.
 * @throws {ConfigFileError} If there is none, or it cannot be loaded.
 * @throws {LockError} If its lock is none.
 */
export async function loadConfigAndLock(
  path?: string,
  options: LoadOptions = {},
  onBadLock?: (error: LockError) => void,
): Promise<Omit<LoadedConfig, "lockPath"> & { readonly lock: Lock | undefined }> {
  const { lockPath, ...loaded } = await loadConfig(path, options);
  try {
    return { ...loaded, lock: await readLock(lockPath) };
  } catch (error) {
    if (!onBadLock || !(error instanceof LockError)) throw error;
    onBadLock(error);
    return { ...loaded, lock: undefined };
  }
}

/**
 * Looks for a config in the current folder and those above it.
 *
 * @returns Whether there is one of the usual names.
 */
export async function hasConfig(): Promise<boolean> {
  return await findNearest() !== undefined;
}

/**
 * Finds the lock of a config: `images.lock.json` beside `images.config.ts`.
 *
 * @param path The config's file; the nearest with a usual name if absent.
 * @returns Where the lock is, there or not.
 * @throws {ConfigFileError} If there is no config.
 */
export async function findLock(path?: string): Promise<string> {
  return lockOf(await findConfig(path));
}

/**
 * Where the lock of a config is.
 *
 * @param file The config's file.
 * @returns The path, there or not.
 */
export function lockOf(file: string): string {
  const stem = basename(file, extname(file)).replace(/\.config$/, "");
  return join(dirname(file), `${stem}.lock.json`);
}

/** What is in it is for `compile()` to say. */
const ObjectSchema = v.custom<Config>((value) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
);

/**
 * Finds the config.
 *
 * @param path The file; the nearest with a usual name, here or in a folder above, if absent.
 * @returns Its path.
 * @throws {ConfigFileError} If there is none.
 */
export async function findConfig(path: string | undefined): Promise<string> {
  if (path !== undefined) {
    const file = resolve(path);
    if (await isFile(file)) return file;
    throw new ConfigFileError(`Cannot find the config "${file}"`);
  }
  const file = await findNearest();
  if (file !== undefined) return file;
  throw new ConfigFileError(`Cannot find a config in "${Deno.cwd()}" or a folder above it`, {
    hint: "`stowage init` begins one here; --config says where another one is",
  });
}

async function findNearest(): Promise<string | undefined> {
  for (const folder of foldersUp(Deno.cwd())) {
    const file = await findIn(folder);
    if (file !== undefined) return file;
  }
  return undefined;
}

/**
 * Looks for a config in a folder.
 *
 * @param folder The folder.
 * @returns Whether there is one of the usual names.
 */
export async function hasConfigIn(folder: string): Promise<boolean> {
  return await findIn(folder) !== undefined;
}

async function findIn(folder: string): Promise<string | undefined> {
  for (const name of NAMES) {
    const file = join(folder, name);
    if (await isFile(file)) return file;
  }
  return undefined;
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

async function loadJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(new TextDecoder().decode(await readOutside(file)));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigFileError(`Cannot read the config "${file}": ${why}`, { cause });
  }
}
