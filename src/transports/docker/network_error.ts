import {
  NotTls,
  OddCertificate,
  type RegistryError,
  TlsAlert,
  TlsClosed,
  Unreachable,
  Unserved,
} from "./errors.ts";
import type { Proxy } from "./proxy.ts";
import { explainRefusal } from "./proxy_refusal.ts";

/** The way to the host is broken. */
const NETWORK =
  /dns error|refused|reset|timed? ?out|unreachable|no route|broken pipe|connection closed|connection error|unexpected eof/i;
const ALERT = /received fatal alert/i;
const CLOSED = /close_notify/;
const UNTRUSTED = /invalid peer certificate/;
const NO_TLS = /corrupt message|InvalidContentType/i;
const TLS = /certificate|corrupt message|received fatal alert|tls|peer is incompatible/i;
const UNKNOWN_NAME = /name or service not known|no address associated|no such host/i;

/** What Deno says of a proxy that does not answer 200 to CONNECT. */
const NO_TUNNEL = /unsuccessful tunnel|proxy authentication required/;

/**
 * Explains why a request got no answer.
 *
 * @param error What `fetch` threw.
 * @param url Where the request went.
 * @param proxy The proxy that it went through.
 * @param signal Ends the explanation.
 * @returns A {@linkcode RegistryError} where the network is to blame, else {@linkcode Unserved}.
 */
export async function explainNetworkError(
  error: unknown,
  url: URL,
  proxy: Proxy | undefined,
  signal: AbortSignal,
): Promise<RegistryError | Unserved> {
  const words = wordsOf(error);
  if (proxy && NO_TUNNEL.test(words)) return await explainRefusal(proxy, url, signal);
  const message = `cannot reach "${url.host}"${through(proxy)}: ${words}`;
  if (NO_TLS.test(words)) return new NotTls(message);
  if (UNTRUSTED.test(words)) return new OddCertificate(message);
  if (CLOSED.test(words)) return new TlsClosed("unreachable", message, { isTransient: true });
  if (ALERT.test(words)) return new TlsAlert(message);
  if (TLS.test(words) || !NETWORK.test(words)) return new Unserved(message);
  return new Unreachable("unreachable", message, { isTransient: !UNKNOWN_NAME.test(words) });
}

/**
 * Names a proxy to a person.
 *
 * @param proxy The proxy, if there is one.
 * @returns Words to follow the name of a host.
 */
export function through(proxy: Proxy | undefined): string {
  return proxy ? ` through the proxy "${proxy.label}"` : "";
}

/** The words of the innermost error, without URLs: those of redirects are secrets. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return "it is not known why";
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message
    .replace(/^error sending request .*?client error \((?:Connect|SendRequest)\): /, "")
    .replace(/\(?https?:\/\/\S+/g, "the URL")
    .replace(/ \(os error \d+\)/, "")
    .replace("Other(OtherError(CaUsedAsEndEntity))", "it is that of an authority (CA:TRUE)");
}
