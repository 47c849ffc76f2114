import * as v from "valibot";
import { StowageError } from "../../errors/mod.ts";
import { runProcess } from "../../tools/process.ts";
import type { Credentials } from "./auth_file.ts";
import { RegistryError, Unserved } from "./errors.ts";

const Answer = v.object({ Username: v.string(), Secret: v.string() });
const UNKNOWN = "credentials not found in native keychain";
/** What stands for the user where the secret is an identity token. */
const TOKEN_USER = "<token>";

/** What helpers work with. */
export interface HelperOptions {
  /** Ends the program. */
  readonly signal: AbortSignal;
  /** Milliseconds after which one that has not ended has failed. */
  readonly stallTimeout: number;
}

/**
 * Asks a credential helper, `docker-credential-NAME get`.
 *
 * @param name Its name.
 * @param domain The registry's host with its port.
 * @param options What ends it.
 * @returns Who logs in, or `undefined` if it does not know the registry.
 * @throws {Unserved} If it fails; the message has nothing of what it said.
 * @throws {RegistryError} If it does not end; skopeo would wait for it forever.
 * @throws {InterruptedError} If the signal is aborted.
 */
export async function askCredentialHelper(
  name: string,
  domain: string,
  options: HelperOptions,
): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  if (!/^[\w.-]+$/.test(name)) throw new Unserved(`"${program}" is no name of a program`);
  const { code, stdout } = await run(program, domain, options);
  const text = new TextDecoder().decode(stdout);
  if (code !== 0 && text.trim() === UNKNOWN) return undefined;
  if (code !== 0) throw new Unserved(`"${program}" failed with ${code}`);
  const { Username: user, Secret } = read(program, text);
  if (user === TOKEN_USER) return { user: "", password: "", identityToken: Secret };
  return { user, password: Secret };
}

async function run(program: string, domain: string, { signal, stallTimeout }: HelperOptions) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), stallTimeout);
  try {
    const stdin = new Blob([`${domain}\n`]).stream();
    const either = AbortSignal.any([signal, patience.signal]);
    return await runProcess(program, ["get"], { stdin, signal: either, maxOutput: 64 * 2 ** 10 });
  } catch (error) {
    if (signal.aborted || !(error instanceof StowageError)) throw error;
    if (!patience.signal.aborted) throw new Unserved(error.message);
    const seconds = Math.round(stallTimeout / 1000);
    const message = `"${program}" has not ended after ${seconds} s for "${domain}"`;
    const hint =
      "see why the helper waits (it is told the registry's name), or set authFile under " +
      "registries or on the source";
    throw new RegistryError("stalled", message, { hint });
  } finally {
    clearTimeout(timer);
  }
}

function read(program: string, text: string): v.InferOutput<typeof Answer> {
  try {
    return v.parse(Answer, JSON.parse(text));
  } catch {
    throw new Unserved(`"${program}" says what is no credentials`);
  }
}
