import { InterruptedError } from "../../errors/mod.ts";
import type { Patience } from "../../lib/async/pace.ts";
import { stalled, watchBody } from "./body.ts";
import { NoRegistry, OddCertificate, Refused, TlsAlert, TlsClosed, Unserved } from "./errors.ts";
import type { HostGate } from "./host_gate.ts";
import type { HttpClients, Identity } from "./http_clients.ts";
import { explainNetworkError, through } from "./network_error.ts";
import type { Proxy } from "./proxy.ts";
import { readRetryAfter } from "./retry_after.ts";
import type { RequestCounter, RequestKind } from "./requests.ts";

/** One request. */
export interface HttpRequest {
  /** What it is for. */
  readonly kind: RequestKind;
  /** Its method; `GET` if absent. */
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Where it goes first. */
  readonly url: URL;
  /** Its headers, but for `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Shown to the host of `url` only. */
  readonly authorization?: string | undefined;
  /** A form to send; redirects are not followed with it. */
  readonly form?: URLSearchParams;
  /** Bytes to send, made anew for each try; `onChunk` is told of each piece that leaves. */
  readonly body?: (onChunk: () => void) => Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
  /** Whose certificates count. */
  readonly identity: Identity;
  /** Ends it, with the body of the answer. */
  readonly signal: AbortSignal;
}

/** What was answered. */
export interface HttpAnswer {
  /** The status. */
  readonly status: number;
  /** The headers; a host chose them. */
  readonly headers: Headers;
  /** The body; it has to be read to its end or cancelled. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The host that answered, after redirects. */
  readonly host: string;
  /** Whether that is the one that was asked. */
  readonly isSameHost: boolean;
  /** The proxy that it came through. */
  readonly proxy: Proxy | undefined;
  /** Whether the host may be asked again: it has not asked twice for longer than is waited. */
  readonly isPatient: boolean;
}

const MAX_HOPS = 10;
/** What `fetch`, or Go, would decode; other words, such as `aws-chunked`, are left from an upload. */
const ENCODED = /\b(?:gzip|br|deflate|zstd|compress)\b/i;
const REDIRECTS = [301, 302, 303, 307, 308];

/** Sends requests, and follows redirects. */
export class Requester {
  /**
   * @param clients The connections.
   * @param gate Holds back what goes to a host that asked for it.
   * @param counter Counts what is sent.
   * @param patience How slow a host may be.
   */
  constructor(
    private readonly clients: HttpClients,
    private readonly gate: HostGate,
    private readonly counter: RequestCounter,
    readonly patience: Patience,
  ) {}

  /**
   * Sends a request.
   *
   * @param request The request.
   * @returns The answer, whatever its status.
   * @throws {RegistryError} If the host cannot be reached, says nothing, or redirects to where it is
   * not safe.
   * @throws {Unserved} If it is reached in a way that is not known here.
   * @throws {InterruptedError} If the signal is aborted.
   */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    let { url } = request;
    for (let hop = 0; hop <= MAX_HOPS; hop++) {
      const answer = await this.#sendOnce(request, url, hop);
      const location = REDIRECTS.includes(answer.status) && answer.headers.get("location");
      // What is written belongs to who was asked.
      const isRead = ["GET", "HEAD"].includes(request.method ?? "GET") || request.form;
      if (!location || !isRead) return answer;
      await answer.body.cancel();
      if (request.form) throw new Refused(`"${url.host}" redirects a login`);
      url = follow(url, location);
    }
    throw new NoRegistry(request.url.host, `redirects more than ${MAX_HOPS} times`);
  }

  async #sendOnce(
    request: HttpRequest,
    url: URL,
    hop: number,
    tried = 0,
  ): Promise<HttpAnswer> {
    const { kind, method = "GET", headers, authorization, form, identity, signal } = request;
    await this.gate.wait(url.host, signal);
    const { client, proxy } = await this.clients.get(url, identity);
    const isSameHost = url.origin === request.url.origin;
    this.counter.add(hop === 0 ? kind : "redirects");
    const { patience } = this;
    const late = new AbortController();
    const either = AbortSignal.any([signal, late.signal]);
    const { answersWithin = Infinity } = identity;
    // What ends an upload may take long: a registry may copy all of it then.
    const isQuestion = !["PUT", "PATCH"].includes(method);
    const stallTimeout = isQuestion
      ? Math.min(patience.stallTimeout, answersWithin)
      : patience.stallTimeout;
    const giveUp = () => setTimeout(() => late.abort(), stallTimeout);
    let timer: ReturnType<typeof giveUp> | undefined = giveUp();
    const onChunk = () => {
      if (timer === undefined) return;
      clearTimeout(timer);
      timer = giveUp();
    };
    const from = `"${url.host}"${through(proxy)}`;
    try {
      const response = await client.fetch(url, {
        method,
        signal: either,
        body: form ?? request.body?.(onChunk) ?? null,
        headers: {
          ...headers,
          // A compressed answer would be neither the bytes nor the ranges that were asked for.
          "accept-encoding": "identity",
          "user-agent": "stowage",
          ...authorization && isSameHost && { authorization },
        },
      });
      const { status, headers: answered } = response;
      const pause = [429, 503].includes(status) ? readRetryAfter(answered) : undefined;
      const isPatient = pause === undefined || this.gate.pause(url.host, pause);
      const body = watchBody(response, { from, signal, patience });
      if (ENCODED.test(answered.get("content-encoding") ?? "")) {
        await body.cancel();
        throw new Unserved(`"${url.host}" encodes what it was asked for as it is`);
      }
      return { status, headers: answered, body, host: url.host, isSameHost, proxy, isPatient };
    } catch (error) {
      if (signal.aborted) throw new InterruptedError(signal.reason);
      if (error instanceof Unserved) throw error;
      if (late.signal.aborted) throw stalled(from, { stallTimeout }, answersWithin === Infinity);
      const failure = await explainNetworkError(error, url, proxy, either);
      const isEnded = failure instanceof TlsAlert || failure instanceof TlsClosed;
      const isOther = isEnded && await this.clients.showNext(url, identity, tried);
      if (isOther) return await this.#sendOnce(request, url, hop, tried + 1);
      const isForNode = failure instanceof OddCertificate &&
        await this.clients.leaveToNode(url, identity);
      if (!isForNode) throw failure;
      return await this.#sendOnce(request, url, hop, tried).catch((error) => {
        throw error instanceof Unserved ? failure : error;
      });
    } finally {
      clearTimeout(timer);
      timer = undefined;
    }
  }
}

function follow(from: URL, location: string): URL {
  const to = URL.canParse(location, from) ? new URL(location, from) : undefined;
  const isSafe = to?.protocol === "https:" ||
    (to?.protocol === "http:" && from.protocol === to.protocol);
  if (!to || !isSafe) throw new Refused(`"${from.host}" redirects to what is not safe`);
  // fetch would refuse them; they would be a way to send what looks like a login.
  if (to.username || to.password) throw new Refused(`"${from.host}" redirects with a login`);
  return to;
}
