import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as requestHttp,
  type ServerResponse,
} from "node:http";
import { request as requestHttps } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { claimedLength, type Fault, spoil } from "./fault.ts";
import type { Registry } from "./registry.ts";

/** A request that the proxy saw, and how it was answered. */
export interface ProxyRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** 0 until there is an answer. */
  readonly status: number;
  /** What was sent of the body. */
  readonly bytes: number;
}

/** A fault, and the requests that it befalls. */
export interface Rule {
  /** A pattern on `METHOD /path?query`, or a function. */
  readonly match: RegExp | ((request: ProxyRequest) => boolean);
  /** How often; always, unless told. */
  readonly times?: number;
  readonly fault: Fault;
}

/** A proxy in front of a registry. */
export interface FaultProxy extends AsyncDisposable {
  /** `127.0.0.1:PORT`, to be used in a reference in place of the registry's. */
  readonly host: string;
  /** The first one that matches counts. Add and remove them at any time. */
  readonly rules: Rule[];
  /** All requests so far, in order. */
  readonly requests: readonly ProxyRequest[];
}

/**
 * Starts an HTTP proxy that spoils what a registry answers. Start it in the test that uses it.
 *
 * @param registry Where requests go.
 * @param rules What goes wrong; nothing, unless told.
 * @returns The proxy; `await using` ends it, with all its connections.
 *
 * @example Usage
 * ```ts ignore
 * await using proxy = await startFaultProxy(registry, [
 *   { match: /^GET .*\/blobs\//, times: 1, fault: { cutAfter: 1000 } },
 * ]);
 * ```
 */
export async function startFaultProxy(
  registry: Pick<Registry, "host" | "tls">,
  rules: readonly Rule[] = [],
): Promise<FaultProxy> {
  const forward = await forwarder(registry);
  const book = new RuleBook(rules);
  const requests: ProxyRequest[] = [];
  const sockets = new Set<Socket>();

  const server = createServer((request, response) => {
    const { method = "", url: path = "" } = request;
    const headers = request.headers as Record<string, string>;
    const seen = { method, path, headers, status: 0, bytes: 0 };
    requests.push(seen);
    answer({ request, response, seen, fault: book.take(seen), forward })
      .catch(() => request.socket.destroy());
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    rules: book.rules,
    requests,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** The rules, and how often each was used. */
class RuleBook {
  readonly rules: Rule[];
  readonly #uses = new Map<Rule, number>();

  constructor(rules: readonly Rule[]) {
    this.rules = [...rules];
  }

  take(request: ProxyRequest): Fault | undefined {
    const line = `${request.method} ${request.path}`;
    const rule = this.rules.find((rule) =>
      this.#used(rule) < (rule.times ?? Infinity) &&
      (rule.match instanceof RegExp ? rule.match.test(line) : rule.match(request))
    );
    if (rule) this.#uses.set(rule, this.#used(rule) + 1);
    return rule?.fault;
  }

  #used(rule: Rule): number {
    return this.#uses.get(rule) ?? 0;
  }
}

type Forward = (request: IncomingMessage, signal: AbortSignal) => Promise<IncomingMessage>;

async function forwarder({ host, tls }: Pick<Registry, "host" | "tls">): Promise<Forward> {
  const ca = tls && await Deno.readTextFile(tls.ca);
  const [hostname, port] = host.split(":");
  return (request, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const { method, url: path } = request;
    const headers = { ...request.headers, "x-forwarded-proto": "http" };
    const target = { hostname, port, method, path, headers, signal, agent: false as const };
    const upstream = ca ? requestHttps({ ...target, ca }) : requestHttp(target);
    upstream.on("response", resolve).on("error", reject);
    request.pipe(upstream);
    return promise;
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly seen: { -readonly [K in keyof ProxyRequest]: ProxyRequest[K] };
  readonly fault: Fault | undefined;
  readonly forward: Forward;
}

async function answer(exchange: Exchange): Promise<void> {
  const { request, response, seen, fault, forward } = exchange;
  if (fault === "hang") return;
  if (fault === "refuse") return void request.socket.destroy();
  if (fault === "reset") return void request.socket.resetAndDestroy();
  if (fault && "status" in fault) {
    request.resume();
    seen.status = fault.status;
    seen.bytes = fault.body?.length ?? 0;
    return void response.writeHead(fault.status, fault.headers).end(fault.body);
  }

  const closing = new AbortController();
  const { signal } = closing;
  response.on("close", () => closing.abort());
  const upstream = await forward(request, signal);
  seen.status = upstream.statusCode ?? 0;
  const { connection: _, "content-length": length, ...headers } = upstream.headers;
  response.writeHead(seen.status, {
    ...headers,
    ...(length && { "content-length": claimedLength(Number(length), fault) }),
  });
  response.flushHeaders();
  if (request.method === "HEAD") return void response.end();
  for await (const chunk of spoil(upstream, fault, signal)) {
    await write(response, chunk, signal);
    seen.bytes += chunk.length;
  }
  const drop = typeof fault === "object" && ("cutAfter" in fault || "wrongLength" in fault);
  if (drop) request.socket.destroy();
  else response.end();
}

/** Writes a chunk, and waits until it has left: a slow client slows the registry down. */
async function write(
  response: ServerResponse,
  chunk: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  response.write(chunk, (error) => error ? reject(error) : resolve());
  await promise.finally(() => signal.removeEventListener("abort", abort));
}
