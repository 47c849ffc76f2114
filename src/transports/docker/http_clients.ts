import { type Certificates, findCertDir, readCertificates } from "./certificates.ts";
import { Unserved } from "./errors.ts";
import { findProxy, type Proxy } from "./proxy.ts";

/** Whose certificates count for a connection. */
export interface Identity {
  /** The registry's host with its port, as references have it; also for hosts that it redirects to. */
  readonly domain: string;
  /** Folder with certificates, instead of the machine's own for the registry. */
  readonly certDir?: string | undefined;
  /** Whether any certificate will do. */
  readonly isInsecure?: boolean;
  /** How long it may take to begin to answer a question, in ms, if it is asked only once. */
  readonly answersWithin?: number;
}

/** What a request is. */
export interface HttpInit {
  /** Its method. */
  readonly method: string;
  /** Its headers. */
  readonly headers: Readonly<Record<string, string>>;
  /** What is sent with it. */
  readonly body: URLSearchParams | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;
  /** Ends it, with the body of the answer. */
  readonly signal: AbortSignal;
}

/** What is answered. */
export interface HttpResponse {
  /** The status. */
  readonly status: number;
  /** The headers. */
  readonly headers: Headers;
  /** Its bytes, if it may have some. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
}

/** Keeps connections open, and sends requests; redirects are not followed. */
export interface HttpClient {
  /** Sends a request. */
  fetch(url: URL, init: HttpInit): Promise<HttpResponse>;
  /** Closes all connections. */
  close(): void;
}

/** How a request is sent. */
export interface HttpWay {
  /** The client. */
  readonly client: HttpClient;
  /** The proxy that it goes through. */
  readonly proxy: Proxy | undefined;
}

/** The HTTP clients of a run: one for each proxy and set of certificates. They keep connections open. */
export class HttpClients implements Disposable {
  readonly #folders = new Map<string, Promise<string | undefined>>();
  readonly #certificates = new Map<string, Promise<Certificates>>();
  readonly #clients = new Map<string, HttpClient>();
  /** Hosts whose certificates Deno's own client does not take. */
  readonly #ofNode = new Set<string>();
  /** Which of this machine's certificates a host is shown. */
  readonly #shown = new Map<string, number>();
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
  async get(url: URL, identity: Identity): Promise<HttpWay> {
    const proxy = await findProxy(url);
    if (url.protocol !== "https:") return { proxy, client: this.#once("http", proxy, () => ({})) };
    const { folder, caCerts, pairs } = await this.#read(identity);
    const name = nameOf(url, folder);
    const shown = this.#shown.get(name) ?? 0;
    const pair = pairs[shown];
    if (this.#ofNode.has(name)) {
      const { NodeClient } = await import("./node_client.ts");
      const { isInsecure = false } = identity;
      const key = JSON.stringify(["node", folder, shown, isInsecure]);
      return {
        proxy,
        client: this.#keep(
          key,
          () => new NodeClient({ caCerts: usable(caCerts), pair, isInsecure }),
        ),
      };
    }
    const client = this.#once(
      JSON.stringify([folder, shown]),
      proxy,
      () => ({ caCerts: usable(caCerts), ...pair }),
    );
    return { proxy, client };
  }

  /**
   * Has node's TLS ask a host from now on, whose certificate was refused: Go may take it.
   *
   * @param url What was asked for there.
   * @param identity Whose certificates count.
   * @returns Whether that is another way; not through a proxy, which is Deno's to find.
   */
  async leaveToNode(url: URL, identity: Identity): Promise<boolean> {
    if (await findProxy(url)) return false;
    const name = nameOf(url, (await this.#read(identity)).folder);
    if (this.#ofNode.has(name)) return false;
    this.#ofNode.add(name);
    return true;
  }

  /**
   * Shows a host another certificate of this machine from now on: Go shows it the first that it asks
   * for, which cannot be seen here.
   *
   * @param url What was asked for there.
   * @param identity Whose certificates count.
   * @param tried How many it was shown for the same request before.
   * @returns Whether there is one that it was not shown.
   */
  async showNext(url: URL, identity: Identity, tried: number): Promise<boolean> {
    const { folder, pairs } = await this.#read(identity);
    if (tried + 1 >= pairs.length) return false;
    const name = nameOf(url, folder);
    this.#shown.set(name, ((this.#shown.get(name) ?? 0) + 1) % pairs.length);
    return true;
  }

  async #read({ domain, certDir }: Identity) {
    const found = this.#folders.get(domain) ?? findCertDir(domain);
    this.#folders.set(domain, found);
    const folder = certDir ?? await found;
    const certificates = this.#certificates.get(folder ?? "") ?? readCertificates(folder);
    this.#certificates.set(folder ?? "", certificates);
    return { folder, ...await certificates };
  }

  #once(key: string, proxy: Proxy | undefined, options: () => ClientOptions): HttpClient {
    return this.#keep(JSON.stringify([key, proxy]), () => this.#make(options, proxy));
  }

  #keep(name: string, make: () => HttpClient): HttpClient {
    if (this.#isDisposed) throw new Unserved("the client is closed");
    const client = this.#clients.get(name) ?? make();
    this.#clients.set(name, client);
    return client;
  }

  #make(options: () => ClientOptions, proxy: Proxy | undefined): HttpClient {
    const { url, login } = proxy ?? {};
    const basicAuth = login && { username: login.user, password: login.password };
    const through = url && { proxy: { url: url.href, ...basicAuth && { basicAuth } } };
    try {
      const client = excluding(proxy ? "" : EVERYTHING, () =>
        // As skopeo: with HTTP/2 all blobs would share one connection, and fail with it.
        Deno.createHttpClient({ http2: false, ...options(), ...through }));
      return {
        fetch: (url, init) => fetch(url, { ...init, redirect: "manual", client }),
        close: () => client.close(),
      };
    } catch (error) {
      const why = error instanceof Error ? error.message : "it is not known why";
      throw new Unserved(`cannot use the certificates: ${why}`);
    }
  }

  /** Closes all connections. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

type ClientOptions = Deno.CreateHttpClientOptions | Deno.TlsCertifiedKeyPem;

function nameOf({ host }: URL, folder: string | undefined): string {
  return JSON.stringify([host, folder]);
}

/** Go passes over certificates that it cannot read, one by one; Deno takes all of them or none. */
function usable(caCerts: readonly string[]): string[] {
  const canUse = (certs: string[]) => {
    try {
      Deno.createHttpClient({ caCerts: certs }).close();
      return true;
    } catch {
      return false;
    }
  };
  if (canUse([...caCerts])) return [...caCerts];
  const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
  return caCerts.flatMap((text) => text.match(BLOCK) ?? []).filter((block) => canUse([block]));
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
