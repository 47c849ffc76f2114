import type { Credentials } from "./auth_file.ts";
import type { Challenge } from "./challenge.ts";
import { findCredentials } from "./credentials.ts";
import { Unserved } from "./errors.ts";
import type { Scheme, Site } from "./site.ts";
import { formatBasic, requestToken, type Token } from "./tokens.ts";
import type { Requester } from "./requester.ts";

/** What logins work with. */
export interface LoginOptions {
  /** Sends requests for tokens. */
  readonly requester: Requester;
  /** Reads `credential-helpers` of registries.conf. */
  readonly helpers: () => Promise<readonly string[]>;
  /** Ends requests and helpers. */
  readonly signal: AbortSignal;
  /** Milliseconds after which a helper that has not ended has failed. */
  readonly stallTimeout: number;
}

/** Logs in at registries, and remembers how. */
export class Logins {
  readonly #challenges = new Map<string, Challenge>();
  readonly #credentials = new Map<string, Promise<Credentials | undefined>>();
  readonly #tokens = new Map<string, Promise<Token>>();

  /**
   * @param options What it works with.
   */
  constructor(private readonly options: LoginOptions) {}

  /**
   * Remembers how a registry wants to be logged in at.
   *
   * @param site A repository of it.
   * @param scheme The protocol that it is reached by.
   * @param challenges What it offers; the first that is known here counts, as for skopeo.
   * @throws {Unserved} If none is.
   */
  learn(site: Site, scheme: Scheme, challenges: readonly Challenge[]): void {
    const known = challenges.find((each) => ["basic", "bearer"].includes(each.scheme));
    if (!known) throw new Unserved(`"${site.host}" asks for a login of another kind`);
    this.#challenges.set(`${scheme}://${site.host}`, known);
  }

  /**
   * Makes what a request shows to a registry.
   *
   * @param site The repository that it is for.
   * @param scheme The protocol that the registry is reached by.
   * @param refused What did not do, such as a token that has expired.
   * @returns The `Authorization` header, or `undefined` if the registry has not asked for one.
   * @throws {RegistryError} If a server of tokens fails.
   * @throws {Unserved} If there is nothing else to show.
   */
  async authorize(site: Site, scheme: Scheme, refused?: string): Promise<string | undefined> {
    const challenge = this.#challenges.get(`${scheme}://${site.host}`);
    if (!challenge) return undefined;
    if (challenge.scheme === "basic") {
      const credentials = await this.#find(site);
      if (!credentials?.user || refused?.startsWith("Basic ")) throw denied(site);
      return formatBasic(credentials);
    }
    const key = JSON.stringify([scheme, site.host, scopesOf(site), site.authFile]);
    const old = this.#tokens.get(key);
    const known = await old;
    if (known && known.expires > performance.now() && formatBearer(known) !== refused) {
      return formatBearer(known);
    }
    if (this.#tokens.get(key) === old) this.#tokens.delete(key);
    return formatBearer(await this.#once(key, () => this.#request(site, scheme, challenge)));
  }

  /** Asks for a token, however many requests wait for it. */
  #once(key: string, request: () => Promise<Token>): Promise<Token> {
    const token = this.#tokens.get(key) ?? request();
    this.#tokens.set(key, token);
    token.catch(() => this.#tokens.get(key) === token && this.#tokens.delete(key));
    return token;
  }

  async #request(site: Site, scheme: Scheme, challenge: Challenge): Promise<Token> {
    const { requester, signal } = this.options;
    return await requestToken(requester, {
      identity: site,
      signal,
      challenge,
      scopes: scopesOf(site),
      credentials: await this.#find(site),
      isSecure: scheme === "https",
    });
  }

  #find(site: Site): Promise<Credentials | undefined> {
    const { domain, path, authFile } = site;
    const key = JSON.stringify([domain, path, authFile]);
    const { helpers, signal, stallTimeout } = this.options;
    const found = this.#credentials.get(key) ??
      helpers().then((helpers) =>
        findCredentials(domain, path, { authFile, helpers, signal, stallTimeout })
      );
    this.#credentials.set(key, found);
    return found;
  }
}

function scopesOf({ path, scopes }: Site): readonly string[] {
  return scopes ?? [`repository:${path}:pull`];
}

function formatBearer({ text }: Token): string {
  return `Bearer ${text}`;
}

function denied({ host, path }: Site): Unserved {
  return new Unserved(`"${host}" denies "${path}"`, "denied");
}
