import https from "node:https";
import type { IncomingMessage } from "node:http";
import type { HttpClient, HttpInit, HttpResponse } from "./http_clients.ts";

/** Whom a client believes, and what it shows. */
export interface NodeClientOptions {
  /** Authorities; PEM. */
  readonly caCerts: readonly string[];
  /** This machine's own certificate and its key, PEM. */
  readonly pair: { readonly cert: string; readonly key: string } | undefined;
  /** Whether any certificate will do. */
  readonly isInsecure: boolean;
}

/**
 * Sends requests with node's TLS. It takes what Go takes and `fetch` does not: a certificate that is
 * its own authority, as docker's guide makes it; and any, where the config says so.
 */
export class NodeClient implements HttpClient {
  readonly #agent: https.Agent;
  readonly #options: https.RequestOptions;

  /**
   * @param options Whom it believes, and what it shows.
   */
  constructor({ caCerts, pair, isInsecure }: NodeClientOptions) {
    this.#agent = new https.Agent();
    this.#options = {
      agent: this.#agent,
      rejectUnauthorized: !isInsecure,
      ...!isInsecure && { ca: [...caCerts] },
      ...pair,
    };
  }

  /**
   * Sends a request; redirects are not followed.
   *
   * @param url Where it goes.
   * @param init What is sent.
   * @returns The answer.
   */
  async fetch(url: URL, { method, headers, body, signal }: HttpInit): Promise<HttpResponse> {
    const form = body instanceof URLSearchParams
      ? { "content-type": "application/x-www-form-urlencoded;charset=UTF-8" }
      : {};
    const options = { ...this.#options, method, headers: { ...headers, ...form }, signal };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = https.request(url, options, resolve);
    request.on("error", reject);
    if (body instanceof ReadableStream) {
      send(request, body).catch((error) => request.destroy(error));
    } else if (body instanceof Uint8Array) request.end(body);
    else request.end(body?.toString());
    const message = await promise;
    return {
      status: message.statusCode ?? 0,
      headers: readHeaders(message),
      body: bytesOf(message),
    };
  }

  /** Closes all connections. */
  close(): void {
    this.#agent.destroy();
  }
}

async function send(
  request: ReturnType<typeof https.request>,
  body: ReadableStream<Uint8Array>,
): Promise<void> {
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  request.once("close", () => ended.reject(new Error("it has ended")));
  for await (const chunk of body) {
    if (request.write(chunk)) continue;
    const { promise: drained, resolve } = Promise.withResolvers<void>();
    request.once("drain", resolve);
    await Promise.race([drained, ended.promise]);
  }
  request.end();
}

function readHeaders({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  }
  return headers;
}

/** How much may wait for its reader, in bytes. */
const ENOUGH = 8 * 2 ** 20;

/**
 * Reads ahead: Deno's node may miss that a connection is cut while it is paused, which is told by the
 * stall then.
 */
function bytesOf(message: IncomingMessage): ReadableStream<Uint8Array<ArrayBuffer>> {
  const queue: Uint8Array<ArrayBuffer>[] = [];
  let waiting = 0;
  let failure: Error | undefined;
  let isOver = false;
  let wake = () => {};
  const end = (error?: Error) => {
    if (!isOver) failure = error;
    isOver = true;
    wake();
  };
  message.on("data", (chunk: Uint8Array) => {
    queue.push(new Uint8Array(chunk)); // its memory is node's
    waiting += chunk.length;
    if (waiting > ENOUGH) message.pause();
    wake();
  });
  message.once("end", () => end()).on("error", end);
  message.once("close", () => end(new Error("it has ended")));
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      if (queue.length === 0 && !isOver) {
        await new Promise<void>((resolve) => wake = resolve);
      }
      const chunk = queue.shift();
      if (chunk) {
        waiting -= chunk.length;
        if (waiting <= ENOUGH) message.resume();
        return controller.enqueue(chunk);
      }
      if (failure) throw failure;
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel: () => void message.destroy(),
  });
}
