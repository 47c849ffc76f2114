import { dirname, join, toFileUrl } from "@std/path";
import { parse as parseJsonc } from "@std/jsonc/parse";
import * as v from "valibot";
import { foldersUp } from "../../lib/fs/folders_up.ts";
import { readOutside } from "../../lib/fs/outside_file.ts";
import { ConfigFileError } from "../../errors/mod.ts";
import { SDK_NAME, sdkFolder } from "./sdk.ts";

/** The project that a config is part of: what says how its imports resolve. */
export interface Project {
  /** The files that say it: `deno.json` and `package.json` of its folder and those above. */
  readonly files: readonly string[];
  /** The import map of its outermost `deno.json`, which a map on the command line replaces. */
  readonly map: ImportMap;
  /** The folder of that, where a `deno.lock` is. */
  readonly root: string;
  /** Whether it says itself where `@stowage/stowage` is. */
  readonly hasSdk: boolean;
}

/** An import map whose addresses are URLs or specifiers. */
export interface ImportMap {
  /** What names stand for. */
  readonly imports: Imports;
  /** What they stand for in some folders. */
  readonly scopes: Readonly<Record<string, Imports>>;
}

/** Addresses by name; `null` where a name must not be imported. */
export type Imports = Readonly<Record<string, string | null>>;

const ImportsSchema = v.record(v.string(), v.nullable(v.string()));
const MapSchema = v.object({
  imports: v.optional(ImportsSchema, {}),
  scopes: v.optional(v.record(v.string(), ImportsSchema), {}),
});
const DenoJsonSchema = v.object({
  ...MapSchema.entries,
  importMap: v.optional(v.string()),
  workspace: v.optional(v.unknown()),
});
const PackageJsonSchema = v.object({
  dependencies: v.optional(v.record(v.string(), v.unknown()), {}),
  devDependencies: v.optional(v.record(v.string(), v.unknown()), {}),
});

/**
 * Finds the project of a config, as Deno does: the nearest `deno.json`, the workspace that this is
 * in, the nearest `package.json`.
 *
 * @param folder The config's folder.
 * @returns The project; `undefined` if there is none, or it is that of the running stowage itself.
 * @throws {ConfigFileError} If one of its files cannot be read.
 */
export async function findProject(folder: string): Promise<Project | undefined> {
  const found: { file: string; json: v.InferOutput<typeof DenoJsonSchema> }[] = [];
  const packages: { file: string; json: v.InferOutput<typeof PackageJsonSchema> }[] = [];
  for (const at of foldersUp(folder)) {
    for (const name of ["deno.json", "deno.jsonc"]) {
      const file = join(at, name);
      const json = await readFile(file, DenoJsonSchema);
      if (!json) continue;
      if (found.length === 0 || json.workspace !== undefined) found.push({ file, json });
      break;
    }
    const file = join(at, "package.json");
    const json = packages.length === 0 && await readFile(file, PackageJsonSchema);
    if (json) packages.push({ file, json });
  }
  const [own] = found;
  const outer = found.at(-1);
  if (own && dirname(own.file) === sdkFolder()) return undefined;
  if (!outer && packages.length === 0) return undefined;
  const map = outer ? await readMap(outer.file, outer.json) : { imports: {}, scopes: {} };
  const hasSdk = SDK_NAME in map.imports || SDK_NAME in (own?.json.imports ?? {}) ||
    packages.some(({ json }) => SDK_NAME in { ...json.dependencies, ...json.devDependencies });
  const files = [...found, ...packages].map(({ file }) => file);
  return { files, map, root: outer ? dirname(outer.file) : folder, hasSdk };
}

/**
 * Reads an import map.
 *
 * @param url Its URL, which its addresses are relative to.
 * @returns The map, with whole addresses.
 * @throws {ConfigFileError} If it cannot be read.
 */
export async function readImportMap(url: string): Promise<ImportMap> {
  const json = url.startsWith("file:") && await readFile(new URL(url), MapSchema);
  if (json) return wholeMap(url, json);
  throw new ConfigFileError(`Cannot read the import map "${url}"`, {
    hint: `keep it on this disk, or map "${SDK_NAME}" in it`,
  });
}

async function readMap(
  file: string,
  { importMap, ...json }: v.InferOutput<typeof DenoJsonSchema>,
): Promise<ImportMap> {
  const url = toFileUrl(file).href;
  return importMap === undefined
    ? wholeMap(url, json)
    : await readImportMap(new URL(importMap, url).href);
}

function wholeMap(url: string, { imports, scopes }: v.InferOutput<typeof MapSchema>): ImportMap {
  const each = (imports: Imports): Imports =>
    Object.fromEntries(
      Object.entries(imports).flatMap(([name, address]): [string, string | null][] => {
        if (address === null) return [[name, null]];
        const whole = /^\.{0,2}\//.test(address) ? new URL(address, url).href : address;
        // As Deno has it: the name of a package is that of its parts too.
        const scheme = /^(jsr|npm):\/?/.exec(address);
        return !scheme || name.endsWith("/") || `${name}/` in imports
          ? [[name, whole]]
          : [[name, whole], [`${name}/`, `${scheme[1]}:/${address.slice(scheme[0].length)}/`]];
      }),
    );
  return {
    imports: each(imports),
    scopes: Object.fromEntries(
      Object.entries(scopes).map(([scope, imports]) => [new URL(scope, url).href, each(imports)]),
    ),
  };
}

async function readFile<S extends v.GenericSchema>(
  file: string | URL,
  schema: S,
): Promise<v.InferOutput<S> | undefined> {
  let text: string;
  try {
    text = new TextDecoder().decode(await readOutside(file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    throw unreadable(file, error);
  }
  try {
    return v.parse(schema, parseJsonc(text));
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string | URL, cause: unknown): ConfigFileError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ConfigFileError(`Cannot read "${file}": ${why}`, { cause });
}
