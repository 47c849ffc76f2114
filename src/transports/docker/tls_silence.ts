import { abortable } from "@std/async/abortable";
import { findProxy } from "./proxy.ts";

/** As long as Go, and so skopeo, waits for an answer to the first words of TLS. */
const PATIENCE_MS = 10_000;

/**
 * Finds out whether a host takes connections and never answers the first words of TLS: something on
 * the way may swallow them.
 *
 * @param url What is to be asked there.
 * @param signal Ends it.
 * @param stallTimeout Milliseconds after which a host has stalled.
 * @returns Whether it says nothing; not where a proxy is in between, or it cannot be reached.
 */
export async function isSilent(
  url: URL,
  signal: AbortSignal,
  stallTimeout: number,
): Promise<boolean> {
  if (findProxy(url)) return false;
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), Math.min(PATIENCE_MS, stallTimeout));
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  try {
    const connection = await Deno.connect({ hostname, port: Number(url.port || 443), signal });
    using tls = await Deno.startTls(connection, { hostname });
    await abortable(tls.handshake(), AbortSignal.any([signal, patience.signal]));
    return false;
  } catch {
    return patience.signal.aborted;
  } finally {
    clearTimeout(timer);
  }
}
