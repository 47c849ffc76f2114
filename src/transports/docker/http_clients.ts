import { findCertDir, readCertificates } from "./certificates.ts";
import { Unserved } from "./errors.ts";
import { isWronglyProxied } from "./proxy.ts";

/** Whose certificates count for a connection. */
export interface Identity {
  /** The registry's host with its port, as references have it; also for hosts that it redirects to. */
  readonly domain: string;
  /** Folder with certificates, instead of the machine's own for the registry. */
  readonly certDir?: string | undefined;
}

/** The HTTP clients of a run: one for each set of certificates. They keep connections open. */
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
   * @returns The client; it belongs to this object.
   * @throws {Unserved} If there are certificates that cannot be used, or a proxy would be used where
   * none is to be.
   */
  async get(url: URL, { domain, certDir }: Identity): Promise<Deno.HttpClient> {
    if (isWronglyProxied(url)) throw new Unserved(`"${url.host}" is not behind the proxy`);
    if (url.protocol !== "https:") return await this.#once("http", () => Promise.resolve({}));
    const folder = certDir ?? await this.#find(domain);
    return await this.#once(`https ${folder ?? ""}`, async () => {
      const { caCerts, pair } = await readCertificates(folder);
      return { caCerts, ...pair };
    });
  }

  #find(domain: string): Promise<string | undefined> {
    const folder = this.#folders.get(domain) ?? findCertDir(domain);
    this.#folders.set(domain, folder);
    return folder;
  }

  #once(
    key: string,
    read: () => Promise<Deno.CreateHttpClientOptions | Deno.TlsCertifiedKeyPem>,
  ): Promise<Deno.HttpClient> {
    const client = this.#clients.get(key) ?? read().then((options) => this.#make(options));
    this.#clients.set(key, client);
    return client;
  }

  #make(options: Deno.CreateHttpClientOptions | Deno.TlsCertifiedKeyPem): Deno.HttpClient {
    if (this.#isDisposed) throw new Unserved("the client is closed");
    try {
      // As skopeo: with HTTP/2 all blobs would share one connection, and fail with it.
      const client = Deno.createHttpClient({ http2: false, ...options });
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
