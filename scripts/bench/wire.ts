import { delay } from "@std/async/delay";

const FIELDS = /http\.request\.method=(\S+) .*http\.response\.written=(\d+)/;
const SETTLED_MS = 20;

/**
 * Counts what a registry has sent, by its own log: nothing stands between it and who is measured.
 *
 * @param log The registry's log.
 * @returns Bytes of the bodies of all answers; not their headers, nor what a lower layer adds.
 */
export function bytesSent(log: string): number {
  let bytes = 0;
  for (const line of log.split("\n")) {
    const [, method, written] = FIELDS.exec(line) ?? [];
    // The body of an answer to HEAD is logged, but not sent.
    if (method !== undefined && method !== "HEAD") bytes += Number(written);
  }
  return bytes;
}

/**
 * Counts what a registry has sent so far.
 *
 * @param registry The registry; an answer is in its log a moment after its last byte.
 * @returns For `sent` of a group.
 */
export function sentBy(registry: { readonly log: string }): () => Promise<number> {
  const read = async () => bytesSent(await Deno.readTextFile(registry.log));
  return async () => {
    for (let last = await read();;) {
      await delay(SETTLED_MS);
      const now = await read();
      if (now === last) return now;
      last = now;
    }
  };
}
