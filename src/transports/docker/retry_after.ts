/**
 * Reads how long a host wants to be left alone.
 *
 * @param headers Headers of its answer.
 * @returns Milliseconds, or `undefined` if it does not say it.
 */
export function readRetryAfter(headers: Headers): number | undefined {
  const text = headers.get("retry-after")?.trim();
  if (!text) return undefined;
  // The host counts by its own clock.
  const now = Date.parse(headers.get("date") ?? "") || Date.now();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
