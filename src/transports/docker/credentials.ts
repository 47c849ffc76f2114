import { join } from "@std/path";
import type { Reference } from "../../../config/reference.ts";
import { type AuthFile, type Credentials, findCredsStore, findInAuthFile } from "./auth_file.ts";
import { Unserved } from "./errors.ts";
import { homeFolder } from "../../lib/fs/home.ts";

/** What stands for the files among the helpers of registries.conf. */
const FILES = "containers-auth.json";

/** Where credentials are looked for. */
export interface CredentialOptions {
  /** The only file, instead of the machine's own. */
  readonly authFile?: string | undefined;
  /** `credential-helpers` of registries.conf. */
  readonly helpers: readonly string[];
  /** Ends helpers. */
  readonly signal: AbortSignal;
  /** Milliseconds after which a helper that has not ended has failed. */
  readonly stallTimeout: number;
}

/**
 * Finds who logs in at a registry, as containers-auth.json(5) has it.
 *
 * @param domain The registry's host with its port.
 * @param path Path of the repository.
 * @param options Where to look.
 * @returns Who logs in, or `undefined` if nobody does.
 * @throws {Unserved} If a file cannot be read or a helper fails, and nothing else knows it.
 * @throws {RegistryError} If a helper does not end.
 * @throws {InterruptedError} If the signal is aborted.
 */
export async function findCredentials(
  domain: string,
  path: string,
  options: CredentialOptions,
): Promise<Credentials | undefined> {
  const { helpers } = options;
  let failure: Unserved | undefined;
  for (const helper of helpers.length > 0 ? helpers : [FILES]) {
    try {
      const found = helper === FILES
        ? await findInFiles(domain, path, options)
        : await askHelper(helper, domain, options);
      if (found) return found;
    } catch (error) {
      if (!(error instanceof Unserved)) throw error;
      failure ??= error;
    }
  }
  if (failure) throw failure;
  return undefined;
}

/**
 * Finds docker's `credsStore`, which containers-auth.json(5) does not know, where nothing else says
 * who logs in.
 *
 * @param reference An image of the registry.
 * @param authFile The only file with credentials, instead of the machine's own.
 * @returns The file that has it, and the name of the store.
 */
export async function findUnreadStore(
  { domain, path }: Reference,
  authFile: string | undefined,
): Promise<{ readonly path: string; readonly name: string } | undefined> {
  for (const file of await listFiles(authFile)) {
    try {
      if (await findInAuthFile(file, domain, path)) return undefined;
      const name = await findCredsStore(file);
      if (name !== undefined) return { path: file.path, name };
    } catch (error) {
      if (!(error instanceof Unserved)) throw error; // skopeo says what is wrong with it
    }
  }
  return undefined;
}

async function findInFiles(
  domain: string,
  path: string,
  options: CredentialOptions,
): Promise<Credentials | undefined> {
  for (const file of await listFiles(options.authFile)) {
    const entry = await findInAuthFile(file, domain, path);
    const credentials = entry && "helper" in entry
      ? await askHelper(entry.helper, domain, options)
      : entry?.credentials;
    if (credentials) return credentials;
  }
  return undefined;
}

async function listFiles(authFile: string | undefined): Promise<AuthFile[]> {
  const { env } = Deno;
  const only = authFile ?? env.get("REGISTRY_AUTH_FILE");
  if (only) return [{ path: only }];
  const home = await homeFolder();
  const runtime = env.get("XDG_RUNTIME_DIR");
  const ofUser = `/run/containers/${Deno.uid() ?? 0}/auth.json`;
  return [
    { path: runtime ? join(runtime, "containers/auth.json") : ofUser },
    { path: join(env.get("XDG_CONFIG_HOME") || join(home, ".config"), "containers/auth.json") },
    { path: join(env.get("DOCKER_CONFIG") || join(home, ".docker"), "config.json") },
    { path: join(home, ".dockercfg"), isLegacy: true },
  ];
}

/** Programs are rarely needed, so that what starts them is loaded only then. */
async function askHelper(
  name: string,
  domain: string,
  options: CredentialOptions,
): Promise<Credentials | undefined> {
  const { askCredentialHelper } = await import("./credential_helper.ts");
  return await askCredentialHelper(name, domain, options);
}
