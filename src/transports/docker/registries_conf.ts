import { join } from "@std/path";
import * as v from "valibot";
import { codeOf, list } from "../../lib/fs/files.ts";
import { ofOddFile, readOutside } from "../../lib/fs/outside_file.ts";
import { foldKey } from "../../lib/json.ts";
import { Unserved } from "./errors.ts";
import { homeFolder } from "../../lib/fs/home.ts";

const Location = v.pipe(
  v.string(),
  v.transform((text) => text.replace(/\/+$/, "")),
  v.regex(/^(?!https?:\/\/)/),
);
const Mirror = v.object({
  location: v.pipe(Location, v.nonEmpty()),
  insecure: v.optional(v.boolean(), false),
  "pull-from-mirror": v.optional(v.picklist(["", "all", "digest-only", "tag-only"]), ""),
});
const Registry = v.pipe(
  v.object({
    prefix: v.optional(Location, ""),
    location: v.optional(Location, ""),
    insecure: v.optional(v.boolean(), false),
    blocked: v.optional(v.boolean(), false),
    "mirror-by-digest-only": v.optional(v.boolean(), false),
    mirror: v.optional(v.array(Mirror), []),
  }),
  v.transform((registry) => ({ ...registry, prefix: registry.prefix || registry.location })),
  v.check(({ prefix, location }) =>
    prefix.startsWith("*.") ? !/[/@:]/.test(prefix) : location !== ""
  ),
);
const RegistriesConf = v.object({
  registry: v.optional(v.array(Registry), []),
  "credential-helpers": v.optional(v.array(v.string())),
  // Version 1 of the format; it may be there with nothing in it.
  registries: v.optional(
    v.record(v.string(), v.object({ registries: v.pipe(v.array(v.unknown()), v.empty()) })),
  ),
});

type Conf = v.InferOutput<typeof RegistriesConf>;

/** A line that begins a table or a value of the schema; an alias called "registry" is none. */
const RELEVANT =
  /^\s*(?:\[+\s*["']?(?:registry|registries)\b|(?:registry|registries)\s*[=.]|["']?credential-helpers\b)/im;

/** One `[[registry]]` of containers-registries.conf(5). */
export type RegistryEntry = v.InferOutput<typeof Registry>;

/** What registries.conf and its drop-ins say. */
export interface RegistriesSettings {
  /** By prefix; each is there once. */
  readonly registries: ReadonlyMap<string, RegistryEntry>;
  /** Who knows credentials, in order; empty where nothing is said. */
  readonly credentialHelpers: readonly string[];
}

/**
 * Reads containers-registries.conf(5) as skopeo does.
 *
 * @param path The file, instead of the machine's own; drop-ins of the machine are read beside it.
 * @returns What the files say.
 * @throws {Unserved} If one of them cannot be read.
 */
export async function readRegistriesConf(path?: string): Promise<RegistriesSettings> {
  const registries = new Map<string, RegistryEntry>();
  let credentialHelpers: readonly string[] = [];
  for (const file of await listFiles(path)) {
    const conf = await read(file, file === path);
    const own = new Map<string, RegistryEntry>();
    for (const entry of conf.registry) {
      if (!own.has(entry.prefix)) own.set(entry.prefix, entry);
    }
    for (const [prefix, entry] of own) registries.set(prefix, entry);
    credentialHelpers = conf["credential-helpers"] ?? credentialHelpers;
  }
  return { registries, credentialHelpers };
}

async function listFiles(path: string | undefined): Promise<string[]> {
  const [user, system] = [join(await homeFolder(), ".config/containers"), "/etc/containers"];
  const ofUser = join(user, "registries.conf");
  const isUsers = path === undefined && await Deno.stat(ofUser).then(() => true, () => false);
  const folders = isUsers ? [user] : [system, user];
  const dropIns = await Promise.all(folders.map(async (folder) => {
    const names = await listConf(join(folder, "registries.conf.d"));
    return names.map((name) => join(folder, "registries.conf.d", name));
  }));
  return [path ?? (isUsers ? ofUser : join(system, "registries.conf")), ...dropIns.flat()];
}

async function listConf(folder: string): Promise<string[]> {
  try {
    return (await list(folder)).filter((name) => name.endsWith(".conf")).sort();
  } catch {
    throw new Unserved(`cannot read the folder "${folder}"`);
  }
}

async function read(path: string, isNeeded: boolean): Promise<Conf> {
  try {
    const text = new TextDecoder().decode(await readOutside(path));
    // Most files say nothing of this, and the parser takes longer to load than a request.
    if (!RELEVANT.test(text)) return v.parse(RegistriesConf, {});
    const { parse } = await import("@std/toml/parse");
    return v.parse(RegistriesConf, foldKeys(parse(text)));
  } catch (error) {
    if (codeOf(error) === "ENOENT" && !isNeeded) return v.parse(RegistriesConf, {});
    throw ofOddFile(path, error) ?? new Unserved(`cannot use "${path}"`);
  }
}

/** Go takes `Blocked` for `blocked`. */
function foldKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(foldKeys);
  if (typeof value !== "object" || value === null) return value;
  const folded = new Map(
    Object.entries(value).map(([key, item]) => [foldKey(key), foldKeys(item)] as const),
  );
  if (folded.size === Object.keys(value).length) return Object.fromEntries(folded);
  throw new TypeError("Cannot read keys that differ by case only");
}
