import { basename, dirname, extname, join, resolve, toFileUrl } from "@std/path";
import * as v from "valibot";
import type { Config } from "../../config/mod.ts";
import { readLock } from "../lockfile/lock_file.ts";
import { ConfigFileError, LockError, StowageError } from "../errors/mod.ts";
import type { Lock } from "../graph/lock_schema.ts";

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
 * @param path The file; the first of the usual names in the current folder if absent.
 * @returns The config, whose content `compile()` checks.
 * @throws {ConfigFileError} If there is none, or it cannot be loaded.
 */
export async function loadConfig(path?: string): Promise<LoadedConfig> {
  const file = await findConfig(path);
  const loaded = extname(file) === ".json" ? await loadJson(file) : await loadModule(file);
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
 * @param path The file; the first of the usual names in the current folder if absent.
 * @param onBadLock Takes what is wrong with a lock that can be done without; it is thrown if absent.
 * @returns The config, the folder that its relative paths start from, and its lock.
 * @throws {ConfigFileError} If there is none, or it cannot be loaded.
 * @throws {LockError} If its lock is none.
 */
export async function loadConfigAndLock(
  path?: string,
  onBadLock?: (error: LockError) => void,
): Promise<Omit<LoadedConfig, "lockPath"> & { readonly lock: Lock | undefined }> {
  const { lockPath, ...loaded } = await loadConfig(path);
  try {
    return { ...loaded, lock: await readLock(lockPath) };
  } catch (error) {
    if (!onBadLock || !(error instanceof LockError)) throw error;
    onBadLock(error);
    return { ...loaded, lock: undefined };
  }
}

/**
 * Looks for a config in the current folder.
 *
 * @returns Whether there is one of the usual names.
 */
export async function hasConfig(): Promise<boolean> {
  return await findHere() !== undefined;
}

/**
 * Finds the lock of a config: `images.lock.json` beside `images.config.ts`.
 *
 * @param path The config's file; the first of the usual names in the current folder if absent.
 * @returns Where the lock is, there or not.
 * @throws {ConfigFileError} If there is no config.
 */
export async function findLock(path?: string): Promise<string> {
  return lockOf(await findConfig(path));
}

function lockOf(file: string): string {
  const stem = basename(file, extname(file)).replace(/\.config$/, "");
  return join(dirname(file), `${stem}.lock.json`);
}

/** What is in it is for `compile()` to say. */
const ObjectSchema = v.custom<Config>((value) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
);

async function findConfig(path: string | undefined): Promise<string> {
  if (path !== undefined) {
    const file = resolve(path);
    if (await isFile(file)) return file;
    throw new ConfigFileError(`Cannot find the config "${file}"`);
  }
  const file = await findHere();
  if (file !== undefined) return file;
  throw new ConfigFileError(`Cannot find a config in "${Deno.cwd()}"`, {
    hint: `name it ${NAMES[0]}, or say where it is with --config`,
  });
}

async function findHere(): Promise<string | undefined> {
  for (const name of NAMES) {
    const file = join(Deno.cwd(), name);
    if (await isFile(file)) return file;
  }
  return undefined;
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

async function loadJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await Deno.readTextFile(file));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigFileError(`Cannot read the config "${file}": ${why}`, { cause });
  }
}

async function loadModule(file: string): Promise<unknown> {
  try {
    const module: Record<string, unknown> = await import(toFileUrl(file).href);
    return module["default"];
  } catch (cause) {
    if (cause instanceof StowageError) throw cause; // a config may compile itself
    const why = cause instanceof Error ? cause.message : String(cause);
    const isUnmapped = /"@?stowage.*(not a dependency|not prefixed with|import map)/i.test(why);
    throw new ConfigFileError(`Cannot load the config "${file}": ${why}`, {
      cause,
      hint: isUnmapped
        ? 'map "@stowage/stowage" in your deno.json (deno add jsr:@stowage/stowage), or use ' +
          "images.config.json"
        : undefined,
    });
  }
}
