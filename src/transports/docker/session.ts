import { readChallenges } from "./challenge.ts";
import { NotTls, Refused, Unreachable, Unserved } from "./errors.ts";
import type { Logins } from "./logins.ts";
import type { Scheme, Site } from "./site.ts";
import { explainStatus } from "./status.ts";
import { isSilent } from "./tls_silence.ts";
import type { HttpAnswer, HttpRequest, Requester } from "./requester.ts";

/** A request to a registry. */
export interface RegistryRequest
  extends Pick<HttpRequest, "kind" | "method" | "headers" | "body" | "signal"> {
  /** What is asked for, such as `/v2/acme/app/manifests/1.4`; or a URL that the registry gave. */
  readonly path: string;
}

/** Asks registries: finds out how they are reached, and logs in. */
export class Session {
  readonly #schemes = new Map<string, Promise<Scheme>>();

  /**
   * @param requester Sends requests.
   * @param logins Logs in.
   * @param signal Ends what is not for one request alone.
   */
  constructor(
    private readonly requester: Requester,
    private readonly logins: Logins,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Asks a registry.
   *
   * @param site The repository.
   * @param request What to ask.
   * @returns The answer, whatever its status, but that the registry does not want another login.
   * @throws {RegistryError} If the registry cannot be reached.
   * @throws {Unserved} If it denies it, or is reached in a way that is not known here.
   * @throws {InterruptedError} If a signal is aborted.
   */
  async ask(site: Site, request: RegistryRequest): Promise<HttpAnswer> {
    const scheme = await this.schemeOf(site);
    const { path, ...rest } = request;
    const url = resolve(path, `${scheme}://${site.host}`);
    const send = (authorization: string | undefined) =>
      this.requester.send({
        ...rest,
        url,
        identity: site,
        // Another host, that the registry names, is told nothing.
        authorization: url.host === site.host ? authorization : undefined,
      });
    const shown = await this.logins.authorize(site, scheme);
    const answer = await send(shown);
    // Another host, that it redirects to, is told nothing.
    if (answer.status !== 401 || !answer.isSameHost) return answer;
    await this.#learn(site, scheme, answer);
    const second = await send(await this.logins.authorize(site, scheme, shown));
    if (second.status !== 401) return second;
    throw await explainStatus(second, `"${site.path}"`);
  }

  /**
   * Finds out by which protocol a registry is reached.
   *
   * @param site A repository of it.
   * @returns The protocol.
   * @throws {RegistryError} If the registry cannot be reached.
   */
  async schemeOf(site: Site): Promise<Scheme> {
    return site.isInsecure ? await this.#findScheme(site) : "https";
  }

  /** Some registries say how to log in only where nothing is asked for. */
  async #learn(site: Site, scheme: Scheme, answer: HttpAnswer): Promise<void> {
    const header = answer.headers.get("www-authenticate");
    await answer.body.cancel();
    const challenges = header ?? (await this.#ping(site, scheme)).challenge;
    if (challenges === null) throw new Unserved(`"${site.host}" does not say how to log in`);
    this.logins.learn(site, scheme, readChallenges(challenges));
  }

  #findScheme(site: Site): Promise<Scheme> {
    const scheme = this.#schemes.get(site.host) ?? this.#tryBoth(site);
    this.#schemes.set(site.host, scheme);
    scheme.catch(() => this.#schemes.delete(site.host));
    return scheme;
  }

  /** Where TLS is spoken, whatever its certificate, nothing goes there in clear text. */
  async #tryBoth(site: Site): Promise<Scheme> {
    const url = new URL(`https://${site.host}/v2/`);
    const late = new AbortController();
    const signal = AbortSignal.any([this.signal, late.signal]);
    const { stallTimeout } = this.requester.patience;
    const pinged = this.#ping(site, "https", signal).then(() => "https" as const);
    const silent = isSilent(url, signal, stallTimeout).then((is) => is ? "http" : pinged);
    try {
      if (await Promise.race([pinged, silent]) === "https") return "https";
    } catch (error) {
      const isPlain = error instanceof NotTls || error instanceof Unreachable;
      if (this.signal.aborted || !isPlain) throw error;
    } finally {
      late.abort();
      await Promise.allSettled([pinged, silent]);
    }
    await this.#ping(site, "http");
    return "http";
  }

  async #ping(
    site: Site,
    scheme: Scheme,
    signal = this.signal,
  ): Promise<{ challenge: string | null }> {
    const url = new URL(`${scheme}://${site.host}/v2/`);
    const answer = await this.requester.send({
      kind: "pings",
      url,
      identity: site,
      signal,
    });
    const isRegistry = answer.status === 200 || answer.status === 401;
    if (!isRegistry || !answer.isSameHost) throw await explainStatus(answer, "a registry");
    await answer.body.cancel();
    return { challenge: answer.headers.get("www-authenticate") };
  }
}

/** Behind a proxy that ends TLS, a registry may take itself for one without. */
function resolve(path: string, base: string): URL {
  const own = new URL(base);
  const url = URL.canParse(path, own) ? new URL(path, own) : undefined;
  if (url?.host === own.host) url.protocol = own.protocol;
  if (!url || url.username || url.password || ![own.protocol, "https:"].includes(url.protocol)) {
    throw new Refused(`"${own.host}" asks to upload to where it is not safe`);
  }
  return url;
}
