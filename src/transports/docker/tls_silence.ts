import { abortable } from "@std/async/abortable";
import { delay } from "@std/async/delay";
import { findProxy } from "./proxy.ts";

/** What answers sooner is not looked at; another connection costs more than this. */
const GRACE_MS = 1_000;

/** As long as Go, and so skopeo, waits for an answer to the first words of TLS. */
const PATIENCE_MS = 10_000;

/**
 * Finds out whether a host takes connections and never answers the first words of TLS: something on
 * the way may swallow them.
 *
 * @param url What has just been asked there.
 * @param signal Ends it.
 * @param stallTimeout Milliseconds after which a host has stalled.
 * @returns Whether it says nothing; not where a proxy is in between, or it cannot be reached.
 */
export async function isSilent(
  url: URL,
  signal: AbortSignal,
  stallTimeout: number,
): Promise<boolean> {
  if (await findProxy(url)) return false;
  const patience = new AbortController();
  const limit = Math.min(PATIENCE_MS, stallTimeout);
  const timer = setTimeout(() => patience.abort(), limit);
  const either = AbortSignal.any([signal, patience.signal]);
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  try {
    await delay(Math.min(GRACE_MS, limit / 2), { signal: either });
    const connection = await Deno.connect({ hostname, port: Number(url.port || 443), signal });
    using tls = await Deno.startTls(connection, { hostname });
    await abortable(tls.handshake(), either);
    return false;
  } catch {
    return patience.signal.aborted;
  } finally {
    clearTimeout(timer);
  }
}
