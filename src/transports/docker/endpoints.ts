import { formatReference, parseReference, type Reference } from "../../../config/reference.ts";
import { Unserved } from "./errors.ts";
import type { RegistriesSettings, RegistryEntry } from "./registries_conf.ts";

/** A place where an image may be asked for. */
export interface Endpoint {
  /** The image as it is called there. */
  readonly reference: Reference;
  /** Whether certificates are not checked there, and plain HTTP will do. */
  readonly isInsecure: boolean;
}

/**
 * Lists where an image may be asked for.
 *
 * @param reference The image.
 * @param settings What registries.conf says.
 * @returns The places, in the order in which to ask: mirrors, then the registry itself.
 * @throws {Unserved} If it is blocked, or a mirror's location makes no name of it.
 */
export function findEndpoints(
  reference: Reference,
  { registries }: RegistriesSettings,
): Endpoint[] {
  const entry = findEntry(reference, registries);
  if (!entry) return [{ reference, isInsecure: false }];
  const mirrors = entry.mirror.filter((mirror) => isFor(reference, entry, mirror));
  const endpoints = [...mirrors, entry].map(({ location, insecure }) => ({
    reference: rewrite(reference, entry.prefix, location),
    isInsecure: insecure,
  }));
  const open = endpoints.filter(({ reference }) => !findEntry(reference, registries)?.blocked);
  if (entry.blocked || open.length === 0) {
    throw new Unserved(`registries.conf blocks "${formatReference(reference)}"`);
  }
  return open;
}

/**
 * Says where an image is written: to the registry that its name says, as skopeo does it.
 *
 * @param reference The image.
 * @param settings What registries.conf says.
 * @returns The place; no mirror, and no other location.
 * @throws {Unserved} If it is blocked.
 */
export function findTarget(reference: Reference, { registries }: RegistriesSettings): Endpoint {
  const entry = findEntry(reference, registries);
  if (!entry?.blocked) return { reference, isInsecure: entry?.insecure ?? false };
  throw new Unserved(`registries.conf blocks "${formatReference(reference)}"`);
}

function isFor(
  { digest }: Reference,
  entry: RegistryEntry,
  mirror: RegistryEntry["mirror"][number],
): boolean {
  if (entry["mirror-by-digest-only"]) return digest !== undefined;
  const only = mirror["pull-from-mirror"];
  return only === "digest-only"
    ? digest !== undefined
    : only !== "tag-only" || digest === undefined;
}

function findEntry(
  { domain, path }: Reference,
  registries: RegistriesSettings["registries"],
): RegistryEntry | undefined {
  let best: RegistryEntry | undefined;
  for (const entry of registries.values()) {
    const { prefix } = entry;
    if (matchPrefix(`${domain}/${path}`, prefix) === undefined) continue;
    if (prefix.length > (best?.prefix.length ?? 0)) best = entry;
  }
  return best;
}

/**
 * Matches a name with a prefix of registries.conf.
 *
 * @param name A name with its domain.
 * @param prefix The prefix; `*.` at its front stands for subdomains.
 * @returns How much of the name is the prefix's, or `undefined` if it does not match.
 */
export function matchPrefix(name: string, prefix: string): number | undefined {
  const isWild = prefix.startsWith("*.");
  const part = isWild ? prefix.slice(1) : prefix;
  const start = isWild ? name.indexOf(part) : name.startsWith(part) ? 0 : -1;
  if (start < 0 || name.slice(0, start).includes("/")) return undefined;
  const end = start + part.length;
  return end === name.length || ":/@".includes(name.charAt(end)) ? end : undefined;
}

function rewrite(reference: Reference, prefix: string, location: string): Reference {
  const name = formatReference(reference);
  const length = matchPrefix(name, prefix);
  if (location === "" || length === undefined) return reference;
  const text = location + name.slice(length);
  const rewritten = read(text);
  // What is no whole name would be looked for at docker.io.
  if (!rewritten || formatReference(rewritten) !== text) {
    throw new Unserved(`registries.conf makes "${text}" of "${name}", which is no name`);
  }
  return rewritten;
}

function read(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}
