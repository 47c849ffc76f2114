import * as v from "valibot";
import { ofOddFile, readIfThere } from "../../lib/fs/outside_file.ts";
import { Unserved } from "./errors.ts";

/** Who logs in. */
export interface Credentials {
  /** The user; empty where there is only a token. */
  readonly user: string;
  /** The password. */
  readonly password: string;
  /** What an OAuth server gives tokens for, instead of a password. */
  readonly identityToken?: string;
}

/** A file with credentials. */
export interface AuthFile {
  /** Its path. */
  readonly path: string;
  /** Whether it is docker's old one, with the entries at its top and URLs for names. */
  readonly isLegacy?: boolean;
}

/** What a file says of a registry: who logs in, or the helper that knows it. */
export type AuthEntry = { readonly helper: string } | { readonly credentials: Credentials };

const Auths = v.record(
  v.string(),
  v.nullish(
    v.object({ auth: v.nullish(v.string()), identitytoken: v.nullish(v.string()) }),
    () => ({}),
  ),
);
const AuthJson = v.object({
  auths: v.nullish(Auths),
  credHelpers: v.nullish(v.record(v.string(), v.nullish(v.string(), ""))),
  credsStore: v.fallback(v.nullish(v.pipe(v.string(), v.regex(/^[\w.-]{1,64}$/))), undefined),
});

/**
 * Looks a repository up in a file of containers-auth.json(5) or of docker.
 *
 * @param file The file; one that is not there has nothing.
 * @param domain The registry's host with its port.
 * @param path Path of the repository.
 * @returns The entry that fits best, or `undefined`.
 * @throws {Unserved} If the file cannot be read; the message has nothing of what is in it.
 */
export async function findInAuthFile(
  file: AuthFile,
  domain: string,
  path: string,
): Promise<AuthEntry | undefined> {
  const { auths, credHelpers } = await read(file);
  const helper = Object.hasOwn(credHelpers, domain) ? credHelpers[domain] : undefined;
  if (helper) return { helper };
  const exact = keysOf(domain, path, file.isLegacy).find((key) => Object.hasOwn(auths, key));
  const key = exact ??
    Object.keys(auths).find((key) => normalizeKey(key, file.isLegacy) === normalizeHost(domain));
  const entry = key === undefined ? undefined : auths[key];
  const credentials = entry && decode(entry, file.path);
  return credentials && { credentials };
}

/**
 * Reads docker's `credsStore` of a file.
 *
 * @param file The file; one that is not there has nothing.
 * @returns The name of the helper that keeps all logins.
 * @throws {Unserved} If the file cannot be read; the message has nothing of what is in it.
 */
export async function findCredsStore(file: AuthFile): Promise<string | undefined> {
  return (await read(file)).credsStore;
}

interface Read {
  readonly auths: v.InferOutput<typeof Auths>;
  readonly credHelpers: Readonly<Record<string, string>>;
  readonly credsStore?: string | undefined;
}

async function read({ path, isLegacy }: AuthFile): Promise<Read> {
  try {
    const bytes = await readIfThere(path);
    if (!bytes) return { auths: {}, credHelpers: {} };
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (isLegacy) return { auths: v.parse(Auths, json), credHelpers: {} };
    const { auths, credHelpers, credsStore } = v.parse(AuthJson, json);
    const known = { auths: auths ?? {}, credHelpers: credHelpers ?? {} };
    return { ...known, credsStore: credsStore ?? undefined };
  } catch (error) {
    throw ofOddFile(path, error) ?? new Unserved(`cannot read the credentials in "${path}"`);
  }
}

/** The names under which a repository may be, the best one first. */
function keysOf(domain: string, path: string, isLegacy = false): string[] {
  if (isLegacy) return [domain];
  const parts = [domain, ...path.split("/")];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
}

function normalizeKey(key: string, isLegacy = false): string {
  const bare = key.replace(/^http:\/\//, "").replace(/^https:\/\//, "");
  return normalizeHost(isLegacy || bare !== key ? bare.split("/")[0] ?? "" : bare);
}

function normalizeHost(host: string): string {
  return ["docker.io", "registry-1.docker.io"].includes(host) ? "index.docker.io" : host;
}

/** `docker login` leaves an empty entry where a helper has the password. */
function decode(
  { auth, identitytoken }: v.InferOutput<typeof Auths>[string],
  path: string,
): Credentials | undefined {
  const text = decodeBase64(auth ?? "", path);
  const colon = text.indexOf(":");
  if (colon < 0) return undefined;
  const password = text.slice(colon + 1).replace(/^\0+|\0+$/g, "");
  const credentials = { user: text.slice(0, colon), password };
  return identitytoken ? { ...credentials, identityToken: identitytoken } : credentials;
}

function decodeBase64(text: string, path: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(text));
  } catch {
    throw new Unserved(`cannot read the credentials in "${path}"`);
  }
}
