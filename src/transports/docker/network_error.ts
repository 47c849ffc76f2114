import { NotTls, type RegistryError, Unreachable, Unserved } from "./errors.ts";

/** The way to the host is broken. */
const NETWORK =
  /dns error|refused|reset|timed? ?out|unreachable|no route|broken pipe|connection closed|connection error|unexpected eof/i;
const NO_TLS = /corrupt message|InvalidContentType/i;
const TLS = /certificate|corrupt message|received fatal alert|tls|peer is incompatible/i;
const UNKNOWN_NAME = /name or service not known|no address associated|no such host/i;

/**
 * Explains why a request got no answer.
 *
 * @param error What `fetch` threw.
 * @param host The host that was asked.
 * @returns A {@linkcode RegistryError} where the network is to blame, else {@linkcode Unserved}.
 */
export function explainNetworkError(error: unknown, host: string): RegistryError | Unserved {
  const words = wordsOf(error);
  const message = `cannot reach "${host}": ${words}`;
  if (NO_TLS.test(words)) return new NotTls(message);
  if (TLS.test(words) || !NETWORK.test(words)) return new Unserved(message);
  return new Unreachable("unreachable", message, !UNKNOWN_NAME.test(words));
}

/** The words of the innermost error, without URLs: those of redirects are secrets. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return "it is not known why";
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message
    .replace(/^error sending request .*?client error \((?:Connect|SendRequest)\): /, "")
    .replace(/\(?https?:\/\/\S+/g, "the URL")
    .replace(/ \(os error \d+\)/, "");
}
