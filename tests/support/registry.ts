import { delay } from "@std/async/delay";
import { retry } from "@std/async/retry";
import { join } from "@std/path";
import { run } from "./run.ts";
import { tempDir } from "./temp_dir.ts";
import { makeTls, type Tls } from "./tls.ts";

/** Who may use a registry. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** What kind of registry to start. */
export interface RegistryOptions {
  /** Only these may push and pull; anybody, unless told. */
  readonly auth?: Credentials;
  /** Serve HTTPS, with a certificate of a private authority, or with this one. */
  readonly tls?: boolean | Tls;
  /** Take tokens of one who is asked there, and whose certificate the registry's authority signed. */
  readonly tokens?: { readonly realm: string; readonly service: string; readonly issuer: string };
  /** The storage folder; a temporary one, unless told. */
  readonly storage?: string;
  /** Whether manifests may be deleted; they may, unless told. */
  readonly deletes?: boolean;
}

/** A real registry on a port of its own. */
export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, as references have it. */
  readonly host: string;
  /** `http://127.0.0.1:PORT`, or `https:`. */
  readonly url: string;
  /** The storage folder. */
  readonly root: string;
  /** The file of its log, with a line for each request that was answered. */
  readonly log: string;
  readonly auth: Credentials | undefined;
  readonly tls: Tls | undefined;
  /** A request to the registry, with its credentials and its authority; `path` starts at `/v2/`. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** The status that it answers with. */
  statusOf(path: string, init?: RequestInit): Promise<number>;
  /** The flags with which skopeo reaches it: `--tls-verify=false`, or `--src-…` and `--dest-…`. */
  flags(side?: "src" | "dest"): string[];
  /** The file of a blob (a layer, a config, a manifest), to tamper with. */
  blobPath(digest: string): string;
  /** Ends the process; connections are refused from now on. */
  stop(): Promise<void>;
  /** Starts it again, on the same port and storage. */
  start(): Promise<void>;
}

/**
 * Starts a real registry (docker-registry) on 127.0.0.1, with deletes allowed.
 *
 * @param options Credentials, TLS, storage.
 * @returns The registry, ready; `await using` ends it and removes its temporary files.
 *
 * @example Usage
 * ```ts ignore
 * await using registry = await startRegistry({ auth: { user: "ann", password: "secret" } });
 * const catalog = await (await registry.fetch("/v2/_catalog")).json();
 * ```
 */
export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  await using resources = new AsyncDisposableStack();
  const dir = resources.use(await tempDir());
  const root = options.storage ?? dir.join("storage");
  const tls = options.tls === true ? await makeTls(dir.path) : options.tls || undefined;
  const config = {
    version: 0.1,
    log: { accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: root },
      delete: { enabled: options.deletes ?? true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { secret: "stowage", ...(tls && { tls: { certificate: tls.cert, key: tls.key } }) },
    ...(options.auth && {
      auth: { htpasswd: { realm: "stowage", path: await htpasswd(dir.path, options.auth) } },
    }),
    ...(options.tokens && { auth: { token: { ...options.tokens, rootcertbundle: tls?.ca } } }),
  };
  await Deno.writeTextFile(dir.join("config.yml"), JSON.stringify(config));

  const server = resources.use(new Server(dir.path));
  await server.start();
  const host = server.address;
  const url = `${tls ? "https" : "http"}://${host}`;
  const owned = resources.move();
  const ca = tls && await Deno.readTextFile(tls.ca);
  let client = makeClient();

  function makeClient(): Deno.HttpClient {
    return Deno.createHttpClient(ca ? { caCerts: [ca] } : {});
  }

  const ask = (path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (options.auth) headers.set("authorization", basic(options.auth));
    return fetch(new URL(path, url), { ...init, headers, client });
  };
  return {
    host,
    url,
    root,
    log: server.log,
    auth: options.auth,
    tls,
    fetch: ask,
    async statusOf(path, init) {
      const { status, body } = await ask(path, init);
      await body?.cancel();
      return status;
    },
    flags(side) {
      const prefix = side ? `--${side}-` : "--";
      return [
        tls ? `${prefix}cert-dir=${tls.certDir}` : `${prefix}tls-verify=false`,
        ...(options.auth ? [`${prefix}creds=${options.auth.user}:${options.auth.password}`] : []),
      ];
    },
    blobPath(digest) {
      const hex = digest.replace("sha256:", "");
      return join(root, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
    },
    async stop() {
      client.close();
      client = makeClient();
      await server.stop();
    },
    start: () => server.start(),
    async [Symbol.asyncDispose]() {
      client.close();
      await owned.disposeAsync();
    },
  };
}

/** The process. It logs to a file, so that nothing of it is under way in a test that it outlives. */
class Server implements AsyncDisposable {
  address = "127.0.0.1:0";
  readonly log: string;
  readonly #config: string;
  #child: Deno.ChildProcess | undefined;

  constructor(dir: string) {
    this.#config = join(dir, "config.yml");
    this.log = join(dir, "registry.log");
  }

  async start(): Promise<void> {
    if (this.#child) return;
    await retry(() => this.#launch(), { maxAttempts: 5, minTimeout: 20 });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    try {
      child.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended by itself.
    }
    await child.status;
  }

  async #launch(): Promise<void> {
    await Deno.writeTextFile(this.log, "");
    const child = new Deno.Command("sh", {
      args: ["-c", 'exec docker-registry serve "$0" 2>>"$1"', this.#config, this.log],
      env: { REGISTRY_HTTP_ADDR: this.address },
      stdin: "null",
      stdout: "null",
    }).spawn();
    let ended = false;
    child.status.then(() => ended = true);
    for (;;) {
      const stopped = ended;
      const log = await Deno.readTextFile(this.log);
      const address = /listening on (127\.0\.0\.1:\d+)/.exec(log)?.[1];
      if (stopped) throw new Error(`"docker-registry" did not start: ${log}`);
      if (address) {
        this.address = address;
        this.#child = child;
        return;
      }
      await delay(2);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

async function htpasswd(dir: string, { user, password }: Credentials): Promise<string> {
  const path = join(dir, "htpasswd");
  await Deno.writeTextFile(path, await run("htpasswd", ["-nbB", "-C", "4", user, password]));
  return path;
}

function basic({ user, password }: Credentials): string {
  return `Basic ${btoa(`${user}:${password}`)}`;
}
