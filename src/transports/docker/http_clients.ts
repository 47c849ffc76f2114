import { findCertDir, readCertificates } from "./certificates.ts";
import { Unserved } from "./errors.ts";
import { findProxy, type Proxy } from "./proxy.ts";

/** Whose certificates count for a connection. */
export interface Identity {
  /** The registry's host with its port, as references have it; also for hosts that it redirects to. */
  readonly domain: string;
  /** Folder with certificates, instead of the machine's own for the registry. */
  readonly certDir?: string | undefined;
}

/** How a request is sent. */
export interface HttpWay {
  /** The client. */
  readonly client: Deno.HttpClient;
  /** The proxy that it goes through. */
  readonly proxy: Proxy | undefined;
}

/** The HTTP clients of a run: one for each proxy and set of certificates. They keep connections open. */
export class HttpClients implements Disposable {
  readonly #folders = new Map<string, Promise<string | undefined>>();
  readonly #clients = new Map<string, Promise<Deno.HttpClient>>();
  readonly #open = new Set<Deno.HttpClient>();
  #isDisposed = false;

  /**
   * Gives a client.
   *
   * @param url Where the request goes; certificates are read for `https:` only.
   * @param identity Whose certificates count.
   * @returns The client, which belongs to this object, and its proxy.
   * @throws {Unserved} If there are certificates that cannot be used, or it is not known which proxy
   * is meant.
   */
  async get(url: URL, { domain, certDir }: Identity): Promise<HttpWay> {
    const proxy = findProxy(url);
    const isSecure = url.protocol === "https:";
    const folder = isSecure ? certDir ?? await this.#find(domain) : undefined;
    const key = JSON.stringify([isSecure, folder, proxy]);
    const client = await this.#once(key, async () => {
      if (!isSecure) return this.#make({}, proxy);
      const { caCerts, pair } = await readCertificates(folder);
      return this.#make({ caCerts, ...pair }, proxy);
    });
    return { client, proxy };
  }

  #find(domain: string): Promise<string | undefined> {
    const folder = this.#folders.get(domain) ?? findCertDir(domain);
    this.#folders.set(domain, folder);
    return folder;
  }

  #once(key: string, make: () => Promise<Deno.HttpClient>): Promise<Deno.HttpClient> {
    const client = this.#clients.get(key) ?? make();
    this.#clients.set(key, client);
    return client;
  }

  #make(
    options: Deno.CreateHttpClientOptions | Deno.TlsCertifiedKeyPem,
    proxy: Proxy | undefined,
  ): Deno.HttpClient {
    if (this.#isDisposed) throw new Unserved("the client is closed");
    const { url, login } = proxy ?? {};
    const basicAuth = login && { username: login.user, password: login.password };
    const through = url && { proxy: { url: url.href, ...basicAuth && { basicAuth } } };
    try {
      const client = excluding(proxy ? "" : EVERYTHING, () =>
        // As skopeo: with HTTP/2 all blobs would share one connection, and fail with it.
        Deno.createHttpClient({ http2: false, ...options, ...through }));
      this.#open.add(client);
      return client;
    } catch (error) {
      const why = error instanceof Error ? error.message : "it is not known why";
      throw new Unserved(`cannot use the certificates: ${why}`);
    }
  }

  /** Closes all connections. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const client of this.#open) client.close();
    this.#open.clear();
  }
}

/** As Deno has it, for which `*` stands for names only. */
const EVERYTHING = "*,0.0.0.0/0,::/0";
const NAMES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/**
 * A client takes its proxies from the environment when it is made, and reads it otherwise than Go;
 * what it is told itself counts only where `NO_PROXY` allows it. Nobody else runs in between.
 */
function excluding<Value>(noProxy: string, make: () => Value): Value {
  const { env } = Deno;
  if (!NAMES.some((name) => env.get(name))) return make();
  const before = env.get("NO_PROXY");
  env.set("NO_PROXY", noProxy);
  try {
    return make();
  } finally {
    if (before === undefined) env.delete("NO_PROXY");
    else env.set("NO_PROXY", before);
  }
}
